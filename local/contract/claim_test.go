package contract

import (
	"net/http"
	"slices"
	"testing"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func claimRoute(t *testing.T, c *stacktest.Client) {
	t.Run("nothing to do", func(t *testing.T) {
		drain(t, c)
		w := newWorker(t, c, 2)
		for _, body := range []any{nil, "", "{}", object{"max": 1}, object{"max": 32, "ttl_seconds": 60}} {
			stacktest.CatchUp(t)
			resp := ask(t, c, "POST", workers+"/"+w.ID+"/claim", body)
			wantShape(t, resp, http.StatusOK, obj(shape{"claims": is([]any{}), "poll_after_ms": count}))
		}
	})
	t.Run("one", claimOne(c))
	t.Run("oldest first", claimOrder(c))
	t.Run("capacity", func(t *testing.T) {
		drain(t, c)
		for range 5 {
			newTask(t, c)
		}
		w := newWorker(t, c, 3)
		first := claim(t, c, w.ID, object{"max": 2}).Claims
		second := claim(t, c, w.ID, object{"max": 30}).Claims
		if len(first) != 2 || len(second) != 1 {
			t.Fatalf("with room for 3: max 2 gave %d, max 30 gave %d", len(first), len(second))
		}
		if more := claim(t, c, w.ID, object{"max": 1}).Claims; len(more) != 0 {
			t.Errorf("a full worker was given %+v", more)
		}
		complete(t, c, first[0].Task.ID, successBody(first[0].Lease.ID, "x"))
		if more := claim(t, c, w.ID, nil).Claims; len(more) != 1 {
			t.Errorf("with room for one, a claim gave %d", len(more))
		}
	})
	t.Run("two workers never share", func(t *testing.T) {
		drain(t, c)
		for range 6 {
			newTask(t, c)
		}
		seen := map[string]bool{}
		for range 2 {
			w := newWorker(t, c, 3)
			for _, cl := range claim(t, c, w.ID, object{"max": 3}).Claims {
				if seen[cl.Task.ID] || cl.Lease.WorkerID != w.ID {
					t.Errorf("task %s was given twice, or to another: %+v", cl.Task.ID, cl.Lease)
				}
				seen[cl.Task.ID] = true
			}
		}
		if len(seen) != 6 {
			t.Errorf("%d of 6 tasks were given", len(seen))
		}
	})
	t.Run("unknown worker", func(t *testing.T) {
		wantFailure(t, ask(t, c, "POST", workers+"/nobody-of-that-name/claim", nil), http.StatusNotFound, "not_found")
	})
}

func claimOne(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		drain(t, c)
		task := newTask(t, c, object{"context_id": "one", "prompt": "the whole prompt"})
		w := newWorker(t, c, 2)
		stacktest.CatchUp(t)
		resp := ask(t, c, "POST", workers+"/"+w.ID+"/claim", object{"max": 1, "ttl_seconds": 45})
		wantShape(t, resp, http.StatusOK, obj(shape{"poll_after_ms": count, "claims": array(obj(shape{
			"task": obj(taskShape.also(shape{
				"id": is(task.ID), "status": is("leased"), "attempts": is(1), "worker_id": is(w.ID), "prompt": is("the whole prompt"),
			})),
			"lease": obj(leaseShape.also(shape{
				"task_id": is(task.ID), "worker_id": is(w.ID), "ttl_seconds": is(45), "status": is("active"), "context_id": is("one"),
			})),
		}))}))
		var got stacktest.Claims
		if err := resp.Decode(&got); err != nil || len(got.Claims) != 1 {
			t.Fatalf("%v in %s", err, resp)
		}
		l := got.Claims[0].Lease
		if now := getTask(t, c, task.ID); now.Status != "leased" || deref(now.LeaseID) != l.ID {
			t.Errorf("the task is %+v", now)
		}
		if detail := getWorker(t, c, w.ID); detail.ActiveLeases != 1 || len(detail.Leases) != 1 || detail.Leases[0].ID != l.ID {
			t.Errorf("the worker is %+v", detail)
		}
		stacktest.Want[stacktest.Beat](t, c, http.StatusOK, "POST", tasks+"/"+task.ID+"/heartbeat", object{"lease_id": l.ID})
		if done := complete(t, c, task.ID, successBody(l.ID, "x")); done.Result.WorkerID != w.ID {
			t.Errorf("the result is of worker %s", done.Result.WorkerID)
		}
		if got := claim(t, c, w.ID, nil); len(got.Claims) != 0 {
			t.Errorf("a completed task was claimed: %+v", got)
		}
	}
}

func claimOrder(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		drain(t, c)
		var want, got []string
		for range 40 {
			want = append(want, newTask(t, c).ID)
		}
		w := newWorker(t, c, 32)
		for _, max := range []int{1, 1, 10, 20, 8} {
			for _, cl := range claim(t, c, w.ID, object{"max": max}).Claims {
				got = append(got, cl.Task.ID)
				complete(t, c, cl.Task.ID, successBody(cl.Lease.ID, "x"))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("claims must give the oldest first\nwant %v\ngot  %v", want, got)
		}
	}
}

