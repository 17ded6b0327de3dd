package contract

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

const noWorker = "No available worker with free capacity"

func leaseRoutes(t *testing.T, c *stacktest.Client) {
	t.Run("grant", leaseGrant(c))
	t.Run("ttl", func(t *testing.T) {
		w := newWorker(t, c, 4)
		for _, ttl := range []int{1, 77, 3600} {
			l := lease(t, c, newTask(t, c).ID, w.ID, object{"ttl_seconds": ttl})
			if l.TTLSeconds != ttl || l.ExpiresAt-l.StartedAt != int64(ttl)*1000 {
				t.Errorf("ttl %d: %+v", ttl, l)
			}
		}
	})
	t.Run("no body", func(t *testing.T) {
		newWorker(t, c, 4)
		stacktest.CatchUp(t)
		for _, body := range []any{nil, "", "{}", " {} \n"} {
			wantShape(t, ask(t, c, "POST", tasks+"/"+newTask(t, c).ID+"/lease", body), http.StatusCreated,
				obj(shape{"lease": obj(leaseShape), "worker": obj(workerShape)}))
		}
	})
	t.Run("no worker", leaseWithoutWorker(c))
	t.Run("full", func(t *testing.T) {
		w := newWorker(t, c, 2)
		first, l := leased(t, c, w.ID)
		leased(t, c, w.ID)
		third := newTask(t, c)
		refuseLease(t, c, third.ID, object{"worker_id": w.ID})
		refuseLease(t, c, third.ID, nil)
		complete(t, c, first.ID, successBody(l.ID, "room again"))
		lease(t, c, third.ID, w.ID)
	})
	t.Run("list", func(t *testing.T) {
		w := newWorker(t, c, 4)
		task, l := leased(t, c, w.ID)
		// status is how the list of a query shows the lease; "" when it does not.
		status := func(query, want string) {
			t.Helper()
			stacktest.Eventually(t, listedWithin, func() error {
				all, err := stacktest.All[stacktest.Lease](t.Context(), c, "/api/runtime/leases?limit=200"+query)
				if err != nil {
					return err
				}
				got := ""
				if n := slices.IndexFunc(all, func(x stacktest.Lease) bool { return x.ID == l.ID && x.TaskID == task.ID }); n >= 0 {
					got = all[n].Status
				}
				if got != want {
					return fmt.Errorf("the leases (%s) have it as %q, want %q", query, got, want)
				}
				return nil
			})
		}
		status("&status=active", "active")
		complete(t, c, task.ID, successBody(l.ID, "x"))
		status("&status=active", "")
		status("", "released")
		status("&status=released", "released")
		wantShape(t, ask(t, c, "GET", "/api/runtime/leases", nil), http.StatusOK, array(obj(leaseShape)))
	})
}

func leaseGrant(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		w := newWorker(t, c, 3)
		task := newTask(t, c, object{"context_id": "grant"})
		before := time.Now().UnixMilli()
		resp := ask(t, c, "POST", tasks+"/"+task.ID+"/lease", object{"worker_id": w.ID})
		wantShape(t, resp, http.StatusCreated, obj(shape{
			"lease": obj(leaseShape.also(shape{
				"task_id": is(task.ID), "worker_id": is(w.ID), "ttl_seconds": is(300), "status": is("active"), "context_id": is("grant"),
			})),
			"worker": obj(workerShape.also(shape{"id": is(w.ID), "active_leases": is(1)})),
		}))
		var got stacktest.Granted
		if err := resp.Decode(&got); err != nil {
			t.Fatal(err)
		}
		l := got.Lease
		if l.ExpiresAt-l.StartedAt != 300_000 || l.StartedAt < before-1000 || l.LastHeartbeat != l.StartedAt {
			t.Errorf("times of the lease: %+v, asked at %d", l, before)
		}
		now := getTask(t, c, task.ID)
		if now.Status != "leased" || now.Attempts != 1 || deref(now.LeaseID) != l.ID || deref(now.WorkerID) != w.ID {
			t.Errorf("the task is %+v", now)
		}
		detail := getWorker(t, c, w.ID)
		if detail.ActiveLeases != 1 || len(detail.Leases) != 1 || detail.Leases[0].ID != l.ID {
			t.Errorf("the worker is %+v", detail)
		}
		wantFailure(t, ask(t, c, "POST", tasks+"/"+task.ID+"/lease", object{"worker_id": w.ID}), http.StatusConflict, "conflict")
	}
}

