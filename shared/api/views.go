package api

import (
	"fmt"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// The objects as they are on the wire. Fields that the original had keep their
// names and types.

type taskView struct {
	ID              string       `json:"id"`
	ContextID       string       `json:"context_id"`
	AgentSlug       string       `json:"agent_slug"`
	Prompt          string       `json:"prompt"`
	PromptTruncated bool         `json:"prompt_truncated,omitempty"` // in lists, of long prompts
	ContextHints    []string     `json:"context_hints"`
	Policy          task.Policy  `json:"policy"`
	DesiredFormat   task.Format  `json:"desired_format"`
	Status          task.Status  `json:"status"`
	CreatedAt       clock.Millis `json:"created_at"`
	UpdatedAt       clock.Millis `json:"updated_at"`
	LeaseID         *string      `json:"lease_id"`
	WorkerID        *string      `json:"worker_id"`
	Attempts        int          `json:"attempts"`
	MaxAttempts     int          `json:"max_attempts"`
	NotBefore       *int64       `json:"not_before"`
}

func viewTask(t task.Task) taskView {
	return taskView{
		ID: t.ID, ContextID: t.ContextID, AgentSlug: t.AgentSlug, Prompt: t.Prompt, PromptTruncated: t.PromptKey != "",
		ContextHints: t.ContextHints, Policy: t.Policy, DesiredFormat: t.DesiredFormat, Status: t.Status,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, LeaseID: orNull(t.LeaseID), WorkerID: orNull(t.WorkerID),
		Attempts: t.Attempts, MaxAttempts: t.MaxAttempts, NotBefore: momentOrNull(t.NotBefore),
	}
}

type leaseView struct {
	ID            string           `json:"id"`
	TaskID        string           `json:"task_id"`
	WorkerID      string           `json:"worker_id"`
	StartedAt     clock.Millis     `json:"started_at"`
	ExpiresAt     clock.Millis     `json:"expires_at"`
	TTLSeconds    int64            `json:"ttl_seconds"`
	Status        task.LeaseStatus `json:"status"`
	LastHeartbeat clock.Millis     `json:"last_heartbeat"`
	ContextID     *string          `json:"context_id"`
}

func viewLease(l task.Lease) leaseView {
	return leaseView{
		ID: l.ID, TaskID: l.TaskID, WorkerID: l.WorkerID, StartedAt: l.StartedAt, ExpiresAt: l.ExpiresAt,
		TTLSeconds: int64(l.TTL.Seconds()), Status: l.Status, LastHeartbeat: l.LastHeartbeat, ContextID: orNull(l.ContextID),
	}
}

type workerView struct {
	ID            string              `json:"id"`
	NodeID        string              `json:"node_id"`
	URL           string              `json:"url"`
	Status        worker.Status       `json:"status"`
	Capabilities  worker.Capabilities `json:"capabilities"`
	LastHeartbeat *int64              `json:"last_heartbeat"`
	IPAddrs       []string            `json:"ip_addrs"`
	ObsCount      int                 `json:"obs_count"`
	DBSha         string              `json:"db_sha"`
	RegisteredAt  clock.Millis        `json:"registered_at"`
	ActiveLeases  int                 `json:"active_leases"`
	AgentVersion  string              `json:"agent_version"`
	OSInfo        string              `json:"os_info"`
	InstallMethod string              `json:"install_method"`
}

func viewWorker(w worker.Worker) workerView {
	return workerView{
		ID: w.ID, NodeID: w.ID, URL: w.URL, Status: w.Status, Capabilities: w.Capabilities,
		LastHeartbeat: momentOrNull(w.LastHeartbeat), IPAddrs: w.IPAddrs, ObsCount: w.ObsCount, DBSha: w.DBSha,
		RegisteredAt: w.RegisteredAt, ActiveLeases: len(w.Leases), AgentVersion: w.AgentVersion,
		OSInfo: w.OSInfo, InstallMethod: w.InstallMethod,
	}
}

type artifactView struct {
	ID          string       `json:"id"`
	TaskID      string       `json:"task_id"`
	JobID       *string      `json:"job_id"`
	Type        string       `json:"type"`
	CreatedAt   clock.Millis `json:"created_at"`
	Finalized   bool         `json:"finalized"`
	URL         *string      `json:"url"`
	EntityRefs  []string     `json:"entity_refs"`
	Tags        []string     `json:"tags"`
	Content     *string      `json:"content"`
	Size        int64        `json:"size"`
	SHA256      string       `json:"sha256"`
	DownloadURL *string      `json:"download_url,omitempty"`
}

func viewArtifact(a task.Artifact) artifactView {
	return artifactView{
		ID: a.ID, TaskID: a.TaskID, Type: a.Type, CreatedAt: a.CreatedAt, Finalized: true, URL: orNull(a.URL),
		EntityRefs: []string{}, Tags: a.Tags, Size: a.Size, SHA256: a.SHA256,
	}
}

type resultView struct {
	ID           string       `json:"id"`
	TaskID       string       `json:"task_id"`
	WorkerID     string       `json:"worker_id"`
	ArtifactID   string       `json:"artifact_id"`
	Status       task.Outcome `json:"status"`
	Output       *string      `json:"output"`
	ErrorMessage *string      `json:"error_message"`
	Metrics      task.Metrics `json:"metrics"`
	CompletedAt  clock.Millis `json:"completed_at"`
}

// viewResult is the report as a result. The output is the caller's own: the
// table does not have it.
func viewResult(a task.Artifact, output string) resultView {
	return resultView{
		ID: a.ResultID, TaskID: a.TaskID, WorkerID: a.WorkerID, ArtifactID: a.ID, Status: a.Outcome,
		Output: orNull(output), ErrorMessage: orNull(a.ErrorMessage), Metrics: a.Metrics, CompletedAt: a.CreatedAt,
	}
}

type auditView struct {
	ID         string       `json:"id"`
	Timestamp  clock.Millis `json:"timestamp"`
	Action     string       `json:"action"`
	EntityType string       `json:"entity_type"`
	EntityID   string       `json:"entity_id"`
	Actor      string       `json:"actor"`
	Detail     string       `json:"detail"`
}

func viewAudit(e dynamo.AuditEntry) auditView {
	return auditView{ID: e.ID, Timestamp: e.Timestamp, Action: e.Action, EntityType: e.EntityType,
		EntityID: e.EntityID, Actor: e.Actor, Detail: e.Detail}
}

type configView struct {
	MembridgeServerURL string `json:"membridge_server_url"`
	AdminKeyMasked     string `json:"admin_key_masked"`
	Connected          bool   `json:"connected"`
	LastTest           *int64 `json:"last_test"`
}

func viewConfig(c dynamo.Config) configView {
	return configView{MembridgeServerURL: c.MembridgeURL, AdminKeyMasked: c.AdminKeyMasked,
		Connected: c.Connected, LastTest: momentOrNull(c.LastTest)}
}

// views maps the objects of a list; never null.
func views[T, V any](objects []T, view func(T) V) []V {
	out := make([]V, len(objects))
	for n, o := range objects {
		out[n] = view(o)
	}
	return out
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func momentOrNull(m clock.Millis) *int64 {
	if m == 0 {
		return nil
	}
	v := int64(m)
	return &v
}

// mask hides a key: its first and last four characters, nothing of a short one.
func mask(key string) string {
	r := []rune(key)
	switch {
	case len(r) == 0:
		return ""
	case len(r) <= 8:
		return "****"
	default:
		return fmt.Sprintf("%s****%s", string(r[:4]), string(r[len(r)-4:]))
	}
}
