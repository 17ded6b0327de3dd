package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// seeds are bodies from which the fuzzer goes on: right ones, and each kind of
// wrong ones.
func seeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		"", "{}", "null", "[]", `{"a":1,"a":1}`, "\xff", `{"prompt":"\ud800"}`, `{"prompt":"a\u0000b"}`, `{"prompt":1e400}`,
		nest("[", "", "]", 40), specHead + "}", reportHead + "}", `{"name":"w"}`,
		specHead + `,"context_hints":["h"],"max_attempts":10,"desired_format":"json","policy":{"timeout_sec":3600,"budget":0.5}}`,
		reportHead + `,"output":"\ud83d\ude00","retryable":true,"artifact_type":"T","artifact_tags":["x"],"error_message":"m"}`,
		`{"lease_id":"l","status":"error","metrics":{"duration_ms":-0,"tokens_used":1e3}}`,
		`{"name":"w","url":"http://h:1/p","status":"online","ip_addrs":["::1"],"capabilities":{"claude_cli":true,"max_concurrency":32,"labels":["l"]}}`,
	} {
		f.Add([]byte(s))
	}
}

// wantText demands what every string that is let in must be.
func wantText(t *testing.T, name, s string, least, most int) {
	t.Helper()
	n := utf8.RuneCountInString(s)
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || n < least || n > most {
		t.Errorf("%s was let in: %d characters, %.40q", name, n, s)
	}
}

func wantTexts(t *testing.T, name string, list []string, maxItems, most int) {
	t.Helper()
	if list == nil || len(list) > maxItems {
		t.Errorf("%s was let in: %d entries, nil %v", name, len(list), list == nil)
	}
	for _, s := range list {
		wantText(t, name, s, 0, most)
	}
}

// fuzzed decodes a body and holds what may be said of it: an error is a fault of the
// caller's, and a body that is let in is one that the standard library reads too.
func fuzzed(t *testing.T, body []byte) *input {
	t.Helper()
	in, err := readInput(asRequest(t, bytes.NewReader(body)))
	if err != nil {
		if !fault.Is(err, fault.Invalid) {
			t.Fatalf("%v", err)
		}
		return nil
	}
	var std map[string]json.RawMessage
	if len(bytes.TrimSpace(body)) > 0 && (json.Unmarshal(body, &std) != nil || len(std) != len(in.fields)) {
		t.Fatalf("%d fields, the standard library finds %d", len(in.fields), len(std))
	}
	return in
}

// wantFaults demands that a refusal names fields and is itself text that can be
// sent.
func wantFaults(t *testing.T, err error) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != fault.Invalid || len(f.Fields) == 0 || !utf8.ValidString(f.Message) {
		t.Fatalf("%v", err)
	}
	for name, rules := range f.Fields {
		if name == "" || len(rules) == 0 {
			t.Fatalf("%v", f.Fields)
		}
	}
}

func FuzzReadSpec(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		in := fuzzed(t, body)
		if in == nil {
			return
		}
		s, err := readSpec(in)
		if err != nil {
			wantFaults(t, err)
			return
		}
		wantText(t, "context_id", s.ContextID, 1, maxContextID)
		wantText(t, "agent_slug", s.AgentSlug, 1, maxAgentSlug)
		wantText(t, "prompt", s.Prompt, 1, maxPrompt)
		wantTexts(t, "context_hints", s.ContextHints, maxHints, maxHint)
		if s.MaxAttempts < 1 || s.MaxAttempts > 10 || s.Policy.TimeoutSec < 1 || s.Policy.TimeoutSec > 3600 ||
			s.Policy.Budget < 0 || s.Policy.Budget > maxNumber || s.Policy.Budget != 0 && s.Policy.Budget < minNumber {
			t.Errorf("%+v", s)
		}
		if s.DesiredFormat != task.Text && s.DesiredFormat != task.JSON || len(s.Prompt) > maxPrompt {
			t.Errorf("%+v", s)
		}
	})
}

func FuzzReadReport(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		in := fuzzed(t, body)
		if in == nil {
			return
		}
		p, err := readReport(in)
		if err != nil {
			wantFaults(t, err)
			return
		}
		wantText(t, "lease_id", p.LeaseID, 1, maxID)
		wantText(t, "output", p.Output, 0, maxOutput)
		wantText(t, "error_message", p.ErrorMessage, 0, maxErrorMessage)
		wantText(t, "artifact_type", p.Type, 1, maxArtifactType)
		wantTexts(t, "artifact_tags", p.Tags, maxTags, maxTag)
		if p.Metrics.DurationMS < 0 || p.Metrics.TokensUsed != nil && *p.Metrics.TokensUsed < 0 || len(p.Output) > maxOutput {
			t.Errorf("%+v", p.Metrics)
		}
		if p.Outcome != task.Success && p.Outcome != task.Err || len(p.hash()) != 64 {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzReadRegistration(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		in := fuzzed(t, body)
		if in == nil {
			return
		}
		r, err := readRegistration(in)
		if err != nil {
			wantFaults(t, err)
			return
		}
		wantText(t, "name", r.Name, 1, maxWorkerName)
		wantText(t, "url", r.URL, 0, maxURL)
		for name, s := range map[string]string{"agent_version": r.AgentVersion, "os_info": r.OSInfo, "install_method": r.InstallMethod} {
			wantText(t, name, s, 0, maxLabel)
		}
		wantTexts(t, "ip_addrs", r.IPAddrs, maxAddresses, maxAddress)
		wantTexts(t, "labels", r.Capabilities.Labels, maxLabels, maxLabel)
		if strings.ContainsRune(r.Name, '/') || r.Capabilities.MaxConcurrency < 1 || r.Capabilities.MaxConcurrency > 32 {
			t.Errorf("%+v", r)
		}
	})
}

// FuzzEntry sends odd events through the adapter: whatever the path, the query and
// the body are, a handler sees them, decoded, or the caller gets an answer.
func FuzzEntry(f *testing.F) {
	f.Add("gpu-1", "limit", "5", "{}", false)
	f.Add("%ff", "a&b", "c=d\x00", "e30=", true)
	f.Add("..%2f", "", "\xff", "!", true)
	f.Fuzz(func(t *testing.T, id, name, value, body string, encoded bool) {
		e := event("POST", workerPath, map[string]string{"id": id}, body)
		e.IsBase64Encoded = encoded
		e.MultiValueQueryStringParameters = map[string][]string{name: {value}}
		resp := call(t, echo(), e)
		if resp.StatusCode != 200 && resp.StatusCode != 404 || !json.Valid([]byte(resp.Body)) || resp.IsBase64Encoded {
			t.Errorf("%d %s", resp.StatusCode, resp.Body)
		}
	})
}
