package contract

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func heartbeatRoute(t *testing.T, c *stacktest.Client) {
	beat := func(t *testing.T, task, lease string) stacktest.Response {
		t.Helper()
		return ask(t, c, "POST", tasks+"/"+task+"/heartbeat", object{"lease_id": lease})
	}
	w := newWorker(t, c, 32)
	t.Run("renews", func(t *testing.T) {
		task := newTask(t, c)
		l := lease(t, c, task.ID, w.ID, object{"ttl_seconds": 60})
		last := l.ExpiresAt
		for range 3 {
			resp := beat(t, task.ID, l.ID)
			wantShape(t, resp, http.StatusOK, obj(shape{
				"expires_at": moment, "lease": obj(leaseShape.also(shape{"id": is(l.ID), "status": is("active"), "ttl_seconds": is(60)})),
			}))
			var got stacktest.Beat
			if err := resp.Decode(&got); err != nil {
				t.Fatal(err)
			}
			if got.ExpiresAt < last || got.ExpiresAt != got.Lease.ExpiresAt || got.ExpiresAt-got.Lease.LastHeartbeat != 60_000 {
				t.Errorf("expires_at %d, before %d; lease %+v", got.ExpiresAt, last, got.Lease)
			}
			if got.Lease.StartedAt != l.StartedAt {
				t.Errorf("started_at moved from %d to %d", l.StartedAt, got.Lease.StartedAt)
			}
			last = got.ExpiresAt
			checkRenewed(t, c, task.ID, w.ID, got.Lease)
			time.Sleep(5 * time.Millisecond) // so that the next one is a later moment
		}
	})
	t.Run("fencing", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		other, otherLease := leased(t, c, w.ID)
		for name, wrong := range map[string]string{"unknown": unknownID, "of another task": otherLease.ID, "not a UUID": "abc"} {
			wantFailure(t, beat(t, task.ID, wrong), http.StatusConflict, "lease_lost")
			wantFailure(t, ask(t, c, "POST", tasks+"/"+task.ID+"/complete", successBody(wrong, "stolen")), http.StatusConflict, "lease_lost")
			if got := getTask(t, c, task.ID); got.Status != "leased" {
				t.Errorf("a lease id that is %s moved the task to %s", name, got.Status)
			}
		}
		complete(t, c, task.ID, successBody(l.ID, "mine"))
		wantFailure(t, beat(t, task.ID, l.ID), http.StatusConflict, "lease_lost")
		complete(t, c, other.ID, successBody(otherLease.ID, "mine too"))
	})
	t.Run("the lease before", func(t *testing.T) {
		task, old := leased(t, c, w.ID)
		complete(t, c, task.ID, errorBody(old.ID, "again", true))
		fresh := lease(t, c, task.ID, w.ID)
		wantFailure(t, beat(t, task.ID, old.ID), http.StatusConflict, "lease_lost")
		wantFailure(t, ask(t, c, "POST", tasks+"/"+task.ID+"/complete", successBody(old.ID, "late")), http.StatusConflict, "lease_lost")
		complete(t, c, task.ID, successBody(fresh.ID, "right"))
	})
	t.Run("no lease", func(t *testing.T) {
		wantFailure(t, beat(t, newTask(t, c).ID, unknownID), http.StatusNotFound, "not_found")
	})
}

// checkRenewed looks for a heartbeat's effect everywhere it shows.
func checkRenewed(t *testing.T, c *stacktest.Client, task, worker string, want stacktest.Lease) {
	t.Helper()
	if got := getTask(t, c, task); got.Status != "running" || deref(got.LeaseID) != want.ID {
		t.Errorf("after a heartbeat the task is %+v", got)
	}
	for _, l := range getWorker(t, c, worker).Leases {
		if l.ID == want.ID && l.ExpiresAt != want.ExpiresAt {
			t.Errorf("the worker's lease expires at %d, the heartbeat said %d", l.ExpiresAt, want.ExpiresAt)
		}
	}
	stacktest.Eventually(t, listedWithin, func() error {
		all, err := stacktest.All[stacktest.Lease](t.Context(), c, "/api/runtime/leases?status=active&limit=200")
		if err != nil {
			return err
		}
		n := slices.IndexFunc(all, func(l stacktest.Lease) bool { return l.ID == want.ID })
		if n < 0 || all[n].ExpiresAt != want.ExpiresAt {
			return fmt.Errorf("the active leases (%d) do not have it with the heartbeat's expires_at %d", len(all), want.ExpiresAt)
		}
		return nil
	})
}
