package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// shown is how soon a lapsed lease must show if nobody asks for work.
const shown = 15 * time.Second

// TestLapse lets leases run out. Nobody claims in the first part, so that the
// sweep alone must show it.
func TestLapse(t *testing.T) {
	t.Parallel()
	c := stacktest.Start(t, stacktest.Options{}).Client()
	w := newWorker(t, c, 10)
	ttl := object{"ttl_seconds": 1}
	plain, dead, running, late := newTask(t, c), newTask(t, c, object{"max_attempts": 1}), newTask(t, c), newTask(t, c)
	l1, l2 := lease(t, c, plain.ID, w.ID, ttl), lease(t, c, dead.ID, w.ID, ttl)
	l3, l4 := lease(t, c, running.ID, w.ID, ttl), lease(t, c, late.ID, w.ID, ttl)
	stacktest.Want[stacktest.Beat](t, c, http.StatusOK, "POST", tasks+"/"+running.ID+"/heartbeat", object{"lease_id": l3.ID})
	alive := newTask(t, c)
	kept := lease(t, c, alive.ID, w.ID, object{"ttl_seconds": 2})
	stopped := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { stopped <- keepAlive(ctx, c, alive.ID, kept.ID) }()

	until(t, l4.ExpiresAt)
	t.Run("what has lapsed is lost", func(t *testing.T) {
		wantFailure(t, ask(t, c, "POST", tasks+"/"+late.ID+"/heartbeat", object{"lease_id": l4.ID}), http.StatusConflict, "lease_lost")
		checkRefused(t, ask(t, c, "POST", tasks+"/"+late.ID+"/complete", successBody(l4.ID, "late")), []string{"lease_lost", "conflict"})
	})
	t.Run("shows by itself", func(t *testing.T) {
		wants := map[string]string{plain.ID: "queued", dead.ID: "dead", running.ID: "queued", late.ID: "queued"}
		stacktest.Eventually(t, shown, func() error { return lapseShows(c, wants, []string{l1.ID, l2.ID, l3.ID, l4.ID}, w.ID) })
		stacktest.Invariants(t, c)
	})
	t.Run("a heartbeat keeps a lease", func(t *testing.T) {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if got := getTask(t, c, alive.ID); got.Status != "running" || deref(got.LeaseID) != kept.ID || got.Attempts != 1 {
			t.Errorf("the task kept alive is %+v", got)
		}
		complete(t, c, alive.ID, successBody(kept.ID, "in time"))
	})
	t.Run("attempts", func(t *testing.T) {
		if got := getTask(t, c, plain.ID); got.Attempts != 1 || got.LeaseID != nil || got.WorkerID != nil {
			t.Errorf("a lapsed task is %+v", got)
		}
		if got := stacktest.Want[stacktest.Task](t, c, http.StatusOK, "POST", tasks+"/"+dead.ID+"/requeue", nil); got.Status != "queued" || got.Attempts != 0 {
			t.Errorf("requeued: %+v", got)
		}
	})
	t.Run("audit", func(t *testing.T) {
		stacktest.Eventually(t, auditWithin, func() error {
			return auditHas(c, map[string][]string{
				late.ID: {"task_created", "task_leased", "lease_expired"},
				dead.ID: {"task_created", "task_leased", "task_dead", "task_requeued"},
			}, map[string]string{l4.ID: late.ID, l2.ID: dead.ID})
		})
	})
}

