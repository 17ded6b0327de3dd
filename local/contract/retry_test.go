package contract

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// retries: a retryable error puts the task back while attempts are left, after a
// backoff that holds claims but not a lease by id.
func retries(t *testing.T, c *stacktest.Client) {
	w := newWorker(t, c, 4)
	t.Run("until dead", func(t *testing.T) {
		for max := 1; max <= 3; max++ {
			task := newTask(t, c, object{"max_attempts": max})
			for n := 1; n <= max; n++ {
				l := lease(t, c, task.ID, w.ID) // at once, whatever the backoff
				got := complete(t, c, task.ID, errorBody(l.ID, "again", true)).Task
				want := "queued"
				if n == max {
					want = "dead"
				}
				if got.Status != want || got.Attempts != n {
					t.Fatalf("attempt %d of %d: %s, attempts %d; want %s", n, max, got.Status, got.Attempts, want)
				}
				if want == "queued" && (got.LeaseID != nil || got.WorkerID != nil) {
					t.Errorf("a queued task names lease %s, worker %s", deref(got.LeaseID), deref(got.WorkerID))
				}
			}
			got := stacktest.Want[stacktest.Task](t, c, http.StatusOK, "POST", tasks+"/"+task.ID+"/requeue", nil)
			if got.Status != "queued" || got.Attempts != 0 {
				t.Errorf("requeued: %s, attempts %d", got.Status, got.Attempts)
			}
			l := lease(t, c, task.ID, w.ID)
			if done := complete(t, c, task.ID, successBody(l.ID, "at last")).Task; done.Attempts != 1 || done.Status != "completed" {
				t.Errorf("after requeue: %s, attempts %d", done.Status, done.Attempts)
			}
		}
	})
	t.Run("success after errors", func(t *testing.T) {
		task, l := leased(t, c, w.ID)
		complete(t, c, task.ID, errorBody(l.ID, "again", true))
		l = lease(t, c, task.ID, w.ID)
		if got := complete(t, c, task.ID, successBody(l.ID, "ok")).Task; got.Status != "completed" || got.Attempts != 2 {
			t.Errorf("%s, attempts %d", got.Status, got.Attempts)
		}
	})
	t.Run("claimed after the backoff", func(t *testing.T) {
		drain(t, c)
		task, l := leased(t, c, w.ID)
		complete(t, c, task.ID, errorBody(l.ID, "again", true))
		// The first backoff is at most a second; a sweep may have to see it first.
		stacktest.Eventually(t, 15*time.Second, func() error {
			for _, got := range claim(t, c, w.ID, object{"max": 1}).Claims {
				if got.Task.ID == task.ID && got.Task.Attempts == 2 {
					return nil
				}
			}
			return fmt.Errorf("task %s is not claimed", task.ID)
		})
	})
}
