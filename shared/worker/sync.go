package worker

import (
	"time"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// SilentAfter is how long a worker that Membridge does not list stays online without being heard from.
const SilentAfter = 60 * time.Second

// Listing is what Membridge says about one of its agents.
type Listing struct {
	Name   string
	URL    string // "" = not said
	Status Status
	// Capabilities is nil when Membridge does not say them: the original never does.
	Capabilities *Capabilities
	IPAddrs      []string     // nil = not said
	LastSeen     clock.Millis // when Membridge heard from it; 0 = never
}

// Sync returns the worker as it is with what Membridge says: a new one, or known changed.
//
// What the worker says itself wins: its capacity, once it has registered; its status, as long as the runtime has heard from
// it later than Membridge and within SilentAfter, and against `unknown`, which says nothing, at any time.
func Sync(known *Worker, l Listing, now clock.Millis) Worker {
	seen := min(l.LastSeen, now) // a clock that is ahead must not keep a worker alive
	if known == nil {
		w := Worker{ID: l.Name, URL: l.URL, Status: l.Status, RegisteredAt: now, LastHeartbeat: seen, AgentVersion: "unknown",
			InstallMethod: "membridge", IPAddrs: l.IPAddrs, Leases: map[string]string{}, FromMembridge: true,
			Capabilities: Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{}}}
		if l.Capabilities != nil {
			w.Capabilities = *l.Capabilities
		}
		if w.IPAddrs == nil {
			w.IPAddrs = []string{}
		}
		return w
	}
	w := *known
	w.Status = syncStatus(*known, l.Status, seen, now)
	w.WentSilent = w.Status == Offline && known.WentSilent
	w.LastHeartbeat = max(w.LastHeartbeat, seen)
	if l.URL != "" && (w.FromMembridge || w.URL == "") {
		w.URL = l.URL
	}
	if l.IPAddrs != nil && (w.FromMembridge || len(w.IPAddrs) == 0) {
		w.IPAddrs = l.IPAddrs
	}
	if l.Capabilities != nil && w.FromMembridge {
		w.Capabilities = *l.Capabilities
	}
	return w
}

func syncStatus(known Worker, said Status, seen, now clock.Millis) Status {
	heardHere := known.LastHeartbeat > seen && now.Sub(known.LastHeartbeat) <= SilentAfter
	switch {
	case heardHere && known.WentSilent:
		return Online
	case heardHere, said == Unknown && !known.FromMembridge:
		return known.Status
	default:
		return said
	}
}

// Unlisted returns a worker that Membridge does not list: offline once it has been silent for too long, online again when it
// was offline for that and has been heard from since.
func Unlisted(known Worker, now clock.Millis) Worker {
	w := known
	silent := now.Sub(known.LastHeartbeat) > SilentAfter
	switch {
	case silent && known.Status == Online:
		w.Status, w.WentSilent = Offline, true
	case !silent && known.Status == Offline && known.WentSilent:
		w.Status, w.WentSilent = Online, false
	}
	return w
}
