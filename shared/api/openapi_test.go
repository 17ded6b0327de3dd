package api

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// described is what this test reads of infra/openapi.yaml.
type described struct {
	Paths      map[string]map[string]yaml.Node
	Components struct {
		Examples  map[string]struct{ Value any }
		Responses map[string]answer
	}
}

type media struct {
	Content map[string]struct {
		Examples map[string]struct {
			Ref   string `yaml:"$ref"`
			Value any
		}
	}
}

type answer struct {
	Ref   string `yaml:"$ref"`
	media `yaml:",inline"`
}

type operation struct {
	OperationID string `yaml:"operationId"`
	RequestBody media  `yaml:"requestBody"`
	Responses   map[string]answer
}

func readDescription(t *testing.T) (d described, operations []operation) {
	t.Helper()
	text, err := os.ReadFile("../../infra/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, item := range d.Paths {
		for method, n := range item {
			if method == "parameters" {
				continue
			}
			var o operation
			if err := n.Decode(&o); err != nil {
				t.Fatal(err)
			}
			operations = append(operations, o)
		}
	}
	return d, operations
}

// examples are the JSON texts of a body's examples.
func (d described) examples(t *testing.T, m media) (texts [][]byte) {
	t.Helper()
	for _, e := range m.Content["application/json"].Examples {
		v := e.Value
		if name, ok := strings.CutPrefix(e.Ref, "#/components/examples/"); ok {
			v = d.Components.Examples[name].Value
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	return texts
}

// TestExamplesOfRequests: whoever pastes an example is not told that it is wrong.
func TestExamplesOfRequests(t *testing.T) {
	t.Parallel()
	readers := map[string]func(*request, *input) error{
		"createTask":       func(_ *request, in *input) error { _, err := readSpec(in); return err },
		"completeTask":     func(_ *request, in *input) error { _, err := readReport(in); return err },
		"registerWorker":   func(_ *request, in *input) error { _, err := readRegistration(in); return err },
		"leaseTask":        func(r *request, _ *input) error { _, err := readLease(r); return err },
		"dispatchTask":     func(r *request, _ *input) error { _, err := readLease(r); return err },
		"claimTasks":       func(_ *request, in *input) error { in.integer("max", 1, 1, maxClaims); readTTL(in); return in.err() },
		"selectLeadership": func(r *request, _ *input) error { _, err := readPromotion(r); return err },
		"heartbeatTask":    func(_ *request, in *input) error { in.required("lease_id", maxID); return in.err() },
		"saveConfig": func(_ *request, in *input) error {
			in.required("membridge_server_url", maxURL)
			in.required("admin_key", maxAdminKey)
			return in.err()
		},
	}
	d, operations := readDescription(t)
	for _, o := range operations {
		if o.RequestBody.Content == nil {
			continue
		}
		read, examples := readers[o.OperationID], d.examples(t, o.RequestBody)
		if read == nil || len(examples) == 0 {
			t.Errorf("%s: %d examples, read %v", o.OperationID, len(examples), read != nil)
			continue
		}
		for _, text := range examples {
			r := asRequest(t, bytes.NewReader(text))
			if err := read(r, mustDecode(t, string(text))); err != nil {
				t.Errorf("%s: %s: %v", o.OperationID, text, err)
			}
		}
	}
}

// TestExamplesOfAnswers: an example has the fields of the answer, and no others.
func TestExamplesOfAnswers(t *testing.T) {
	t.Parallel()
	type workerDetail struct {
		workerView
		Leases []leaseView `json:"leases"`
	}
	type leased struct {
		Lease  leaseView  `json:"lease"`
		Worker workerView `json:"worker"`
	}
	views := map[string]func() any{
		"createTask": func() any { return new(taskView) }, "getTask": func() any { return new(taskView) }, "requeueTask": func() any { return new(taskView) },
		"completeTask": func() any { return new(completeView) }, "leaseTask": func() any { return new(leased) }, "getWorker": func() any { return new(workerDetail) },
		"registerWorker": func() any { return new(workerView) }, "getArtifact": func() any { return new(artifactView) }, "listAudit": func() any { return new([]auditView) },
		"getStats": func() any { return new(statsView) }, "getConfig": func() any { return new(configView) }, "saveConfig": func() any { return new(configView) },
		"testConnection": func() any { return new(connectionView) },
	}
	d, operations := readDescription(t)
	for _, o := range operations {
		for status, a := range o.Responses {
			if name, ok := strings.CutPrefix(a.Ref, "#/components/responses/"); ok {
				a = d.Components.Responses[name]
			}
			view := views[o.OperationID]
			if status >= "400" {
				view = func() any { return new(errorBody) }
			}
			examples := d.examples(t, a.media)
			if status >= "400" && len(examples) == 0 {
				t.Errorf("%s: %s has no example", o.OperationID, status)
			}
			for _, text := range examples {
				if view != nil {
					wantSame(t, o.OperationID+" "+status, text, view())
				}
			}
		}
	}
}

// wantSame demands that a text, read into a view and written again, is the same.
func wantSame(t *testing.T, name string, text []byte, view any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(view); err != nil {
		t.Errorf("%s: %v in %s", name, err, text)
		return
	}
	again, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if json.Unmarshal(text, &want) != nil || json.Unmarshal(again, &got) != nil {
		t.Fatal(name)
	}
	a, _ := json.Marshal(want) // with its keys in order
	b, _ := json.Marshal(got)
	if !bytes.Equal(a, b) {
		t.Errorf("%s: the example is\n%s\nthe code would send\n%s", name, a, b)
	}
}
