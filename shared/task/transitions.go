package task

import (
	"fmt"
	"math"
	"time"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/fault"
)

// Step is the outcome of a transition: all that must be written, together or
// not at all, and only if the task still is what From says.
type Step struct {
	From Task // the state it leaves; the zero Task at creation
	To   Task
	// Lease is the lease granted or ended by the step; nil if none is.
	Lease *Lease
	// Action and Detail are the audit entry; "" when the step is not audited.
	Action string
	Detail string
}

// Takes reports whether the step takes a slot of the lease's worker.
func (s Step) Takes() bool { return s.Lease != nil && s.Lease.Status == LeaseActive }

// Frees reports whether the step frees a slot of the lease's worker.
func (s Step) Frees() bool { return s.Lease != nil && s.Lease.Status != LeaseActive }

// Grant gives a queued task to a worker: queued → leased. leaseID is fresh.
// NotBefore does not hold: it governs claims, not a lease asked for by id.
func Grant(t Task, leaseID, workerID string, ttl time.Duration, now clock.Millis) (Step, error) {
	if t.Status != Queued {
		return Step{}, wrongState(t, "queued")
	}
	to := t.next(Leased, now)
	to.LeaseID, to.WorkerID = leaseID, workerID
	to.LeaseCount++
	to.Attempts++
	to.NotBefore = 0
	to.LookAt = now.Add(ttl)
	to.Lease = LeaseClock{StartedAt: now, ExpiresAt: now.Add(ttl), LastHeartbeat: now, TTL: ttl}
	l, _ := to.CurrentLease()
	return Step{From: t, To: to, Lease: &l, Action: "task_leased",
		Detail: fmt.Sprintf("lease %d to worker %s for %d s", to.LeaseCount, workerID, int(ttl.Seconds()))}, nil
}

// Heartbeat renews the lease: leased → running, running → running. The lease
// then lives for its TTL from now.
func Heartbeat(t Task, leaseID string, now clock.Millis) (Step, error) {
	if t.LeaseCount == 0 {
		return Step{}, fault.New(fault.NotFound, "Task %s has no lease", t.ID)
	}
	if !t.HeldBy(leaseID, now) {
		return Step{}, leaseLost()
	}
	to := t.next(Running, now)
	to.Lease.LastHeartbeat = now
	to.Lease.ExpiresAt = now.Add(t.Lease.TTL)
	return Step{From: t, To: to}, nil
}

// Complete ends the task with success: leased or running → completed.
func Complete(t Task, leaseID string, now clock.Millis) (Step, error) {
	if err := fence(t, leaseID, now); err != nil {
		return Step{}, err
	}
	to := t.rest(Completed, now)
	return Step{From: t, To: to, Lease: t.endLease(LeaseReleased, now),
		Action: "task_completed", Detail: fmt.Sprintf("by worker %s, attempt %d", t.WorkerID, t.Attempts)}, nil
}

// Fail ends the attempt with an error: leased or running → failed when a retry
// cannot mend it, → dead when no attempt is left, else → queued after a backoff.
// jitter is a random number in [0, 1).
func Fail(t Task, leaseID string, retryable bool, r Retry, jitter float64, now clock.Millis) (Step, error) {
	if err := fence(t, leaseID, now); err != nil {
		return Step{}, err
	}
	s := Step{From: t, Lease: t.endLease(LeaseReleased, now)}
	switch {
	case !retryable:
		s.To, s.Action = t.rest(Failed, now), "task_failed"
		s.Detail = fmt.Sprintf("worker %s reported an error that a retry cannot mend", t.WorkerID)
	case t.Attempts >= t.MaxAttempts:
		s.To, s.Action = t.rest(Dead, now), "task_dead"
		s.Detail = fmt.Sprintf("worker %s reported an error; all %d attempts are used up", t.WorkerID, t.MaxAttempts)
	default:
		s.To, s.Action = t.backToQueue(now), "task_requeued"
		wait := r.Backoff(t.Attempts, jitter)
		s.To.NotBefore = now.Add(wait)
		s.To.LookAt = s.To.NotBefore
		s.Detail = fmt.Sprintf("worker %s reported an error; attempt %d of %d; next not before %d ms",
			t.WorkerID, t.Attempts, t.MaxAttempts, wait.Milliseconds())
	}
	return s, nil
}

// Lapse moves on a task whose lease has run out: leased or running → queued at
// once, → dead when no attempt is left, → cancelled when that was asked for.
func Lapse(t Task, now clock.Millis) (Step, error) {
	if !t.Lapsed(now) {
		return Step{}, fault.New(fault.Conflict, "The lease of task %s has not run out", t.ID)
	}
	s := Step{From: t, Lease: t.endLease(LeaseExpired, now), Action: "lease_expired"}
	switch {
	case t.CancelRequested:
		s.To, s.Action = t.rest(Cancelled, now), "task_cancelled"
		s.Detail = fmt.Sprintf("the lease of worker %s ran out", t.WorkerID)
	case t.Attempts >= t.MaxAttempts:
		s.To, s.Action = t.rest(Dead, now), "task_dead"
		s.Detail = fmt.Sprintf("the lease of worker %s ran out; all %d attempts are used up", t.WorkerID, t.MaxAttempts)
	default:
		s.To = t.backToQueue(now)
		s.Detail = fmt.Sprintf("worker %s did not renew it; back to the queue, attempt %d of %d",
			t.WorkerID, t.Attempts, t.MaxAttempts)
	}
	return s, nil
}

