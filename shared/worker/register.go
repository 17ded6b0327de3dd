package worker

import "github.com/bloom-runtime/bloom/shared/clock"

// Registration is what a worker, or an admin for it, says about it. Fields that
// are "" keep what is known.
type Registration struct {
	Name          string
	URL           string
	Status        Status
	Capabilities  Capabilities
	IPAddrs       []string
	AgentVersion  string
	OSInfo        string
	InstallMethod string
}

// Register returns the worker after a registration: a new one, or known with
// what was stated. When it was first registered, and what it holds, stays.
func Register(known *Worker, r Registration, now clock.Millis) Worker {
	w := Worker{ID: r.Name, RegisteredAt: now, AgentVersion: "unknown", InstallMethod: "manual", Leases: map[string]string{}}
	if known != nil {
		w = *known
	}
	w.Status, w.Capabilities, w.IPAddrs, w.LastHeartbeat = r.Status, r.Capabilities, r.IPAddrs, now
	w.FromMembridge, w.WentSilent = false, false
	keep(&w.URL, r.URL)
	keep(&w.AgentVersion, r.AgentVersion)
	keep(&w.OSInfo, r.OSInfo)
	keep(&w.InstallMethod, r.InstallMethod)
	return w
}

func keep(known *string, said string) {
	if said != "" {
		*known = said
	}
}
