package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/provision"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// TestABucketThatIsAwayLosesNothing reports a result while the bucket's server is
// away: the call fails, the task stays with its worker, and nothing is counted.
func TestABucketThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	table := embedded(t)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close() // its port refuses from now on
	bucket, err := blob.Open(blob.Config{Name: "bucket", AWS: awsconf.Build("us-east-1", away.URL, "key", "secret", "", nil)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := table.RegisterWorker(t.Context(), worker.Registration{Name: "w", Status: worker.Online,
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1}}, "tester"); err != nil {
		t.Fatal(err)
	}
	s := task.New(dynamo.NewID(), task.Spec{ContextID: "c", AgentSlug: "a", Prompt: "p", MaxAttempts: 3}, clock.System())
	if err := table.CreateTask(t.Context(), s, "tester"); err != nil {
		t.Fatal(err)
	}
	l, _, err := table.Lease(t.Context(), dynamo.LeaseRequest{TaskID: s.To.ID, TTL: time.Minute}, "tester")
	if err != nil {
		t.Fatal(err)
	}

	h := CompleteTask(table, bucket, clock.System)
	body := `{"lease_id":"` + l.ID + `","status":"success","output":"hello","metrics":{"duration_ms":1}}`
	if w := post(h, s.To.ID, body); w.Code != http.StatusServiceUnavailable || code(t, w) != "unavailable" || w.Header().Get("Retry-After") == "" {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	long := `{"context_id":"c","agent_slug":"a","prompt":"` + strings.Repeat("p", maxInline+1) + `"}`
	if w := post(CreateTask(table, bucket, clock.System), "", long); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a long prompt answered %d %s", w.Code, w.Body)
	}

	k, err := table.Task(t.Context(), s.To.ID)
	if err != nil || !k.HeldBy(l.ID, clock.System()) {
		t.Errorf("the task is %+v (%v), want it still leased", k, err)
	}
	tasks, _, err := table.Tasks(t.Context(), "", dynamo.Page{Limit: 5})
	if err != nil || len(tasks) != 1 {
		t.Errorf("%d tasks (%v), want the first alone", len(tasks), err)
	}
	artifacts, _, err := table.Artifacts(t.Context(), dynamo.Page{Limit: 5})
	if err != nil || len(artifacts) != 0 {
		t.Errorf("artifacts %+v (%v), want none", artifacts, err)
	}
	// Without a payload the bucket is not needed.
	if w := post(h, s.To.ID, `{"lease_id":"`+l.ID+`","status":"error","error_message":"no luck","metrics":{"duration_ms":1}}`); w.Code != http.StatusOK {
		t.Errorf("an error report answered %d %s", w.Code, w.Body)
	}
}

func embedded(t *testing.T) *dynamo.Table {
	t.Helper()
	store, err := dynamodb.Open(t.TempDir(), dynamodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := awsconf.Build("us-east-1", "http://dynamodb.local", "", "", "", store.HTTPClient())
	stack, err := template.Load("../../template.yaml", template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := provision.Table(t.Context(), cfg, stack.Tables[0]); err != nil {
		t.Fatal(err)
	}
	return dynamo.Open(cfg, dynamo.Settings{Name: stack.Tables[0].Name, Partitions: 1, Now: clock.System})
}

func post(h http.Handler, id, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.SetPathValue("id", id)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var e struct{ Code string }
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	return e.Code
}
