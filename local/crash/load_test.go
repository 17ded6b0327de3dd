package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

const (
	tasks   = "/api/runtime/llm-tasks"
	workers = "/api/runtime/workers"
)

type object = map[string]any

// client does random work on one worker of its own until the server is gone. It
// notes each answer in the ledger, and the request that got none.
type client struct {
	*stacktest.Client
	worker string
	ledger *ledger
	rand   *rand.Rand
	ours   []string // tasks it created and has not seen leased
	failed []grant  // tasks that it failed and may requeue
	held   []grant  // leases it holds
	again  func() error
}

// grant is a task and the lease under which this client knows it.
type grant struct{ task, lease string }

// errGone says that a request got no answer.
var errGone = errors.New("no answer")

// ask sends one request. The error is errGone if there was no answer, and tells
// of an answer whose status is not among the wanted ones.
func (c *client) ask(path string, body any, into any, wanted ...int) (int, error) {
	resp, err := c.Do(context.Background(), "POST", path, body)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errGone, err)
	}
	c.ledger.answers.Add(1)
	if !slices.Contains(wanted, resp.Status) {
		return 0, fmt.Errorf("POST %s: want %v, got %s", path, wanted, resp)
	}
	if resp.Status < 300 {
		return resp.Status, resp.Decode(into)
	}
	return resp.Status, nil
}