// TestLapsedIsClaimable: nobody waits for a sweep.
func TestLapsedIsClaimable(t *testing.T) {
	t.Parallel()
	c := stacktest.Start(t, stacktest.Options{}).Client()
	first, second := newWorker(t, c, 2), newWorker(t, c, 4)
	ttl := object{"ttl_seconds": 1}
	one, two := newTask(t, c), newTask(t, c)
	lease(t, c, one.ID, first.ID, ttl)
	l2 := lease(t, c, two.ID, first.ID, ttl)
	if got := claim(t, c, second.ID, object{"max": 4}).Claims; len(got) != 0 {
		t.Fatalf("claimed before they lapsed: %+v", got)
	}
	until(t, l2.ExpiresAt)
	t.Run("by another worker", func(t *testing.T) {
		got := claim(t, c, second.ID, object{"max": 1}).Claims
		if len(got) != 1 || got[0].Task.ID != one.ID || got[0].Task.Attempts != 2 || got[0].Lease.WorkerID != second.ID {
			t.Errorf("claims %+v, want the lapsed task %s", got, one.ID)
		}
	})
	t.Run("by its id", func(t *testing.T) {
		l := lease(t, c, two.ID, second.ID)
		complete(t, c, two.ID, successBody(l.ID, "x"))
	})
	t.Run("the first worker's slots are free", func(t *testing.T) {
		stacktest.Eventually(t, shown, func() error {
			if got := getWorker(t, c, first.ID); got.ActiveLeases != 0 || len(got.Leases) != 0 {
				return fmt.Errorf("the first worker is %+v", got)
			}
			return nil
		})
	})
	t.Run("a worker that comes back", func(t *testing.T) {
		only := newWorker(t, c, 1)
		task := newTask(t, c)
		l := lease(t, c, task.ID, only.ID, ttl)
		until(t, l.ExpiresAt)
		stacktest.Eventually(t, shown, func() error {
			if got := claim(t, c, only.ID, nil).Claims; len(got) != 1 || got[0].Task.ID != task.ID {
				return fmt.Errorf("claims %+v, want the task whose lease lapsed", got)
			}
			return nil
		})
	})
	stacktest.Invariants(t, c)
}

// until waits for a moment of the server's clock, which is this machine's.
func until(t testing.TB, ms int64) {
	t.Helper()
	if wait := time.Until(time.UnixMilli(ms + 5)); wait > 0 {
		time.Sleep(wait)
	}
}

// keepAlive sends heartbeats until ctx ends; an error is one that was refused.
func keepAlive(ctx context.Context, c *stacktest.Client, task, lease string) error {
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		resp, err := c.Do(context.Background(), "POST", tasks+"/"+task+"/heartbeat", object{"lease_id": lease})
		if err != nil {
			return err
		}
		if resp.Status != http.StatusOK {
			return fmt.Errorf("a heartbeat in time: %s", resp)
		}
	}
}

// lapseShows looks for the lapse in the tasks, the leases, the worker and stats.
func lapseShows(c *stacktest.Client, status map[string]string, leases []string, worker string) error {
	ctx := context.Background()
	for id, want := range status {
		var got stacktest.Task
		if err := get(ctx, c, tasks+"/"+id, &got); err != nil {
			return err
		}
		if got.Status != want {
			return fmt.Errorf("task %s is %s, want %s", id, got.Status, want)
		}
	}
	all, err := stacktest.All[stacktest.Lease](ctx, c, "/api/runtime/leases?limit=200")
	if err != nil {
		return err
	}
	ended := map[string]string{}
	for _, l := range all {
		ended[l.ID] = l.Status
	}
	for _, id := range leases {
		if ended[id] != "expired" {
			return fmt.Errorf("lease %s is %q, want expired", id, ended[id])
		}
	}
	var w stacktest.Worker
	var stats stacktest.Stats
	if err := errors.Join(get(ctx, c, workers+"/"+worker, &w), get(ctx, c, "/api/runtime/stats", &stats)); err != nil {
		return err
	}
	if w.ActiveLeases != 1 || len(w.Leases) != 1 || stats.Leases.Active != 1 || stats.Tasks.ByStatus["dead"] != 1 { // one is kept alive
		return fmt.Errorf("worker holds %d, stats %+v", w.ActiveLeases, stats)
	}
	return nil
}

// get demands 200 and decodes the answer; for goroutines and polls.
func get(ctx context.Context, c *stacktest.Client, path string, into any) error {
	resp, err := c.Do(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	if resp.Status != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp)
	}
	return resp.Decode(into)
}

func errorOr(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}
