package task_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

const (
	start   = clock.Millis(1_700_000_000_000)
	lease   = "lease-1"
	other   = "lease-2"
	theTTL  = 10 * time.Second
	beforeE = start + 9_999  // the last moment of the lease
	atEnd   = start + 10_000 // the first moment after it
)

func queued(t testing.TB) task.Task {
	t.Helper()
	return task.New("task-1", task.Spec{ContextID: "c", AgentSlug: "a", Prompt: "p", MaxAttempts: 3}, start).To
}

// in returns a task in a state, reached by legal steps; of a held one the lease is
// "lease-1", granted at start for 10 s.
func in(t testing.TB, s task.Status) task.Task {
	t.Helper()
	k := queued(t)
	if s == task.Queued {
		return k
	}
	if s == task.Cancelled {
		return must(t)(task.Cancel(k, start)).To
	}
	k = must(t)(task.Grant(k, lease, "w", theTTL, start)).To
	switch s {
	case task.Running:
		k = must(t)(task.Heartbeat(k, lease, start)).To
	case task.Completed:
		k = must(t)(task.Complete(k, lease, start)).To
	case task.Failed:
		k = must(t)(task.Fail(k, lease, false, task.DefaultRetry, 0, start)).To
	case task.Dead:
		k.Attempts = k.MaxAttempts
		k = must(t)(task.Fail(k, lease, true, task.DefaultRetry, 0, start)).To
	}
	if k.Status != s {
		t.Fatalf("setting up %s gave %s", s, k.Status)
	}
	return k
}