// run works until the server is gone. Any other trouble is returned.
func (c *client) run() error {
	for {
		if err := c.step(); errors.Is(err, errGone) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// step does one random thing that is possible now.
func (c *client) step() error {
	switch n := c.rand.IntN(10); {
	case len(c.held) >= 3 || (len(c.held) > 0 && n < 4):
		return c.end()
	case len(c.held) > 0 && n < 6:
		return c.heartbeat()
	case len(c.failed) > 0 && n < 5:
		return c.requeue()
	case len(c.ours) > 0 && n < 8:
		return c.lease()
	case n == 9:
		return c.claim()
	default:
		return c.create()
	}
}

// try does a thing that may be done again if it gets no answer.
func (c *client) try(do func() error) error {
	c.again = do
	err := do()
	if !errors.Is(err, errGone) {
		c.again = nil
	}
	return err
}

func (c *client) create() error {
	var t stacktest.Task
	body := object{"context_id": "crash", "agent_slug": "default", "prompt": strings.Repeat("p", 1+c.rand.IntN(2000)), "max_attempts": 10}
	if _, err := c.ask(tasks, body, &t, http.StatusCreated); err != nil {
		return err
	}
	c.ledger.created(t.ID)
	c.ours = append(c.ours, t.ID)
	return nil
}

// lease asks for a task of its own, by lease or by dispatch. Another client may
// have claimed the task by now.
func (c *client) lease() error {
	task, action := c.ours[0], "lease"
	if c.rand.IntN(3) == 0 {
		action = "dispatch"
	}
	return c.try(func() error {
		var got struct {
			Lease   stacktest.Lease `json:"lease"`
			LeaseID string          `json:"lease_id"`
		}
		status, err := c.ask(tasks+"/"+task+"/"+action, object{"worker_id": c.worker}, &got,
			http.StatusCreated, http.StatusOK, http.StatusConflict)
		if errors.Is(err, errGone) {
			c.ledger.unansweredAsk(ask{task, c.worker})
		}
		if err != nil {
			return err
		}
		c.ours = c.ours[1:]
		if status == http.StatusConflict { // claimed by another, or given by a call that got no answer
			return nil
		}
		if action == "dispatch" {
			got.Lease = stacktest.Lease{ID: got.LeaseID, TaskID: task, WorkerID: c.worker}
		}
		c.take(got.Lease)
		return nil
	})
}

// take notes a lease unless it is known: a dispatched one is handed over once more
// by the next claim.
func (c *client) take(l stacktest.Lease) {
	if h := (grant{l.TaskID, l.ID}); !slices.Contains(c.held, h) {
		c.ledger.granted(l)
		c.held = append(c.held, h)
	}
}

func (c *client) claim() error {
	var got stacktest.Claims
	if _, err := c.ask(workers+"/"+c.worker+"/claim", object{"max": 2}, &got, http.StatusOK); err != nil {
		c.ledger.unansweredClaim(c.worker, 2)
		return err
	}
	for _, cl := range got.Claims {
		c.take(cl.Lease)
	}
	return nil
}

func (c *client) heartbeat() error {
	h := c.held[c.rand.IntN(len(c.held))]
	return c.try(func() error {
		var got stacktest.Beat
		_, err := c.ask(tasks+"/"+h.task+"/heartbeat", object{"lease_id": h.lease}, &got, http.StatusOK)
		if errors.Is(err, errGone) {
			c.ledger.unanswered(h.task, op{action: "heartbeat", outcome: held, lease: h.lease})
		}
		if err == nil {
			c.ledger.moved(h.task, h.lease, held, func(r *record) { r.beat = got.ExpiresAt })
		}
		return err
	})
}

// end completes a task, most often with success.
func (c *client) end() error {
	h := c.held[0]
	o := op{action: "complete", outcome: completed, lease: h.lease,
		output: fmt.Sprintf("%s %d %s", h.task, c.rand.Int64(), strings.Repeat("o", c.rand.IntN(3000)))}
	body := object{"lease_id": h.lease, "status": "success", "output": o.output, "metrics": object{"duration_ms": 5}}
	switch c.rand.IntN(8) {
	case 0:
		o.action, o.outcome = "fail", failed
		body["status"], body["error_message"] = "error", "it broke"
	case 1:
		o.action, o.outcome = "retry", queued
		body["status"], body["error_message"], body["retryable"] = "error", "try again", true
	}
	return c.try(func() error { return c.finish(h, o, body) })
}

func (c *client) finish(h grant, o op, body object) error {
	var got stacktest.Completed
	_, err := c.ask(tasks+"/"+h.task+"/complete", body, &got, http.StatusOK)
	if errors.Is(err, errGone) {
		c.ledger.unanswered(h.task, o)
	}
	if err != nil {
		return err
	}
	c.held = slices.DeleteFunc(c.held, func(x grant) bool { return x == h })
	to := o.outcome
	if to == queued && got.Task.Status == "dead" {
		to = dead // its attempts are used up
	}
	c.ledger.moved(h.task, h.lease, to, func(r *record) { r.output = o.output })
	if to == failed {
		c.failed = append(c.failed, h)
	}
	return nil
}

// requeue puts a failed task back. When it is done again for want of an answer,
// the task may be queued already.
func (c *client) requeue() error {
	h := c.failed[0]
	wanted := []int{http.StatusOK}
	return c.try(func() error {
		var got stacktest.Task
		_, err := c.ask(tasks+"/"+h.task+"/requeue", nil, &got, wanted...)
		if errors.Is(err, errGone) {
			wanted = []int{http.StatusOK, http.StatusConflict}
			c.ledger.unanswered(h.task, op{action: "requeue", outcome: queued, lease: h.lease})
		}
		if err != nil {
			return err
		}
		c.failed = c.failed[1:]
		c.ledger.moved(h.task, h.lease, queued, nil)
		return nil
	})
}

// resume goes on after a restart: it does again what got no answer, which must
// be answered as if nothing had happened, and takes over the leases that its
// worker was given without hearing of it.
func (c *client) resume(ctx context.Context) error {
	if again := c.again; again != nil {
		c.again = nil
		if err := again(); err != nil {
			return fmt.Errorf("sent again after the restart: %w", err)
		}
	}
	resp, err := c.Do(ctx, "GET", workers+"/"+c.worker, nil)
	if err != nil {
		return err
	}
	var w stacktest.Worker
	if err := resp.Decode(&w); err != nil {
		return err
	}
	for _, l := range w.Leases {
		c.take(l)
	}
	if len(c.held) != len(w.Leases) {
		return fmt.Errorf("worker %s holds %d leases, its client was given %d", c.worker, len(w.Leases), len(c.held))
	}
	return nil
}
