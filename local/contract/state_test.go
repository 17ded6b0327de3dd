package contract

import (
	"net/http"
	"slices"
	"testing"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// placed is a task in a known state, with the last lease given on it ("" if none).
type placed struct{ task, lease string }

// places brings a fresh task into each state. worker has room for all.
var places = []struct {
	state string
	get   func(t testing.TB, c *stacktest.Client, worker string) placed
}{
	{"queued", func(t testing.TB, c *stacktest.Client, _ string) placed {
		return placed{newTask(t, c).ID, unknownID}
	}},
	{"queued again", func(t testing.TB, c *stacktest.Client, worker string) placed {
		task, l := leased(t, c, worker)
		complete(t, c, task.ID, errorBody(l.ID, "try again", true))
		return placed{task.ID, l.ID}
	}},
	{"leased", func(t testing.TB, c *stacktest.Client, worker string) placed {
		task, l := leased(t, c, worker)
		return placed{task.ID, l.ID}
	}},
	{"running", func(t testing.TB, c *stacktest.Client, worker string) placed {
		task, l := leased(t, c, worker)
		stacktest.Want[stacktest.Beat](t, c, http.StatusOK, "POST", tasks+"/"+task.ID+"/heartbeat", object{"lease_id": l.ID})
		return placed{task.ID, l.ID}
	}},
	{"completed", func(t testing.TB, c *stacktest.Client, worker string) placed {
		task, l := leased(t, c, worker)
		complete(t, c, task.ID, successBody(l.ID, "first"))
		return placed{task.ID, l.ID}
	}},
	{"failed", func(t testing.TB, c *stacktest.Client, worker string) placed {
		task, l := leased(t, c, worker)
		complete(t, c, task.ID, errorBody(l.ID, "no use", false))
		return placed{task.ID, l.ID}
	}},
	{"dead", func(t testing.TB, c *stacktest.Client, worker string) placed {
		task, l := leased(t, c, worker, object{"max_attempts": 1})
		complete(t, c, task.ID, errorBody(l.ID, "last time", true))
		return placed{task.ID, l.ID}
	}},
}

// stateDiagram tries every action from every state. What is illegal changes
// nothing.
func stateDiagram(t *testing.T, c *stacktest.Client) {
	const conflict, lost, none = "conflict", "lease_lost", "not_found"
	actions := []struct {
		name string
		body func(p placed, worker string) any
		// after is the state that follows, by the state left; any other state
		// refuses the action with one of the codes.
		after map[string]string
		ok    int
		codes map[string][]string // by state; "" for the rest
	}{
		{"lease", func(_ placed, w string) any { return object{"worker_id": w} },
			map[string]string{"queued": "leased", "queued again": "leased"}, http.StatusCreated,
			map[string][]string{"": {conflict}}},
		{"dispatch", func(_ placed, w string) any { return object{"worker_id": w} },
			map[string]string{"queued": "leased", "queued again": "leased"}, http.StatusOK,
			map[string][]string{"": {conflict}}},
		{"heartbeat", func(p placed, _ string) any { return object{"lease_id": p.lease} },
			map[string]string{"leased": "running", "running": "running"}, http.StatusOK,
			map[string][]string{"": {lost}, "queued": {none}}},
		{"complete", func(p placed, _ string) any { return successBody(p.lease, "second") },
			map[string]string{"leased": "completed", "running": "completed"}, http.StatusOK,
			map[string][]string{"": {conflict, lost}}},
		{"complete with an error", func(p placed, _ string) any { return errorBody(p.lease, "other words", false) },
			map[string]string{"leased": "failed", "running": "failed"}, http.StatusOK,
			map[string][]string{"": {conflict, lost}}},
		{"requeue", func(placed, string) any { return nil },
			map[string]string{"failed": "queued", "dead": "queued"}, http.StatusOK,
			map[string][]string{"": {conflict}}},
	}
	w := newWorker(t, c, 32)
	for _, a := range actions {
		for _, from := range places {
			t.Run(from.state+" "+a.name, func(t *testing.T) {
				p := from.get(t, c, w.ID)
				before := getTask(t, c, p.task)
				resp := ask(t, c, "POST", tasks+"/"+p.task+"/"+firstWord(a.name), a.body(p, w.ID))
				after := getTask(t, c, p.task)
				if want, legal := a.after[from.state]; legal {
					if resp.Status != a.ok || after.Status != want {
						t.Errorf("want %d and %s, got %s and %s", a.ok, want, after.Status, resp)
					}
				} else {
					codes, special := a.codes[from.state]
					if !special {
						codes = a.codes[""]
					}
					checkRefused(t, resp, codes)
					wantSameTask(t, before, after)
				}
				settle(t, c, after)
			})
		}
	}
}

func firstWord(s string) string {
	for i, r := range s {
		if r == ' ' {
			return s[:i]
		}
	}
	return s
}

func checkRefused(t *testing.T, resp stacktest.Response, codes []string) {
	t.Helper()
	f, err := failure(resp)
	if err != nil {
		t.Fatal(err)
	}
	want := http.StatusConflict
	if slices.Contains(codes, "not_found") {
		want = http.StatusNotFound
	}
	if resp.Status != want || !slices.Contains(codes, f.Code) {
		t.Errorf("want %d %v, got %s", want, codes, resp)
	}
}

func wantSameTask(t *testing.T, before, after stacktest.Task) {
	t.Helper()
	if before.Status != after.Status || before.UpdatedAt != after.UpdatedAt || before.Attempts != after.Attempts ||
		deref(before.LeaseID) != deref(after.LeaseID) || deref(before.WorkerID) != deref(after.WorkerID) {
		t.Errorf("a refused call changed the task\nfrom %+v\nto   %+v", before, after)
	}
}

func deref(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// settle completes a task that a test left held, so that its worker has room
// for the next test.
func settle(t *testing.T, c *stacktest.Client, task stacktest.Task) {
	t.Helper()
	if task.Status == "leased" || task.Status == "running" {
		complete(t, c, task.ID, successBody(*task.LeaseID, "settled"))
	}
}
