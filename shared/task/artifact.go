package task

import "github.com/bloom-runtime/bloom/shared/clock"

// Outcome is what a worker reports at the end of a lease.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Err     Outcome = "error"
)

// Metrics is what one run cost.
type Metrics struct {
	DurationMS int64  `json:"duration_ms"`
	TokensUsed *int64 `json:"tokens_used"` // nil: the worker does not know
}

// Artifact is what one lease produced, and the report that came with it. The
// payload is in the bucket under URL.
type Artifact struct {
	ID        string // <task id>.<ordinal of the lease>
	TaskID    string
	LeaseID   string
	N         int // ordinal of the lease within its task
	WorkerID  string
	Type      string
	Tags      []string
	CreatedAt clock.Millis
	URL       string // object key; "" without a payload
	Size      int64  // bytes of the payload
	SHA256    string // hex, of the payload; "" without one

	ResultID     string
	Outcome      Outcome
	ErrorMessage string
	Metrics      Metrics

	// RequestHash tells whether a later report of the same lease is the same one.
	RequestHash string
	// After is the state of the task right after the report, so that the same
	// report sent again is answered as it was the first time.
	After After
}

// After is the part of a task that a report changes.
type After struct {
	Status    Status
	UpdatedAt clock.Millis
	Attempts  int
	LeaseID   string
	WorkerID  string
	NotBefore clock.Millis
}

// StateAfter takes down the state of t.
func StateAfter(t Task) After {
	return After{Status: t.Status, UpdatedAt: t.UpdatedAt, Attempts: t.Attempts,
		LeaseID: t.LeaseID, WorkerID: t.WorkerID, NotBefore: t.NotBefore}
}

// Restore returns t as it was in state a.
func (a After) Restore(t Task) Task {
	t.Status, t.UpdatedAt, t.Attempts = a.Status, a.UpdatedAt, a.Attempts
	t.LeaseID, t.WorkerID, t.NotBefore = a.LeaseID, a.WorkerID, a.NotBefore
	t.Lease = LeaseClock{}
	return t
}
