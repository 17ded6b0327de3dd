package dynamo_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// TestRefusedInPassing: what DynamoDB takes a moment later succeeds.
func TestRefusedInPassing(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]dynamodb.Faults{
		"throttled":    {Throttles: 0.2},
		"in conflict":  {Conflicts: 0.5, Overlaps: true},
		"lost answers": {LostAnswers: 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			on.Seed = 1
			r := openOn(t, embedded(t, on))
			r.register("w", 2)
			for range 5 {
				k := r.create("ctx")
				l := r.lease(k.ID, "w")
				r.clock.advance(time.Second)
				if _, err := r.Heartbeat(t.Context(), k.ID, l.ID); err != nil {
					t.Fatal(err)
				}
				if err := r.complete(l); err != nil {
					t.Fatal(err)
				}
				if got := r.task(k.ID); got.Status != task.Completed || got.Attempts != 1 {
					t.Errorf("task %+v", got)
				}
			}
			if w := r.worker("w"); len(w.Leases) != 0 || w.Free() != 2 {
				t.Errorf("worker %+v", w)
			}
		})
	}
}

// TestUnprocessedIsAskedForAgain, of batches that are read and written.
func TestUnprocessedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	r := openOn(t, embedded(t, dynamodb.Faults{Seed: 1, Unprocessed: 0.5}))
	var entries []dynamo.AuditEntry
	for range 60 {
		r.create("ctx")
		entries = append(entries, dynamo.AuditEntry{ID: dynamo.NewID(), Timestamp: r.clock.now(), Action: "a", EntityType: "e", EntityID: "1", Actor: "x"})
	}
	if err := r.RecordAll(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	if got, _, err := r.Audit(t.Context(), dynamo.Page{Limit: 200}); err != nil || len(got) != 60 {
		t.Errorf("%d of 60 entries, %v", len(got), err)
	}
	if got, _, err := r.Tasks(t.Context(), "", dynamo.Page{Limit: 200}); err != nil || len(got) != 60 {
		t.Errorf("%d of 60 tasks, %v", len(got), err)
	}
}

// TestRefusedForGood: the caller is told to come again, and not that something broke.
func TestRefusedForGood(t *testing.T) {
	t.Parallel()
	create := func(r *rig) error {
		s := task.New(dynamo.NewID(), task.Spec{ContextID: "c", AgentSlug: "a", Prompt: "p", MaxAttempts: 3}, r.clock.now())
		return r.CreateTask(r.t.Context(), s, "tester")
	}
	read := func(r *rig) error {
		_, err := r.Worker(r.t.Context(), "w")
		return err
	}
	for _, tc := range []struct {
		name string
		on   dynamodb.Faults
		call func(*rig) error
	}{
		{"throttled write", dynamodb.Faults{Throttles: 1}, create},
		{"throttled read", dynamodb.Faults{Throttles: 1}, read},
		{"in conflict", dynamodb.Faults{Conflicts: 1}, create},
		{"lost answers", dynamodb.Faults{LostAnswers: 1}, read},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			wantCode(t, tc.call(openOn(t, embedded(t, tc.on))), fault.Unavailable)
		})
	}
	t.Run("a creation is recognised", func(t *testing.T) {
		t.Parallel()
		if err := create(openOn(t, embedded(t, dynamodb.Faults{LostAnswers: 1}))); err != nil {
			t.Error(err)
		}
	})
}

// TestARegistrationWhoseAnswerWasLost is one registration.
func TestARegistrationWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	r := openOn(t, embedded(t, dynamodb.Faults{Seed: 1, LostAnswers: 0.3}))
	for n := range 20 {
		_, created, err := r.RegisterWorker(t.Context(), worker.Registration{Name: fmt.Sprint("w", n), Status: worker.Online,
			Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1}}, "tester")
		if err != nil || !created {
			t.Errorf("worker %d: created %v, %v", n, created, err)
		}
	}
}

