// Package task is the heart of the domain: a task, the leases given on it, and
// the transitions between their states. It is pure: it reads no clock, draws no
// random number and stores nothing.
//
//	queued ──Grant──▶ leased ──Heartbeat──▶ running ──Complete──▶ completed
//	  ▲                  │                     │
//	  │                  └───────┬─────────────┘
//	  │                          ├─ Lapse   (attempts left) ──▶ queued, at once
//	  │                          ├─ Lapse   (none left)     ──▶ dead
//	  │                          ├─ Fail    (retryable, attempts left) ──▶ queued, after a backoff
//	  │                          ├─ Fail    (retryable, none left)     ──▶ dead
//	  │                          ├─ Fail    (not retryable)            ──▶ failed
//	  │                          ├─ Abandon (its worker was removed)   ──▶ queued, at once
//	  │                          └─ Cancel … ConfirmCancel or Lapse    ──▶ cancelled
//	  ├── Requeue ◀── failed, dead
//	  └── Cancel ──▶ cancelled, at once
package task

import (
	"time"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// Status is the state of a task.
type Status string

const (
	// Queued waits for a worker. Claims and leases move it on; it may stay as
	// long as nobody claims.
	Queued Status = "queued"
	// Leased is given to a worker that has not been heard from since. It stays
	// at most until its lease runs out.
	Leased Status = "leased"
	// Running is Leased with at least one heartbeat heard.
	Running Status = "running"
	// Completed is final: a worker reported success.
	Completed Status = "completed"
	// Failed rests until somebody requeues it: a worker reported an error that a
	// retry cannot mend.
	Failed Status = "failed"
	// Dead rests until somebody requeues it: every attempt was used up.
	Dead Status = "dead"
	// Cancelled is final.
	Cancelled Status = "cancelled"
)

// Statuses lists every state, in the order of the diagram.
var Statuses = []Status{Queued, Leased, Running, Completed, Failed, Dead, Cancelled}

// Held reports whether a worker holds the task in this state.
func (s Status) Held() bool { return s == Leased || s == Running }

// Resting reports whether nothing moves the task on by itself in this state.
func (s Status) Resting() bool {
	return s == Completed || s == Failed || s == Dead || s == Cancelled
}

// Format is the form of output that the client wants.
type Format string

// The formats.
const (
	Text Format = "text"
	JSON Format = "json"
)

// Policy limits one run of a task.
type Policy struct {
	TimeoutSec int     `json:"timeout_sec"` // seconds a worker may spend, 1–3600
	Budget     float64 `json:"budget"`      // tokens a worker may spend; 0 = no limit
}

// Retry says how long a task waits after a retryable error: exponential from
// Initial to Max, with full jitter.
type Retry struct {
	Initial time.Duration
	Max     time.Duration
}

// DefaultRetry waits up to 1 s after the first error, doubling up to 60 s.
var DefaultRetry = Retry{Initial: time.Second, Max: time.Minute}

// DefaultPriority is the middle of 1 (first) to 5.
const DefaultPriority = 3

// Task is one piece of LLM work.
type Task struct {
	ID            string // UUIDv7: sorts by age
	ContextID     string
	AgentSlug     string
	Prompt        string // the whole prompt, or its head when PromptKey is set
	PromptKey     string // object key of the whole prompt; "" when Prompt is whole
	ContextHints  []string
	Policy        Policy
	DesiredFormat Format
	Priority      int

	Status    Status
	CreatedAt clock.Millis
	UpdatedAt clock.Millis

	// Attempts counts the leases given since the task was created or requeued.
	Attempts    int
	MaxAttempts int
	// NotBefore holds a queued task back from claims; 0 = no.
	NotBefore clock.Millis
	// LookAt is when the queue looks at the task again: when its backoff has
	// passed or its lease may have run out; 0 = it is ready, or it rests. A
	// heartbeat leaves it behind ExpiresAt; Defer catches up.
	LookAt clock.Millis
	// CancelRequested asks the worker that holds the task to stop.
	CancelRequested bool

	// LeaseID and WorkerID name the lease that counts (the fencing token) and
	// its holder; of a resting task, the last one. Both are "" while queued.
	LeaseID  string
	WorkerID string
	// Lease is the clock of the lease that counts; the zero value while no
	// worker holds the task.
	Lease LeaseClock
	// LeaseCount numbers the leases of this task, for ever upwards.
	LeaseCount int

	// Rev changes with every write, so that a write can demand that it replaces
	// exactly what was read.
	Rev int64
}

// LeaseClock is the part of the lease that counts which each heartbeat moves.
// It lives on the task, so that a heartbeat is one write.
type LeaseClock struct {
	StartedAt     clock.Millis
	ExpiresAt     clock.Millis
	LastHeartbeat clock.Millis
	TTL           time.Duration
}

// Spec is what a client asks for; every field is set and valid.
type Spec struct {
	ContextID     string
	AgentSlug     string
	Prompt        string
	PromptKey     string
	ContextHints  []string
	Policy        Policy
	DesiredFormat Format
	MaxAttempts   int
}

// New returns a queued task and what its creation is called in the audit log.
func New(id string, s Spec, now clock.Millis) Step {
	t := Task{
		ID: id, ContextID: s.ContextID, AgentSlug: s.AgentSlug,
		Prompt: s.Prompt, PromptKey: s.PromptKey, ContextHints: s.ContextHints,
		Policy: s.Policy, DesiredFormat: s.DesiredFormat, Priority: DefaultPriority,
		Status: Queued, CreatedAt: now, UpdatedAt: now, MaxAttempts: s.MaxAttempts, Rev: 1,
	}
	return Step{To: t, Action: "task_created", Detail: "agent " + s.AgentSlug}
}

// Lapsed reports whether the task's lease has run out. What has lapsed is lost,
// even if nobody has taken the task yet.
func (t Task) Lapsed(now clock.Millis) bool {
	return t.Status.Held() && now >= t.Lease.ExpiresAt
}

// HeldBy reports whether the lease id is the one that counts, and alive.
func (t Task) HeldBy(leaseID string, now clock.Millis) bool {
	return t.Status.Held() && leaseID != "" && t.LeaseID == leaseID && !t.Lapsed(now)
}
