package contract

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
	"golang.org/x/sync/errgroup"
)

// TestHeartbeatAgainstExpiry lets leases run out while heartbeats for them are on
// their way and another worker claims: an accepted heartbeat means that nobody
// else was given the task before the moment it named.
func TestHeartbeatAgainstExpiry(t *testing.T) {
	t.Parallel()
	c := stacktest.Start(t, stacktest.Options{}).Client()
	w, other := newWorker(t, c, 32), newWorker(t, c, 32)
	var g errgroup.Group
	var promised sync.Map // the last expires_at that a heartbeat was answered, by task
	for i := range 6 {
		task := newTask(t, c)
		l := lease(t, c, task.ID, w.ID, object{"ttl_seconds": 1})
		// The last heartbeats are sent around the moment of expiry, each task a
		// little later than the one before.
		g.Go(func() error { return beatAround(c, &promised, l, time.Duration(i*4-12)*time.Millisecond) })
	}
	taken := map[string]stacktest.Claim{}
	g.Go(func() error {
		for end := time.Now().Add(4 * time.Second); time.Now().Before(end) && len(taken) < 6; {
			var got stacktest.Claims
			if err := post(context.Background(), c, 200, workers+"/"+other.ID+"/claim", object{"max": 4}, &got); err != nil {
				return err
			}
			for _, cl := range got.Claims {
				if before, ok := taken[cl.Task.ID]; ok {
					return fmt.Errorf("claimed twice: %+v and %+v", before.Lease, cl.Lease)
				}
				taken[cl.Task.ID] = cl
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for id, cl := range taken {
		v, ok := promised.Load(id)
		if until, _ := v.(int64); ok && cl.Lease.StartedAt < until {
			t.Errorf("a heartbeat of task %s promised it until %d, it was given away at %d", id, until, cl.Lease.StartedAt)
		}
	}
	stacktest.Invariants(t, c)
}

// beatAround sends heartbeats from a moment near the expiry on, until one is
// refused, and notes what the accepted ones promised.
func beatAround(c *stacktest.Client, promised *sync.Map, l stacktest.Lease, shift time.Duration) error {
	time.Sleep(time.Until(time.UnixMilli(l.ExpiresAt)) + shift)
	for range 4 {
		resp, err := c.Do(context.Background(), "POST", tasks+"/"+l.TaskID+"/heartbeat", object{"lease_id": l.ID})
		if err != nil {
			return err
		}
		var got stacktest.Beat
		switch resp.Status {
		case http.StatusOK:
			if err := resp.Decode(&got); err != nil {
				return err
			}
			promised.Store(l.TaskID, got.ExpiresAt)
		case http.StatusConflict:
			return nil
		default:
			return fmt.Errorf("heartbeat: %s", resp)
		}
	}
	return nil
}
