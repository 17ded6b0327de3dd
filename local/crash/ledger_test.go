// Package crash kills the real programs under load and checks that nothing that
// was acknowledged is lost and nothing is half done.
package crash

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// state is what the server has acknowledged last of a task.
type state string

const (
	queued    state = "queued"
	held      state = "held" // leased, or running once a heartbeat was answered
	completed state = "completed"
	failed    state = "failed"
	dead      state = "dead"
)

// record is what is known of one task from acknowledged answers, and the one
// request about it that was not answered.
type record struct {
	state   state
	lease   string // the lease granted last; "" if none yet
	worker  string // its worker
	beat    int64  // expires_at of the last heartbeat that was answered; 0 = none
	output  string // of a completed task
	pending *op
	checked bool // its artifact was downloaded and is right
}

// op is a request that got no answer: it may have been carried out or not.
type op struct {
	action  string
	outcome state  // of the task, if it was carried out
	lease   string // the lease it names
	output  string // what it completes with
}

// ask is a task that was asked for by its id, for a worker.
type ask struct{ task, worker string }

// ledger keeps the records of all tasks. Its methods are safe for concurrent use.
//
// Answers of one task may arrive here out of order when they go to different
// clients: the claim of a task may be heard before its create. An answer is
// therefore only taken over if it was about the lease that the record has; a
// grant always is news, since its holder must hear of it before it can act.
type ledger struct {
	answers atomic.Int64 // requests that were answered

	mu     sync.Mutex
	tasks  map[string]*record
	claims map[string]int // unanswered claims by worker: how many tasks they may have taken
	asks   map[ask]bool   // unanswered leases and dispatches: a task and the worker it was asked for
}

func newLedger() *ledger {
	return &ledger{tasks: map[string]*record{}, claims: map[string]int{}, asks: map[ask]bool{}}
}

func (l *ledger) created(task string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tasks[task] == nil {
		l.tasks[task] = &record{state: queued}
	}
}

func (l *ledger) granted(lease stacktest.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tasks[lease.TaskID] = &record{state: held, lease: lease.ID, worker: lease.WorkerID}
}

// moved notes an answer about a lease: a heartbeat, or the task's next state.
func (l *ledger) moved(task, lease string, to state, change func(*record)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.tasks[task]
	if r == nil || r.lease != lease {
		return
	}
	r.state, r.pending = to, nil
	if change != nil {
		change(r)
	}
}

// unanswered notes a request about a lease that got no answer.
func (l *ledger) unanswered(task string, o op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.tasks[task]; r != nil && r.lease == o.lease {
		r.pending = &o
	}
}

// unansweredAsk notes a lease or a dispatch that got no answer. What other
// clients did to the task before it may be unanswered as well.
func (l *ledger) unansweredAsk(a ask) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks[a] = true
}

func (l *ledger) unansweredClaim(worker string, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims[worker] += most
}

// check compares a task as the restarted server shows it with what was
// acknowledged. It returns an error that says what was lost.
func (l *ledger) check(id string, r *record, t stacktest.Task, leases map[string]stacktest.Lease) error {
	if r.lease != "" {
		if got, ok := leases[r.lease]; !ok || got.TaskID != id || got.WorkerID != r.worker {
			return fmt.Errorf("lease %s of task %s was acknowledged and is %+v", r.lease, id, got)
		}
	}
	could := map[state]bool{r.state: true}
	if r.pending != nil {
		could[r.pending.outcome] = true
		could[dead] = could[dead] || r.pending.action == "retry"
	}
	switch observed := state(t.Status); {
	case observed != "leased" && observed != "running":
		if could[observed] {
			return nil
		}
	case deref(t.LeaseID) == r.lease:
		if could[held] {
			return checkHeld(id, r, t, leases[r.lease])
		}
	case could[queued]:
		return l.checkTaken(id, t)
	}
	return fmt.Errorf("task %s was acknowledged as %s of lease %q (unanswered: %+v) and is %s with lease %s of %s",
		id, r.state, r.lease, r.pending, t.Status, deref(t.LeaseID), deref(t.WorkerID))
}

func checkHeld(id string, r *record, t stacktest.Task, l stacktest.Lease) error {
	if l.Status != "active" || deref(t.WorkerID) != r.worker {
		return fmt.Errorf("task %s is held under lease %s, which is %+v", id, r.lease, l)
	}
	if r.beat > 0 && (t.Status != "running" || l.ExpiresAt < r.beat) {
		return fmt.Errorf("a heartbeat of task %s was answered until %d; the task is %s, the lease expires at %d", id, r.beat, t.Status, l.ExpiresAt)
	}
	return nil
}

// checkTaken accepts that a queued task was given away by a request that got no
// answer: a lease or a dispatch of this task, or a claim.
func (l *ledger) checkTaken(id string, t stacktest.Task) error {
	worker := deref(t.WorkerID)
	if l.asks[ask{id, worker}] {
		return nil
	}
	if l.claims[worker] > 0 {
		l.claims[worker]--
		return nil
	}
	return fmt.Errorf("task %s was acknowledged as queued and is %s by worker %s, which nobody asked for", id, t.Status, worker)
}

func deref(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}
