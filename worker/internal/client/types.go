// Package client is the worker's side of the runtime's HTTP API: the four
// calls that a worker makes, typed, each with a timeout and a bounded body.
package client

// Statuses of a worker and of a complete.
const (
	Online  = "online"
	Offline = "offline"
	Success = "success"
	Error   = "error"
)

// Registration is the body of POST /api/runtime/workers.
type Registration struct {
	Name         string       `json:"name"`
	Status       string       `json:"status"`
	Capabilities Capabilities `json:"capabilities"`
	IPAddrs      []string     `json:"ip_addrs"`
}

// Capabilities say what tasks a worker can take, and how many at a time.
type Capabilities struct {
	ClaudeCLI      bool     `json:"claude_cli"`
	MaxConcurrency int      `json:"max_concurrency"` // 1–32
	Labels         []string `json:"labels"`
}

// Task is the part of a task that a worker needs.
type Task struct {
	ID            string `json:"id"`
	ContextID     string `json:"context_id"`
	AgentSlug     string `json:"agent_slug"`
	Prompt        string `json:"prompt"`
	Policy        Policy `json:"policy"`
	DesiredFormat string `json:"desired_format"` // text or json
	Attempts      int    `json:"attempts"`
}

// Policy limits one run.
type Policy struct {
	TimeoutSec int `json:"timeout_sec"`
}

// Lease is the right to work on a task until it expires.
type Lease struct {
	ID         string `json:"id"`
	TaskID     string `json:"task_id"`
	StartedAt  int64  `json:"started_at"` // Unix epoch, ms, the server's clock
	ExpiresAt  int64  `json:"expires_at"` // likewise
	TTLSeconds int    `json:"ttl_seconds"`
}

// Claim is a task with its lease.
type Claim struct {
	Task  Task  `json:"task"`
	Lease Lease `json:"lease"`
}

// Claims is the answer to a claim.
type Claims struct {
	Claims      []Claim `json:"claims"`
	PollAfterMS int64   `json:"poll_after_ms"`
	// ServerTime is the answer's Date in epoch ms, whole seconds; 0 = none. With
	// it an ExpiresAt can be read whatever this machine's clock says.
	ServerTime int64 `json:"-"`
}

// Completion is the body of a complete. The same one sent again is answered
// as the first was.
type Completion struct {
	LeaseID      string  `json:"lease_id"`
	Status       string  `json:"status"` // Success or Error
	Output       *string `json:"output"`
	ErrorMessage *string `json:"error_message"`
	Retryable    bool    `json:"retryable"`
	Metrics      Metrics `json:"metrics"`
}

// Metrics of one run.
type Metrics struct {
	DurationMS int64  `json:"duration_ms"`
	TokensUsed *int64 `json:"tokens_used"` // null when unknown
}

type claimRequest struct {
	Max        int `json:"max"`
	TTLSeconds int `json:"ttl_seconds"`
}

type heartbeatRequest struct {
	LeaseID string `json:"lease_id"`
}