// TestACreationInTheRegistryWhoseAnswerWasLost is no conflict; a second one is.
func TestACreationInTheRegistryWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	r := openOn(t, embedded(t, dynamodb.Faults{Seed: 1, LostAnswers: 0.3}))
	for n := range 20 {
		name := fmt.Sprint("n", n)
		if err := r.CreateAgent(t.Context(), dynamo.Agent{Name: name, Status: worker.Unknown}); err != nil {
			t.Errorf("agent %d: %v", n, err)
		}
		wantCode(t, r.CreateAgent(t.Context(), dynamo.Agent{Name: name, Status: worker.Unknown}), fault.Conflict)
		if p, err := r.CreateProject(t.Context(), name, name); err != nil || p.Name != name {
			t.Errorf("project %d: %+v, %v", n, p, err)
		}
		_, err := r.CreateProject(t.Context(), name, name)
		wantCode(t, err, fault.Conflict)
	}
}

// TestAHandOverWhoseAnswerWasLost gives the lease to its worker all the same, and once.
func TestAHandOverWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	r := openOn(t, embedded(t, dynamodb.Faults{Seed: 1, LostAnswers: 0.3}))
	r.register("w", 32)
	for range 5 {
		var want, got []string
		for range 3 {
			l, _, err := r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: r.create("ctx").ID, WorkerID: "w", TTL: time.Minute, Handover: true}, "tester")
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, l.ID)
		}
		for range 3 {
			claims, err := r.Claim(t.Context(), "w", 2, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range claims {
				got = append(got, c.Lease.ID)
			}
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("handed over %v, want %v", got, want)
		}
	}
}

// TestAHeartbeatWhoseAnswerWasLost still shows that the worker is alive.
func TestAHeartbeatWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	r := openOn(t, embedded(t, dynamodb.Faults{Seed: 1, LostAnswers: 0.3}))
	r.register("w", 1)
	k := r.create("ctx")
	l := r.lease(k.ID, "w")
	for n := range 20 {
		r.clock.advance(50 * time.Second)
		if _, err := r.Heartbeat(t.Context(), k.ID, l.ID); err != nil {
			t.Fatal(err)
		}
		if w := r.worker("w"); w.LastHeartbeat != r.clock.now() {
			t.Fatalf("heartbeat %d: heard at %d, want %d", n, w.LastHeartbeat, r.clock.now())
		}
	}
}

// TestPagesThatEndEarly: lists are whole.
func TestPagesThatEndEarly(t *testing.T) {
	t.Parallel()
	r := openOn(t, embedded(t, dynamodb.Faults{Seed: 1, ShortPages: 0.9}))
	r.register("w", 32)
	var want []string
	for range 40 {
		k := r.create("ctx")
		want = append([]string{k.ID}, want...)
		if len(want) <= 20 {
			r.lease(k.ID, "w")
		}
	}
	walk := func(status task.Status, limit int) (got []string) {
		for p := (dynamo.Page{Limit: limit}); ; {
			tasks, next, err := r.Tasks(t.Context(), status, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range tasks {
				got = append(got, k.ID)
			}
			if next != "" && len(tasks) < limit {
				t.Errorf("a page of %d, limit %d, before the last", len(tasks), limit)
			}
			if p.Cursor = next; next == "" {
				return got
			}
		}
	}
	for _, limit := range []int{1, 7, 200} {
		if got := walk("", limit); !slices.Equal(got, want) {
			t.Errorf("limit %d: %d of %d tasks", limit, len(got), len(want))
		}
		if got := walk(task.Leased, limit); !slices.Equal(got, want[20:]) {
			t.Errorf("limit %d: %d of 20 leased tasks", limit, len(got))
		}
		if got := walk(task.Queued, limit); !slices.Equal(got, want[:20]) {
			t.Errorf("limit %d: %d of 20 queued tasks", limit, len(got))
		}
	}
}
