package worker_test

import (
	"testing"

	"github.com/bloom-runtime/bloom/shared/worker"
)

func free(id string, limit, held int) worker.Worker {
	w := worker.Worker{ID: id, Status: worker.Online,
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: limit}, Leases: map[string]string{}}
	for n := range held {
		w.Leases[id+string(rune('a'+n))] = "task"
	}
	return w
}

func TestChoose(t *testing.T) {
	t.Parallel()
	offline, noCLI := free("offline", 8, 0), free("no-cli", 8, 0)
	offline.Status, noCLI.Capabilities.ClaudeCLI = worker.Offline, false
	for _, c := range []struct {
		name           string
		sticky, others []worker.Worker
		want           string // "" = none
	}{
		{"nobody", nil, nil, ""},
		{"the only one", nil, []worker.Worker{free("a", 1, 0)}, "a"},
		{"the one with the most free capacity", nil, []worker.Worker{free("a", 4, 3), free("b", 3, 1), free("c", 1, 0)}, "b"},
		{"equals go by id", nil, []worker.Worker{free("b", 1, 0), free("a", 1, 0)}, "a"},
		{"the holder of the context, though others are freer", []worker.Worker{free("a", 2, 1)}, []worker.Worker{free("b", 9, 0)}, "a"},
		{"the freest holder", []worker.Worker{free("a", 2, 1), free("b", 4, 1)}, nil, "b"},
		{"another one when the holder is full", []worker.Worker{free("a", 1, 1)}, []worker.Worker{free("b", 1, 0)}, "b"},
		{"nobody full", nil, []worker.Worker{free("a", 2, 2)}, ""},
		{"nobody over full", nil, []worker.Worker{free("a", 1, 2)}, ""},
		{"nobody offline", nil, []worker.Worker{offline}, ""},
		{"nobody without the CLI", nil, []worker.Worker{noCLI}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, ok := worker.Choose(c.sticky, c.others)
			if ok != (c.want != "") || w.ID != c.want {
				t.Errorf("chose %q (%v), want %q", w.ID, ok, c.want)
			}
		})
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	first := worker.Register(nil, worker.Registration{Name: "w", URL: "http://w", Status: worker.Online,
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 2}, OSInfo: "linux"}, 100)
	if first.RegisteredAt != 100 || first.AgentVersion != "unknown" || first.InstallMethod != "manual" || first.Free() != 2 {
		t.Errorf("first: %+v", first)
	}
	first.Leases["l"] = "t"
	again := worker.Register(&first, worker.Registration{Name: "w", Status: worker.Offline,
		Capabilities: worker.Capabilities{MaxConcurrency: 1}}, 200)
	if again.RegisteredAt != 100 || again.URL != "http://w" || again.OSInfo != "linux" {
		t.Errorf("a registration must keep what it does not state: %+v", again)
	}
	if again.LastHeartbeat != 200 || again.Status != worker.Offline || again.Free() != 0 || again.CanTake() {
		t.Errorf("again: %+v", again)
	}
}

func TestStale(t *testing.T) {
	t.Parallel()
	w := worker.Worker{LastHeartbeat: 1000}
	if w.Stale(1000+14_999) || !w.Stale(1000+15_000) {
		t.Error("a worker is stale from 15 s on")
	}
}