// Abandon takes a task from a worker that is being removed: leased or running →
// queued at once, whatever attempts are left, since the task is not at fault.
func Abandon(t Task, now clock.Millis) (Step, error) {
	if !t.Status.Held() {
		return Step{}, wrongState(t, "leased or running")
	}
	return Step{From: t, To: t.backToQueue(now), Lease: t.endLease(LeaseFailed, now),
		Action: "task_requeued", Detail: fmt.Sprintf("worker %s was removed", t.WorkerID)}, nil
}

// Requeue gives a task that rests after errors a fresh set of attempts:
// failed or dead → queued.
func Requeue(t Task, now clock.Millis) (Step, error) {
	if t.Status != Failed && t.Status != Dead {
		return Step{}, wrongState(t, "failed or dead")
	}
	to := t.backToQueue(now)
	to.Attempts = 0
	return Step{From: t, To: to, Action: "task_requeued", Detail: "by request"}, nil
}

// Cancel stops a task: queued → cancelled at once; of a held task it only notes
// the wish, which ConfirmCancel or Lapse carries out.
func Cancel(t Task, now clock.Millis) (Step, error) {
	switch {
	case t.Status == Queued:
		return Step{From: t, To: t.rest(Cancelled, now), Action: "task_cancelled", Detail: "while queued"}, nil
	case t.Status.Held():
		to := t.next(t.Status, now)
		to.CancelRequested = true
		return Step{From: t, To: to, Action: "cancel_requested", Detail: "worker " + t.WorkerID + " holds it"}, nil
	default:
		return Step{}, wrongState(t, "queued, leased or running")
	}
}

// ConfirmCancel ends a held task whose worker has heard that it is cancelled:
// leased or running → cancelled.
func ConfirmCancel(t Task, leaseID string, now clock.Millis) (Step, error) {
	if err := fence(t, leaseID, now); err != nil {
		return Step{}, err
	}
	if !t.CancelRequested {
		return Step{}, fault.New(fault.Conflict, "Task %s was not asked to stop", t.ID)
	}
	return Step{From: t, To: t.rest(Cancelled, now), Lease: t.endLease(LeaseReleased, now),
		Action: "task_cancelled", Detail: "worker " + t.WorkerID + " stopped"}, nil
}

// Wake makes a queued task whose backoff has passed claimable without one. The
// sweep does this, so that claims see such tasks in their order.
func Wake(t Task, now clock.Millis) (Step, error) {
	if t.Status != Queued || t.NotBefore == 0 || t.NotBefore > now {
		return Step{}, fault.New(fault.Conflict, "Task %s is not waiting for a moment that has passed", t.ID)
	}
	to := t
	to.Rev++
	to.NotBefore, to.LookAt = 0, 0
	return Step{From: t, To: to}, nil
}

// Defer puts off the queue's next look at a held task to the end of its lease,
// which heartbeats have moved.
func Defer(t Task, now clock.Millis) (Step, error) {
	if !t.Status.Held() || t.Lapsed(now) || t.LookAt >= t.Lease.ExpiresAt {
		return Step{}, fault.New(fault.Conflict, "Task %s has no look to put off", t.ID)
	}
	to := t
	to.Rev++
	to.LookAt = t.Lease.ExpiresAt
	return Step{From: t, To: to}, nil
}

// Backoff is the wait after the n-th attempt failed (n from 1): full jitter over
// an exponentially growing span, as in AWS's "Exponential Backoff And Jitter".
// jitter is a random number in [0, 1).
func (r Retry) Backoff(n int, jitter float64) time.Duration {
	span := float64(r.Initial) * math.Pow(2, float64(n-1))
	return time.Duration(math.Min(span, float64(r.Max)) * jitter)
}

// fence is the error for a report that names a lease which does not count.
func fence(t Task, leaseID string, now clock.Millis) error {
	switch {
	case t.HeldBy(leaseID, now):
		return nil
	case !t.Status.Held() && (t.LeaseID == leaseID || t.LeaseCount == 0):
		return wrongState(t, "leased or running")
	default:
		return leaseLost()
	}
}

func leaseLost() error {
	return fault.New(fault.LeaseLost, "Lease was lost: it ran out, or the task went to another worker")
}

func wrongState(t Task, want string) error {
	return fault.New(fault.Conflict, "Task status is '%s', expected %s", t.Status, want)
}

func (t Task) next(s Status, now clock.Millis) Task {
	t.Status, t.UpdatedAt = s, now
	t.Rev++
	return t
}

// rest ends the hold on the task but remembers the last holder.
func (t Task) rest(s Status, now clock.Millis) Task {
	t = t.next(s, now)
	t.Lease = LeaseClock{}
	t.NotBefore, t.LookAt, t.CancelRequested = 0, 0, false
	return t
}

func (t Task) backToQueue(now clock.Millis) Task {
	t = t.rest(Queued, now)
	t.LeaseID, t.WorkerID = "", ""
	return t
}
