package membridge

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// Limits of what callers say, in characters and entries; those that the original has are its own.
const (
	maxName    = 128
	maxURL     = 2048
	maxID      = 240 // a key of the table has 1024 bytes
	maxText    = 256
	maxEntries = 50
	maxEntry   = 128
)

// agentView is an agent on the wire. Fields with omitempty are not the original's.
type agentView struct {
	Name         string               `json:"name"`
	URL          string               `json:"url"`
	Status       worker.Status        `json:"status"`
	RegisteredAt float64              `json:"registered_at"`
	LastSeen     *float64             `json:"last_seen"`
	Capabilities *worker.Capabilities `json:"capabilities,omitempty"`
	IPAddrs      *[]string            `json:"ip_addrs,omitempty"`
}

func viewAgent(a dynamo.Agent) agentView {
	v := agentView{Name: a.Name, URL: a.URL, Status: a.Status, RegisteredAt: seconds(a.RegisteredAt),
		LastSeen: secondsOrNull(a.LastSeen), Capabilities: a.Capabilities}
	if a.IPAddrs != nil {
		v.IPAddrs = &a.IPAddrs
	}
	return v
}

// seconds is a moment on the wire.
func seconds(m clock.Millis) float64 { return float64(m) / 1000 }

func secondsOrNull(m clock.Millis) *float64 {
	if m == 0 {
		return nil
	}
	s := seconds(m)
	return &s
}

func (s *Server) listAgents(r request) (answer, error) {
	all, err := s.Table.Agents(r.Context())
	views := make([]agentView, len(all))
	for n, a := range all {
		views[n] = viewAgent(a)
	}
	return answer{http.StatusOK, views}, err
}

func (s *Server) registerAgent(r request) (answer, error) {
	in, err := readInput(r)
	if err != nil {
		return answer{}, err
	}
	a := readAgent(in)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	a.RegisteredAt = s.Now()
	if err := s.Table.CreateAgent(r.Context(), a); err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, viewAgent(a)}, nil
}

// readAgent reads {name, url} and what a worker may say beside it. url may be left out.
func readAgent(in *input) dynamo.Agent {
	a := dynamo.Agent{Name: in.required("name", 1, maxName), Status: worker.Unknown}
	if _, there := in.value("url"); there {
		a.URL = strings.TrimRight(in.required("url", 0, maxURL), "/")
	}
	if in.stated("status") {
		a.Status = in.status("status")
	}
	if c := in.object("capabilities"); c != nil {
		a.Capabilities = &worker.Capabilities{ClaudeCLI: c.flag("claude_cli", true), MaxConcurrency: 1, Labels: c.texts("labels", maxEntries, maxEntry)}
		if n := c.integer("max_concurrency", 1, 32); n != nil {
			a.Capabilities.MaxConcurrency = int(*n)
		}
		if a.Capabilities.Labels == nil {
			a.Capabilities.Labels = []string{}
		}
	}
	if in.stated("ip_addrs") {
		a.IPAddrs = in.texts("ip_addrs", maxEntries, maxEntry)
	}
	return a
}

// status reads one of the words for an agent's status.
func (in *input) status(name string) worker.Status {
	v := in.fields[name]
	words := make([]string, len(worker.Statuses))
	for n, s := range worker.Statuses {
		if string(v) == `"`+string(s)+`"` {
			return s
		}
		words[n] = "'" + string(s) + "'"
	}
	expected := strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	in.breaks("enum", "Input should be "+expected, map[string]any{"expected": expected}, v, name)
	return worker.Unknown
}

func (s *Server) removeAgent(r request) (answer, error) {
	if tooLong(r.param, maxName) {
		return answer{}, fault.New(fault.NotFound, "Agent '%.40s…' not found", r.param)
	}
	return answer{status: http.StatusNoContent}, s.Table.DeleteAgent(r.Context(), r.param)
}

// tooLong says that nothing can have this name, which the table might not take as a key.
func tooLong(name string, most int) bool { return len([]rune(name)) > most }

// noSync: the original calls its agent's own server, at an address that anybody may have registered.
func (s *Server) noSync(request) (answer, error) {
	return answer{http.StatusNotFound, detail{"The built-in Membridge calls no agents: run the memory sync on the node itself"}}, nil
}

func (s *Server) listJobs(request) (answer, error) { return answer{http.StatusOK, []struct{}{}}, nil }

func (s *Server) getJob(r request) (answer, error) {
	return answer{}, fault.New(fault.NotFound, "%s", fmt.Sprintf("Job '%.64s' not found", r.param))
}