func must(t testing.TB) func(task.Step, error) task.Step {
	return func(s task.Step, err error) task.Step {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

type transition struct {
	name string
	do   func(task.Task) (task.Step, error)
	// want says what each state becomes; a state that is missing is illegal.
	want map[task.Status]task.Status
}

var transitions = []transition{
	{"Grant", func(k task.Task) (task.Step, error) { return task.Grant(k, other, "w2", theTTL, beforeE) },
		map[task.Status]task.Status{task.Queued: task.Leased}},
	{"Heartbeat", func(k task.Task) (task.Step, error) { return task.Heartbeat(k, lease, beforeE) },
		map[task.Status]task.Status{task.Leased: task.Running, task.Running: task.Running}},
	{"Heartbeat by another lease", func(k task.Task) (task.Step, error) { return task.Heartbeat(k, other, beforeE) }, nil},
	{"Heartbeat too late", func(k task.Task) (task.Step, error) { return task.Heartbeat(k, lease, atEnd) }, nil},
	{"Complete", func(k task.Task) (task.Step, error) { return task.Complete(k, lease, beforeE) },
		map[task.Status]task.Status{task.Leased: task.Completed, task.Running: task.Completed}},
	{"Complete by another lease", func(k task.Task) (task.Step, error) { return task.Complete(k, other, beforeE) }, nil},
	{"Complete too late", func(k task.Task) (task.Step, error) { return task.Complete(k, lease, atEnd) }, nil},
	{"Fail for good", func(k task.Task) (task.Step, error) {
		return task.Fail(k, lease, false, task.DefaultRetry, 0.5, beforeE)
	}, map[task.Status]task.Status{task.Leased: task.Failed, task.Running: task.Failed}},
	{"Fail, to be retried", func(k task.Task) (task.Step, error) {
		return task.Fail(k, lease, true, task.DefaultRetry, 0.5, beforeE)
	}, map[task.Status]task.Status{task.Leased: task.Queued, task.Running: task.Queued}},
	{"Fail, no attempt left", func(k task.Task) (task.Step, error) {
		k.Attempts = k.MaxAttempts
		return task.Fail(k, lease, true, task.DefaultRetry, 0.5, beforeE)
	}, map[task.Status]task.Status{task.Leased: task.Dead, task.Running: task.Dead}},
	{"Fail by another lease", func(k task.Task) (task.Step, error) {
		return task.Fail(k, other, true, task.DefaultRetry, 0.5, beforeE)
	}, nil},
	{"Lapse", func(k task.Task) (task.Step, error) { return task.Lapse(k, atEnd) },
		map[task.Status]task.Status{task.Leased: task.Queued, task.Running: task.Queued}},
	{"Lapse too early", func(k task.Task) (task.Step, error) { return task.Lapse(k, beforeE) }, nil},
	{"Lapse, no attempt left", func(k task.Task) (task.Step, error) {
		k.Attempts = k.MaxAttempts
		return task.Lapse(k, atEnd)
	}, map[task.Status]task.Status{task.Leased: task.Dead, task.Running: task.Dead}},
	{"Lapse, cancel asked for", func(k task.Task) (task.Step, error) {
		k.CancelRequested = true
		return task.Lapse(k, atEnd)
	}, map[task.Status]task.Status{task.Leased: task.Cancelled, task.Running: task.Cancelled}},
	{"Abandon", func(k task.Task) (task.Step, error) { return task.Abandon(k, beforeE) },
		map[task.Status]task.Status{task.Leased: task.Queued, task.Running: task.Queued}},
	{"Requeue", func(k task.Task) (task.Step, error) { return task.Requeue(k, atEnd) },
		map[task.Status]task.Status{task.Failed: task.Queued, task.Dead: task.Queued}},
	{"Cancel", func(k task.Task) (task.Step, error) { return task.Cancel(k, beforeE) },
		map[task.Status]task.Status{task.Queued: task.Cancelled, task.Leased: task.Leased, task.Running: task.Running}},
	{"ConfirmCancel unasked", func(k task.Task) (task.Step, error) { return task.ConfirmCancel(k, lease, beforeE) }, nil},
	{"ConfirmCancel", func(k task.Task) (task.Step, error) {
		k.CancelRequested = true
		return task.ConfirmCancel(k, lease, beforeE)
	}, map[task.Status]task.Status{task.Leased: task.Cancelled, task.Running: task.Cancelled}},
	{"ConfirmCancel by another lease", func(k task.Task) (task.Step, error) {
		k.CancelRequested = true
		return task.ConfirmCancel(k, other, beforeE)
	}, nil},
	{"Wake", func(k task.Task) (task.Step, error) {
		k.NotBefore, k.LookAt = start+5, start+5
		return task.Wake(k, start+5)
	}, map[task.Status]task.Status{task.Queued: task.Queued}},
	{"Wake too early", func(k task.Task) (task.Step, error) {
		k.NotBefore, k.LookAt = start+5, start+5
		return task.Wake(k, start+4)
	}, nil},
	{"Defer", func(k task.Task) (task.Step, error) {
		k.Lease.ExpiresAt = k.LookAt + 1
		return task.Defer(k, k.LookAt)
	}, map[task.Status]task.Status{task.Leased: task.Leased, task.Running: task.Running}},
	{"Defer of a lease that was not renewed", func(k task.Task) (task.Step, error) {
		return task.Defer(k, beforeE)
	}, nil},
}

func TestEveryTransitionFromEveryState(t *testing.T) {
	t.Parallel()
	for _, tr := range transitions {
		for _, from := range task.Statuses {
			t.Run(tr.name+" from "+string(from), func(t *testing.T) {
				t.Parallel()
				k := in(t, from)
				s, err := tr.do(k)
				want, legal := tr.want[from]
				if !legal {
					if err == nil {
						t.Fatalf("%s → %s, want it refused", from, s.To.Status)
					}
					if c := fault.CodeOf(err); c != fault.Conflict && c != fault.LeaseLost && c != fault.NotFound {
						t.Fatalf("refused with %s, want conflict, lease_lost or not_found", c)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if s.To.Status != want {
					t.Fatalf("%s → %s, want %s", from, s.To.Status, want)
				}
				checkStep(t, s)
			})
		}
	}
}

// checkStep holds what is true of every step.
func checkStep(t testing.TB, s task.Step) {
	t.Helper()
	to := s.To
	if to.Rev != s.From.Rev+1 {
		t.Errorf("rev %d → %d, want one more", s.From.Rev, to.Rev)
	}
	if to.Status.Held() != (to.Lease != task.LeaseClock{}) {
		t.Errorf("%s with lease clock %+v", to.Status, to.Lease)
	}
	if to.Status == task.Queued && (to.LeaseID != "" || to.WorkerID != "") {
		t.Errorf("queued with lease %q of worker %q", to.LeaseID, to.WorkerID)
	}
	if to.Status.Resting() && to.LookAt != 0 {
		t.Errorf("%s, yet the queue looks at it at %d", to.Status, to.LookAt)
	}
	if to.Status.Held() && to.LookAt > to.Lease.ExpiresAt {
		t.Errorf("looked at %d, after its lease ends at %d", to.LookAt, to.Lease.ExpiresAt)
	}
	wasHeld, isHeld := s.From.Status.Held(), to.Status.Held()
	if s.Takes() != (!wasHeld && isHeld) || s.Frees() != (wasHeld && !isHeld) {
		t.Errorf("%s → %s: takes a slot %v, frees one %v", s.From.Status, to.Status, s.Takes(), s.Frees())
	}
	if s.Frees() && s.Lease.EndedAt == 0 {
		t.Error("an ended lease without its end")
	}
}

func TestGrantCountsAttemptsAndStartsTheClock(t *testing.T) {
	t.Parallel()
	s := must(t)(task.Grant(queued(t), lease, "w", theTTL, start))
	if s.To.Attempts != 1 || s.To.LeaseCount != 1 || s.Lease.N != 1 {
		t.Errorf("attempts %d, leases %d, n %d, want 1 each", s.To.Attempts, s.To.LeaseCount, s.Lease.N)
	}
	if s.To.Lease.ExpiresAt != atEnd || s.To.LookAt != atEnd || s.Lease.Status != task.LeaseActive {
		t.Errorf("expires %d, looked at %d, %s", s.To.Lease.ExpiresAt, s.To.LookAt, s.Lease.Status)
	}
}

func TestGrantById_IgnoresNotBefore(t *testing.T) {
	t.Parallel()
	k := must(t)(task.Fail(in(t, task.Running), lease, true, task.DefaultRetry, 0.9, start)).To
	if k.NotBefore == 0 {
		t.Fatal("no backoff")
	}
	if s := must(t)(task.Grant(k, other, "w", theTTL, start)); s.To.NotBefore != 0 {
		t.Error("the backoff outlived the lease")
	}
}

func TestHeartbeatMovesTheEndAndNotTheLook(t *testing.T) {
	t.Parallel()
	k := in(t, task.Leased)
	s := must(t)(task.Heartbeat(k, lease, beforeE))
	if s.To.Lease.ExpiresAt != beforeE.Add(theTTL) {
		t.Errorf("expires %d, want %d", s.To.Lease.ExpiresAt, beforeE.Add(theTTL))
	}
	if s.To.LookAt != k.LookAt || s.Action != "" || s.Lease != nil {
		t.Errorf("a heartbeat must touch nothing but the lease's clock: %+v", s)
	}
	d := must(t)(task.Defer(s.To, atEnd))
	if d.To.LookAt != s.To.Lease.ExpiresAt || d.To.UpdatedAt != s.To.UpdatedAt {
		t.Errorf("put off to %d, want %d, and nothing else", d.To.LookAt, s.To.Lease.ExpiresAt)
	}
}

func TestCancelOfAHeldTaskIsHeardLater(t *testing.T) {
	t.Parallel()
	s := must(t)(task.Cancel(in(t, task.Running), start))
	if !s.To.CancelRequested || s.To.Status != task.Running {
		t.Fatalf("%+v", s.To)
	}
	done := must(t)(task.ConfirmCancel(s.To, lease, start))
	if done.To.Status != task.Cancelled || done.To.CancelRequested || done.Lease.Status != task.LeaseReleased {
		t.Errorf("%+v %+v", done.To, done.Lease)
	}
}

func TestRequeueGivesFreshAttempts(t *testing.T) {
	t.Parallel()
	s := must(t)(task.Requeue(in(t, task.Dead), atEnd))
	if s.To.Attempts != 0 || s.To.LeaseCount == 0 {
		t.Errorf("attempts %d, leases %d: attempts start anew, the count of leases goes on", s.To.Attempts, s.To.LeaseCount)
	}
}

func TestHeartbeatWithoutAnyLeaseIsNotFound(t *testing.T) {
	t.Parallel()
	if _, err := task.Heartbeat(queued(t), lease, start); !fault.Is(err, fault.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, jitter := rapid.IntRange(1, 100).Draw(t, "n"), rapid.Float64Range(0, 0.999).Draw(t, "jitter")
		wait := task.DefaultRetry.Backoff(n, jitter)
		span := min(time.Second<<min(n-1, 20), time.Minute)
		if wait < 0 || wait > span {
			t.Fatalf("after %d attempts %s, want within %s", n, wait, span)
		}
	})
	if got := task.DefaultRetry.Backoff(3, 0.5); got != 2*time.Second {
		t.Errorf("half of the third span is %s, want 2 s", got)
	}
}

// TestAnyWalkKeepsTheRules takes random steps, legal or not, and holds the rules of
// every task.
func TestAnyWalkKeepsTheRules(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now, k := start, task.New("task-1", task.Spec{MaxAttempts: rapid.IntRange(1, 4).Draw(t, "max")}, start).To
		for range 40 {
			now += clock.Millis(rapid.Int64Range(0, 12_000).Draw(t, "wait"))
			s, err := randomStep(t, k, now)
			if err != nil {
				continue
			}
			if s.To.Attempts > s.To.MaxAttempts+s.To.LeaseCount {
				t.Fatalf("%d attempts of %d", s.To.Attempts, s.To.MaxAttempts)
			}
			if s.To.LeaseCount < k.LeaseCount {
				t.Fatal("the count of leases went down")
			}
			if s.Takes() == s.Frees() && k.Status.Held() != s.To.Status.Held() {
				t.Fatalf("%s → %s without a slot", k.Status, s.To.Status)
			}
			k = s.To
		}
	})
}

func randomStep(t *rapid.T, k task.Task, now clock.Millis) (task.Step, error) {
	id := rapid.SampledFrom([]string{k.LeaseID, "stranger"}).Draw(t, "lease")
	switch rapid.IntRange(0, 8).Draw(t, "kind") {
	case 0:
		return task.Grant(k, "lease-"+string(rune('a'+k.LeaseCount%26)), "w", theTTL, now)
	case 1:
		return task.Heartbeat(k, id, now)
	case 2:
		return task.Complete(k, id, now)
	case 3:
		return task.Fail(k, id, rapid.Bool().Draw(t, "retryable"), task.DefaultRetry, 0.3, now)
	case 4:
		return task.Lapse(k, now)
	case 5:
		return task.Abandon(k, now)
	case 6:
		return task.Requeue(k, now)
	case 7:
		return task.Wake(k, now)
	default:
		return task.Defer(k, now)
	}
}
