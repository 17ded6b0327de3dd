package stacktest

// The objects as the contract writes them. A pointer is a field that may be
// null. Timestamps are Unix epoch milliseconds.

// Task is one LLM task.
type Task struct {
	ID              string   `json:"id"`
	ContextID       string   `json:"context_id"`
	AgentSlug       string   `json:"agent_slug"`
	Prompt          string   `json:"prompt"`
	PromptTruncated bool     `json:"prompt_truncated"`
	ContextHints    []string `json:"context_hints"`
	Policy          Policy   `json:"policy"`
	DesiredFormat   string   `json:"desired_format"`
	Status          string   `json:"status"`
	CreatedAt       int64    `json:"created_at"`
	UpdatedAt       int64    `json:"updated_at"`
	LeaseID         *string  `json:"lease_id"`
	WorkerID        *string  `json:"worker_id"`
	Attempts        int      `json:"attempts"`
	MaxAttempts     int      `json:"max_attempts"`
}

// Policy limits one run of a task.
type Policy struct {
	TimeoutSec int     `json:"timeout_sec"`
	Budget     float64 `json:"budget"`
}

// Lease is a worker's hold on a task.
type Lease struct {
	ID            string  `json:"id"`
	TaskID        string  `json:"task_id"`
	WorkerID      string  `json:"worker_id"`
	StartedAt     int64   `json:"started_at"`
	ExpiresAt     int64   `json:"expires_at"`
	TTLSeconds    int     `json:"ttl_seconds"`
	Status        string  `json:"status"`
	LastHeartbeat int64   `json:"last_heartbeat"`
	ContextID     *string `json:"context_id"`
}

// Worker is one machine that does tasks. Leases is set by GET of one worker.
type Worker struct {
	ID            string       `json:"id"`
	NodeID        string       `json:"node_id"`
	URL           string       `json:"url"`
	Status        string       `json:"status"`
	Capabilities  Capabilities `json:"capabilities"`
	LastHeartbeat *int64       `json:"last_heartbeat"`
	IPAddrs       []string     `json:"ip_addrs"`
	RegisteredAt  int64        `json:"registered_at"`
	ActiveLeases  int          `json:"active_leases"`
	AgentVersion  string       `json:"agent_version"`
	OSInfo        string       `json:"os_info"`
	InstallMethod string       `json:"install_method"`
	Leases        []Lease      `json:"leases"`
}

// Capabilities says what a worker can do.
type Capabilities struct {
	ClaudeCLI      bool     `json:"claude_cli"`
	MaxConcurrency int      `json:"max_concurrency"`
	Labels         []string `json:"labels"`
}

// Artifact is what a task produced. DownloadURL is set by GET of one artifact.
type Artifact struct {
	ID          string   `json:"id"`
	TaskID      string   `json:"task_id"`
	JobID       *string  `json:"job_id"`
	Type        string   `json:"type"`
	CreatedAt   int64    `json:"created_at"`
	Finalized   bool     `json:"finalized"`
	URL         *string  `json:"url"`
	EntityRefs  []string `json:"entity_refs"`
	Tags        []string `json:"tags"`
	Content     *string  `json:"content"`
	Size        int64    `json:"size"`
	SHA256      string   `json:"sha256"`
	DownloadURL string   `json:"download_url"`
}

// Result is how an attempt ended.
type Result struct {
	ID           string  `json:"id"`
	TaskID       string  `json:"task_id"`
	WorkerID     string  `json:"worker_id"`
	ArtifactID   *string `json:"artifact_id"`
	Status       string  `json:"status"`
	Output       *string `json:"output"`
	ErrorMessage *string `json:"error_message"`
	Metrics      struct {
		DurationMS int64  `json:"duration_ms"`
		TokensUsed *int64 `json:"tokens_used"`
	} `json:"metrics"`
	CompletedAt int64 `json:"completed_at"`
}

// Granted is the answer of lease.
type Granted struct {
	Lease  Lease  `json:"lease"`
	Worker Worker `json:"worker"`
}

// Beat is the answer of heartbeat.
type Beat struct {
	Lease     Lease `json:"lease"`
	ExpiresAt int64 `json:"expires_at"`
}

// Completed is the answer of complete.
type Completed struct {
	Task     Task      `json:"task"`
	Artifact *Artifact `json:"artifact"`
	Result   Result    `json:"result"`
}

// Dispatched is the answer of dispatch.
type Dispatched struct {
	Dispatched bool   `json:"dispatched"`
	TaskID     string `json:"task_id"`
	WorkerID   string `json:"worker_id"`
	LeaseID    string `json:"lease_id"`
}

// Claims is the answer of claim.
type Claims struct {
	Claims      []Claim `json:"claims"`
	PollAfterMS int64   `json:"poll_after_ms"`
}

// Claim is one task given to a worker that asked for work.
type Claim struct {
	Task  Task  `json:"task"`
	Lease Lease `json:"lease"`
}

// Audit is one entry of the audit log.
type Audit struct {
	ID         string `json:"id"`
	Timestamp  int64  `json:"timestamp"`
	Action     string `json:"action"`
	EntityType string `json:"entity_type"`
	EntityID   string `json:"entity_id"`
	Actor      string `json:"actor"`
	Detail     string `json:"detail"`
}

// Stats counts what there is.
type Stats struct {
	Tasks struct {
		Total    int            `json:"total"`
		ByStatus map[string]int `json:"by_status"`
	} `json:"tasks"`
	Leases struct {
		Total  int `json:"total"`
		Active int `json:"active"`
	} `json:"leases"`
	Workers struct {
		Total  int `json:"total"`
		Online int `json:"online"`
	} `json:"workers"`
}

// Failure is the one shape of an error.
type Failure struct {
	Error     string              `json:"error"`
	Code      string              `json:"code"`
	RequestID string              `json:"request_id"`
	Fields    map[string][]string `json:"fields"`
}
