package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

const (
	tasks   = "/api/runtime/llm-tasks"
	workers = "/api/runtime/workers"
)

// object is a JSON object to send or one that was received.
type object = map[string]any

// with returns base with the fields of over in place of its own.
func with(base object, over ...object) object {
	out := maps.Clone(base)
	for _, o := range over {
		maps.Copy(out, o)
	}
	return out
}

func taskBody(over ...object) object {
	return with(object{"context_id": "ctx", "agent_slug": "default", "prompt": "Say hello"}, over...)
}

func newTask(t testing.TB, c *stacktest.Client, over ...object) stacktest.Task {
	t.Helper()
	return stacktest.Want[stacktest.Task](t, c, http.StatusCreated, "POST", tasks, taskBody(over...))
}

func getTask(t testing.TB, c *stacktest.Client, id string) stacktest.Task {
	t.Helper()
	return stacktest.Want[stacktest.Task](t, c, http.StatusOK, "GET", tasks+"/"+id, nil)
}

var names atomic.Int64

// unique returns a name that no other test uses.
func unique(prefix string) string { return fmt.Sprintf("%s-%d", prefix, names.Add(1)) }

// newWorker registers an online worker with room for n tasks. It is removed at
// the end of the test, so that later tests do not get leases on it.
func newWorker(t testing.TB, c *stacktest.Client, n int, over ...object) stacktest.Worker {
	t.Helper()
	name := unique("worker")
	body := with(object{"name": name, "status": "online", "capabilities": object{"max_concurrency": n}}, over...)
	w := stacktest.Want[stacktest.Worker](t, c, http.StatusCreated, "POST", workers, body)
	dropAtEnd(t, c, w.ID)
	return w
}

func dropAtEnd(t testing.TB, c *stacktest.Client, id string) {
	t.Cleanup(func() {
		resp, err := c.Do(context.Background(), "DELETE", workers+"/"+url.PathEscape(id), nil) // t.Context() is over
		if err != nil || (resp.Status != 200 && resp.Status != 404) {
			t.Errorf("remove worker %s: %v %s", id, err, resp)
		}
	})
}

func getWorker(t testing.TB, c *stacktest.Client, id string) stacktest.Worker {
	t.Helper()
	return stacktest.Want[stacktest.Worker](t, c, http.StatusOK, "GET", workers+"/"+url.PathEscape(id), nil)
}

// lease gives the task to the worker.
func lease(t testing.TB, c *stacktest.Client, task, worker string, over ...object) stacktest.Lease {
	t.Helper()
	body := with(object{"worker_id": worker}, over...)
	return stacktest.Want[stacktest.Granted](t, c, http.StatusCreated, "POST", tasks+"/"+task+"/lease", body).Lease
}

// leased returns a new task and a lease on it.
func leased(t testing.TB, c *stacktest.Client, worker string, over ...object) (stacktest.Task, stacktest.Lease) {
	t.Helper()
	task := newTask(t, c, over...)
	return task, lease(t, c, task.ID, worker)
}

func successBody(leaseID, output string) object {
	return object{"lease_id": leaseID, "status": "success", "output": output, "metrics": object{"duration_ms": 1200, "tokens_used": 34}}
}

func errorBody(leaseID, message string, retryable bool) object {
	return object{"lease_id": leaseID, "status": "error", "error_message": message, "retryable": retryable,
		"metrics": object{"duration_ms": 7}}
}

func complete(t testing.TB, c *stacktest.Client, task string, body object) stacktest.Completed {
	t.Helper()
	return stacktest.Want[stacktest.Completed](t, c, http.StatusOK, "POST", tasks+"/"+task+"/complete", body)
}

func claim(t testing.TB, c *stacktest.Client, worker string, body any) stacktest.Claims {
	t.Helper()
	stacktest.CatchUp(t)
	return stacktest.Want[stacktest.Claims](t, c, http.StatusOK, "POST", workers+"/"+url.PathEscape(worker)+"/claim", body)
}

// drain empties the queue, so that a test of claims sees its own tasks only.
func drain(t testing.TB, c *stacktest.Client) {
	t.Helper()
	name := unique("drain")
	stacktest.Want[stacktest.Worker](t, c, http.StatusCreated, "POST", workers, object{"name": name, "capabilities": object{"max_concurrency": 32}})
	for {
		got := claim(t, c, name, object{"max": 32}).Claims
		if len(got) == 0 {
			stacktest.Want[object](t, c, http.StatusOK, "DELETE", workers+"/"+name, nil)
			return
		}
		for _, cl := range got {
			complete(t, c, cl.Task.ID, successBody(cl.Lease.ID, "drained"))
		}
	}
}

// emptyQueue drains until nothing is queued any more, backoffs included, so that
// nothing moves by itself afterwards.
func emptyQueue(t testing.TB, c *stacktest.Client) {
	t.Helper()
	stacktest.Eventually(t, 20*time.Second, func() error {
		drain(t, c)
		left := stacktest.Want[[]stacktest.Task](t, c, http.StatusOK, "GET", tasks+"?status=queued", nil)
		if len(left) > 0 {
			return fmt.Errorf("%d tasks are queued", len(left))
		}
		return nil
	})
}

// wantFailure demands an error answer in the one shape with a status and, unless
// it is "", a code. fields must be named in it.
func wantFailure(t testing.TB, resp stacktest.Response, status int, code string, fields ...string) stacktest.Failure {
	t.Helper()
	f, err := failure(resp)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status != status || (code != "" && f.Code != code) {
		t.Fatalf("want %d %s, got %s", status, code, resp)
	}
	for _, want := range fields {
		if !namesField(f, want) {
			t.Fatalf("the answer must name the field %s: %s", want, resp)
		}
	}
	return f
}

// namesField reports whether a failure names a field or the object it is in.
func namesField(f stacktest.Failure, field string) bool {
	top, _, _ := strings.Cut(field, ".")
	for name, rules := range f.Fields {
		same := name == field || name == top || strings.HasPrefix(name, top+".") || strings.HasPrefix(name, top+"[")
		if same && len(rules) > 0 && !slices.Contains(rules, "") {
			return true
		}
	}
	return false
}

// failure decodes an error answer and checks that it has the one shape: JSON
// with error, code, request_id, perhaps fields, and nothing else.
func failure(resp stacktest.Response) (f stacktest.Failure, err error) {
	var raw map[string]json.RawMessage
	if err := resp.Decode(&raw); err != nil {
		return f, err
	}
	for key := range raw {
		if !slices.Contains([]string{"error", "code", "request_id", "fields"}, key) {
			return f, fmt.Errorf("an error has no %q: %s", key, resp)
		}
	}
	if err := resp.Decode(&f); err != nil {
		return f, err
	}
	if f.Error == "" || f.Code == "" || f.RequestID == "" {
		return f, fmt.Errorf("an error has error, code and request_id: %s", resp)
	}
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		return f, fmt.Errorf("Content-Type of an error is %q", ct)
	}
	return f, nil
}

func ask(t testing.TB, c *stacktest.Client, method, path string, body any) stacktest.Response {
	t.Helper()
	return c.Ask(t, method, path, body)
}

const unknownID = "01890000-0000-7000-8000-000000000000"

// auditWithin is how long the audit log may take to show a change.
const auditWithin = 15 * time.Second
