package stacktest

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	for link, want := range map[string]string{
		"": "", `</api/x?cursor=a&limit=2>; rel="next"`: "/api/x?cursor=a&limit=2",
		`<https://h:1/api/x?cursor=%2F>; rel="next"`: "/api/x?cursor=%2F",
	} {
		got, err := Response{Header: http.Header{"Link": {link}}}.Next()
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", link, got, err, want)
		}
	}
	if _, err := (Response{Header: http.Header{"Link": {"</x>; rel=prev"}}}).Next(); err == nil {
		t.Error("a link that is not to the next page is an error")
	}
}

func TestReadyURL(t *testing.T) {
	got, err := readyURL("ready https://127.0.0.1:4711, http://127.0.0.1:80 redirects")
	if err != nil || got != "https://127.0.0.1:4711" {
		t.Errorf("%q, %v", got, err)
	}
	for _, line := range []string{"ready", "ready http://127.0.0.1:1", "ready https://127.0.0.1"} {
		if got, err := readyURL(line); err == nil {
			t.Errorf("%q gave %q", line, got)
		}
	}
}

func TestPoll(t *testing.T) {
	n := 0
	if err := Poll(time.Minute, func() error {
		if n++; n < 3 {
			return errors.New("not yet")
		}
		return nil
	}); err != nil || n != 3 {
		t.Errorf("%v after %d calls", err, n)
	}
	if err := Poll(0, func() error { return errors.New("never") }); err == nil {
		t.Error("want the last error")
	}
}

// TestInvariantsSeeFaults: a check that cannot fail is worth nothing.
func TestInvariantsSeeFaults(t *testing.T) {
	id, worker := "lease", "w"
	sound := func() view {
		v := view{
			tasks:   []Task{{ID: "task", Status: "leased", LeaseID: &id, WorkerID: &worker}, {ID: "other", Status: "queued"}},
			leases:  []Lease{{ID: id, TaskID: "task", WorkerID: worker, Status: "active"}},
			workers: []Worker{{ID: worker, Status: "online", ActiveLeases: 1, Capabilities: Capabilities{MaxConcurrency: 1}}},
		}
		v.stats.Tasks.Total, v.stats.Tasks.ByStatus = 2, map[string]int{"leased": 1, "queued": 1, "dead": 0}
		v.stats.Leases.Total, v.stats.Leases.Active = 1, 1
		v.stats.Workers.Total, v.stats.Workers.Online = 1, 1
		return v
	}
	check := func(v view) error {
		return errors.Join(v.leasesMatchTasks(), v.workersMatchLeases(nil), v.statsMatch())
	}
	if err := check(sound()); err != nil {
		t.Fatalf("a sound system: %v", err)
	}
	for want, damage := range map[string]func(*view){
		"does not name it":            func(v *view) { v.tasks[0].Status = "completed" },
		"names lease":                 func(v *view) { v.leases[0].Status = "expired" },
		"names no lease":              func(v *view) { v.tasks[0].LeaseID = nil },
		"names a lease or a worker":   func(v *view) { v.tasks[1].LeaseID = &id },
		"says 2 active leases":        func(v *view) { v.workers[0].ActiveLeases = 2 },
		"holds 1 of 0":                func(v *view) { v.workers[0].Capabilities.MaxConcurrency = 0 },
		"which does not exist":        func(v *view) { v.workers = nil },
		"stats":                       func(v *view) { v.stats.Tasks.ByStatus["queued"] = 2 },
		"stats {Tasks:{Total:2 BySta": func(v *view) { v.stats.Leases.Active = 0 },
	} {
		v := sound()
		damage(&v)
		if err := check(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
