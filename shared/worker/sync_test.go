package worker_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/worker"
)

const now = clock.Millis(1_800_000_000_000)

func ago(d time.Duration) clock.Millis { return now.Add(-d) }

func TestSyncOfANewWorker(t *testing.T) {
	t.Parallel()
	bare := worker.Sync(nil, worker.Listing{Name: "w", Status: worker.Unknown}, now)
	if bare.ID != "w" || bare.Status != worker.Unknown || !bare.FromMembridge || bare.LastHeartbeat != 0 || bare.RegisteredAt != now ||
		!reflect.DeepEqual(bare.Capabilities, worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{}}) || bare.IPAddrs == nil {
		t.Errorf("an agent without capabilities: %+v", bare)
	}
	full := worker.Sync(nil, worker.Listing{Name: "w", URL: "http://w", Status: worker.Online, IPAddrs: []string{"1.2.3.4"}, LastSeen: ago(time.Second),
		Capabilities: &worker.Capabilities{MaxConcurrency: 4, Labels: []string{"gpu"}}}, now)
	if full.URL != "http://w" || full.Capabilities.MaxConcurrency != 4 || full.Capabilities.ClaudeCLI || full.LastHeartbeat != ago(time.Second) || full.IPAddrs[0] != "1.2.3.4" {
		t.Errorf("an agent that says it all: %+v", full)
	}
	if w := worker.Sync(nil, worker.Listing{Name: "w", LastSeen: now.Add(time.Hour)}, now); w.LastHeartbeat != now {
		t.Errorf("a last_seen in the future must count as now: %v", w.LastHeartbeat)
	}
}

// TestSyncStatus: who says what, who was heard where and when, and what is believed.
func TestSyncStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		own        bool // registered itself
		silent     bool
		known      worker.Status
		heard      time.Duration // ago, by the runtime
		said       worker.Status
		seen       time.Duration // ago, by Membridge; 0 = never
		want       worker.Status
		wantSilent bool
	}{
		{"own registration against unknown", true, false, worker.Online, time.Second, worker.Unknown, 0, worker.Online, false},
		{"own registration against unknown, long ago", true, false, worker.Online, time.Hour, worker.Unknown, 0, worker.Online, false},
		{"own offline against unknown", true, false, worker.Offline, time.Hour, worker.Unknown, 0, worker.Offline, false},
		{"heard here later than there", true, false, worker.Online, time.Second, worker.Offline, time.Minute, worker.Online, false},
		{"heard here, never there", false, false, worker.Online, time.Second, worker.Unknown, 0, worker.Online, false},
		{"heard there later than here", true, false, worker.Online, 10 * time.Second, worker.Error, time.Second, worker.Error, false},
		{"not heard for long, said to be offline", true, false, worker.Online, 2 * time.Minute, worker.Offline, 0, worker.Offline, false},
		{"not heard for long, said to be online", true, false, worker.Offline, 2 * time.Minute, worker.Online, 0, worker.Online, false},
		{"never registered itself: what Membridge says", false, false, worker.Online, time.Hour, worker.Unknown, 0, worker.Unknown, false},
		{"went silent and is heard again", true, true, worker.Offline, time.Second, worker.Unknown, 0, worker.Online, false},
		{"went silent and is silent", true, true, worker.Offline, time.Hour, worker.Unknown, 0, worker.Offline, true},
		{"went silent and Membridge says online", true, true, worker.Offline, time.Hour, worker.Online, 0, worker.Online, false},
	} {
		known := worker.Worker{ID: "w", Status: c.known, LastHeartbeat: ago(c.heard), FromMembridge: !c.own, WentSilent: c.silent}
		l := worker.Listing{Name: "w", Status: c.said}
		if c.seen != 0 {
			l.LastSeen = ago(c.seen)
		}
		w := worker.Sync(&known, l, now)
		if w.Status != c.want || w.WentSilent != c.wantSilent {
			t.Errorf("%s: %s, silent %v, want %s, %v", c.name, w.Status, w.WentSilent, c.want, c.wantSilent)
		}
		if w.LastHeartbeat != max(known.LastHeartbeat, l.LastSeen) {
			t.Errorf("%s: last heartbeat %v", c.name, w.LastHeartbeat)
		}
	}
}

// TestSyncKeepsWhatTheWorkerSaid: one that registered itself keeps its capacity, url and addresses; another takes Membridge's.
func TestSyncKeepsWhatTheWorkerSaid(t *testing.T) {
	t.Parallel()
	said := worker.Listing{Name: "w", URL: "http://there", Status: worker.Online, IPAddrs: []string{"9.9.9.9"}, Capabilities: &worker.Capabilities{MaxConcurrency: 9}}
	own := worker.Register(nil, worker.Registration{Name: "w", URL: "http://here", Status: worker.Online, IPAddrs: []string{"1.1.1.1"},
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 2}}, ago(time.Hour))
	own.Leases["l"] = "t"
	if w := worker.Sync(&own, said, now); w.URL != "http://here" || w.Capabilities.MaxConcurrency != 2 || w.IPAddrs[0] != "1.1.1.1" || len(w.Leases) != 1 {
		t.Errorf("its own: %+v", w)
	}
	listed := worker.Sync(nil, worker.Listing{Name: "w", Status: worker.Online}, ago(time.Hour))
	if w := worker.Sync(&listed, said, now); w.URL != "http://there" || w.Capabilities.MaxConcurrency != 9 || w.IPAddrs[0] != "9.9.9.9" {
		t.Errorf("Membridge's: %+v", w)
	}
	if w := worker.Sync(&own, worker.Listing{Name: "w", Status: worker.Online}, now); w.Capabilities.MaxConcurrency != 2 || w.URL != "http://here" {
		t.Errorf("what is not said changes nothing: %+v", w)
	}
	again := worker.Register(&listed, worker.Registration{Name: "w", Status: worker.Online, Capabilities: worker.Capabilities{MaxConcurrency: 3}}, now)
	if again.FromMembridge {
		t.Error("a worker that registers itself is no longer Membridge's")
	}
}

func TestUnlisted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status, want worker.Status
		silent       bool
		heard        time.Duration
		wantSilent   bool
	}{
		{worker.Online, worker.Online, false, worker.SilentAfter, false},
		{worker.Online, worker.Offline, false, worker.SilentAfter + time.Millisecond, true},
		{worker.Offline, worker.Online, true, time.Second, false},
		{worker.Offline, worker.Offline, true, time.Hour, true},
		{worker.Offline, worker.Offline, false, time.Second, false}, // it said so itself
		{worker.Unknown, worker.Unknown, false, time.Hour, false},
		{worker.Error, worker.Error, false, time.Hour, false},
	} {
		w := worker.Unlisted(worker.Worker{Status: c.status, WentSilent: c.silent, LastHeartbeat: ago(c.heard)}, now)
		if w.Status != c.want || w.WentSilent != c.wantSilent {
			t.Errorf("%+v: %s, silent %v", c, w.Status, w.WentSilent)
		}
	}
}
