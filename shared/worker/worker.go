// Package worker holds the machines that run tasks: what they can do, whether
// they can take a task now, and which of them should. It is pure.
package worker

import (
	"time"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// Status is what is known of a worker's health.
type Status string

// Only an online worker is given tasks.
const (
	Online  Status = "online"
	Offline Status = "offline"
	Syncing Status = "syncing"
	Error   Status = "error"
	Unknown Status = "unknown"
)

// Statuses lists every status.
var Statuses = []Status{Online, Offline, Syncing, Error, Unknown}

// HeardEvery is how stale a worker's last_heartbeat may get while it is heard
// from all the time: hearing it again sooner is not worth a write.
const HeardEvery = 15 * time.Second

// Capabilities is what a worker can do.
type Capabilities struct {
	ClaudeCLI      bool     `json:"claude_cli"`
	MaxConcurrency int      `json:"max_concurrency"` // tasks at a time, 1–32
	Labels         []string `json:"labels"`
}

// Worker is one machine that runs tasks.
type Worker struct {
	ID           string // also its name, 1–128 characters
	URL          string
	Status       Status
	Capabilities Capabilities
	// LastHeartbeat is when the worker was last heard from, HeardEvery coarse.
	LastHeartbeat clock.Millis
	RegisteredAt  clock.Millis
	IPAddrs       []string
	ObsCount      int
	DBSha         string
	AgentVersion  string
	OSInfo        string
	InstallMethod string
	// FromMembridge says that Membridge lists the worker and that it has never registered itself: what it can do is what
	// Membridge says.
	FromMembridge bool
	// WentSilent says that it is offline because nobody heard from it.
	WentSilent bool

	// Leases holds what the worker works on: lease id → task id.
	Leases map[string]string
	// Handover holds the ids of leases that were dispatched to the worker and
	// that it has not fetched yet.
	Handover []string
}

// Free is how many more tasks the worker could take, whether or not it is
// online. It is negative when its concurrency was lowered below what it holds.
func (w Worker) Free() int { return w.Capabilities.MaxConcurrency - len(w.Leases) }

// CanTake reports whether the worker may be given a task now.
func (w Worker) CanTake() bool { return w.Eligible() && w.Free() > 0 }

// Eligible reports whether the worker may be given tasks at all while it has
// capacity left.
func (w Worker) Eligible() bool { return w.Status == Online && w.Capabilities.ClaudeCLI }

// Stale reports whether hearing from the worker now is worth noting.
func (w Worker) Stale(now clock.Millis) bool { return now.Sub(w.LastHeartbeat) >= HeardEvery }