// leaseWithoutWorker: nobody there, or only workers that cannot take a task.
func leaseWithoutWorker(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		task := newTask(t, c)
		refuseLease(t, c, task.ID, nil)
		refuseLease(t, c, task.ID, object{"worker_id": "nobody-of-that-name"})
		for _, status := range []string{"offline", "unknown", "error", "syncing"} {
			w := newWorker(t, c, 1, object{"status": status})
			refuseLease(t, c, task.ID, object{"worker_id": w.ID})
			refuseLease(t, c, task.ID, nil)
		}
		newWorker(t, c, 1, object{"capabilities": object{"claude_cli": false}})
		refuseLease(t, c, task.ID, nil)
	}
}

// refuseLease wants 503 from lease and dispatch, and the task left as it is.
func refuseLease(t *testing.T, c *stacktest.Client, task string, body any) {
	t.Helper()
	stacktest.CatchUp(t)
	before := getTask(t, c, task)
	for _, action := range []string{"lease", "dispatch"} {
		f := wantFailure(t, ask(t, c, "POST", tasks+"/"+task+"/"+action, body), http.StatusServiceUnavailable, "no_worker")
		if f.Error != noWorker {
			t.Errorf("%s: error is %q", action, f.Error)
		}
	}
	wantSameTask(t, before, getTask(t, c, task))
}

// workerChoice: sticky by context, then most free capacity.
func workerChoice(t *testing.T, c *stacktest.Client) {
	pick := func(t *testing.T, context string) string {
		t.Helper()
		task := newTask(t, c, object{"context_id": context})
		stacktest.CatchUp(t)
		return stacktest.Want[stacktest.Granted](t, c, http.StatusCreated, "POST", tasks+"/"+task.ID+"/lease", nil).Lease.WorkerID
	}
	t.Run("most free capacity", func(t *testing.T) {
		newWorker(t, c, 1)
		big := newWorker(t, c, 5)
		middle := newWorker(t, c, 3)
		got := map[string]int{}
		for range 6 { // 5 and 3 free: big, big, then level or big, …
			got[pick(t, unique("context"))]++
		}
		if got[big.ID] < 3 || got[big.ID]+got[middle.ID] < 5 {
			t.Errorf("big has 5, middle 3, small 1; given: %v (big is %s, middle %s)", got, big.ID, middle.ID)
		}
	})
	t.Run("sticky", func(t *testing.T) {
		small := newWorker(t, c, 2)
		big := newWorker(t, c, 20)
		context := unique("context")
		task, l := leased(t, c, small.ID, object{"context_id": context})
		if got := pick(t, context); got != small.ID {
			t.Errorf("%s holds the context, %s was given the next task", small.ID, got)
		}
		if got := pick(t, context); got != big.ID {
			t.Errorf("the sticky worker is full, %s was given the task, want %s", got, big.ID)
		}
		complete(t, c, task.ID, successBody(l.ID, "x"))
		if got := pick(t, unique("context")); got != big.ID {
			t.Errorf("another context went to %s, want %s", got, big.ID)
		}
	})
	t.Run("not sticky once the lease has ended", func(t *testing.T) {
		small := newWorker(t, c, 1)
		big := newWorker(t, c, 9)
		context := unique("context")
		task, l := leased(t, c, small.ID, object{"context_id": context})
		complete(t, c, task.ID, successBody(l.ID, "x"))
		if got := pick(t, context); got != big.ID {
			t.Errorf("given to %s, want the one with most room, %s", got, big.ID)
		}
	})
	t.Run("all are used before 503", func(t *testing.T) {
		newWorker(t, c, 2)
		newWorker(t, c, 3)
		for range 5 {
			pick(t, unique("context"))
		}
		refuseLease(t, c, newTask(t, c).ID, nil)
	})
}