func dispatchRoute(t *testing.T, c *stacktest.Client) {
	dispatch := func(t *testing.T, task string, body any) stacktest.Dispatched {
		t.Helper()
		return stacktest.Want[stacktest.Dispatched](t, c, http.StatusOK, "POST", tasks+"/"+task+"/dispatch", body)
	}
	t.Run("handed out first, once, to its worker", func(t *testing.T) {
		drain(t, c)
		older := newTask(t, c)
		task := newTask(t, c, object{"prompt": "dispatched"})
		w, other := newWorker(t, c, 4), newWorker(t, c, 4)
		d := dispatch(t, task.ID, object{"worker_id": w.ID})
		if !d.Dispatched || d.TaskID != task.ID || d.WorkerID != w.ID || d.LeaseID == "" {
			t.Fatalf("dispatch answered %+v", d)
		}
		if now := getTask(t, c, task.ID); now.Status != "leased" || deref(now.LeaseID) != d.LeaseID || now.Attempts != 1 {
			t.Errorf("the task is %+v", now)
		}
		first := claim(t, c, w.ID, object{"max": 1}).Claims
		if len(first) != 1 || first[0].Lease.ID != d.LeaseID || first[0].Task.ID != task.ID || first[0].Task.Prompt != "dispatched" {
			t.Fatalf("the next claim gave %+v, want lease %s", first, d.LeaseID)
		}
		if got := claim(t, c, other.ID, object{"max": 4}).Claims; len(got) != 1 || got[0].Task.ID != older.ID {
			t.Errorf("another worker was given %+v, want only the older task", got)
		}
		if got := claim(t, c, w.ID, object{"max": 4}).Claims; len(got) != 0 {
			t.Errorf("the dispatched lease was handed out again: %+v", got)
		}
		complete(t, c, task.ID, successBody(d.LeaseID, "x"))
	})
	t.Run("without a worker's name, a body or a content type", func(t *testing.T) {
		drain(t, c)
		newWorker(t, c, 1)
		big := newWorker(t, c, 6)
		task := newTask(t, c)
		stacktest.CatchUp(t)
		if d := dispatch(t, task.ID, nil); d.WorkerID != big.ID {
			t.Errorf("dispatched to %s, want the one with most room, %s", d.WorkerID, big.ID)
		}
	})
	t.Run("takes the worker's only slot", func(t *testing.T) {
		drain(t, c)
		w := newWorker(t, c, 1)
		newTask(t, c)
		task := newTask(t, c)
		d := dispatch(t, task.ID, object{"worker_id": w.ID})
		refuseLease(t, c, newTask(t, c).ID, object{"worker_id": w.ID})
		got := claim(t, c, w.ID, object{"max": 5}).Claims
		if len(got) != 1 || got[0].Lease.ID != d.LeaseID {
			t.Errorf("the claim gave %+v, want only lease %s", got, d.LeaseID)
		}
	})
	t.Run("several, and new work beside them", func(t *testing.T) {
		drain(t, c)
		queued := newTask(t, c)
		w := newWorker(t, c, 4)
		given := map[string]bool{}
		for range 3 {
			given[dispatch(t, newTask(t, c).ID, object{"worker_id": w.ID}).LeaseID] = true
		}
		got := claim(t, c, w.ID, object{"max": 2}).Claims
		got = append(got, claim(t, c, w.ID, object{"max": 4}).Claims...)
		for i, cl := range got {
			if i < 3 && !given[cl.Lease.ID] {
				t.Errorf("claim %d is %+v, want a dispatched one", i, cl.Lease)
			}
			delete(given, cl.Lease.ID)
		}
		if len(got) != 4 || len(given) != 0 || got[3].Task.ID != queued.ID {
			t.Errorf("claims %+v; not handed out: %v", got, given)
		}
	})
	t.Run("its worker is removed", func(t *testing.T) {
		drain(t, c)
		w := newWorker(t, c, 1)
		task := newTask(t, c)
		dispatch(t, task.ID, object{"worker_id": w.ID})
		stacktest.Want[object](t, c, http.StatusOK, "DELETE", workers+"/"+w.ID, nil)
		if now := getTask(t, c, task.ID); now.Status != "queued" {
			t.Errorf("the task is %s", now.Status)
		}
		other := newWorker(t, c, 1)
		if got := claim(t, c, other.ID, nil).Claims; len(got) != 1 || got[0].Task.ID != task.ID {
			t.Errorf("another worker's claim gave %+v", got)
		}
	})
	t.Run("completed before it was claimed", func(t *testing.T) {
		drain(t, c)
		w := newWorker(t, c, 2)
		task := newTask(t, c)
		d := dispatch(t, task.ID, object{"worker_id": w.ID})
		complete(t, c, task.ID, successBody(d.LeaseID, "x"))
		if got := claim(t, c, w.ID, object{"max": 2}).Claims; len(got) != 0 {
			t.Errorf("an ended lease was handed out: %+v", got)
		}
	})
}
