package dynamo_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

func (r *rig) claim(workerID string, limit int) []dynamo.Claim {
	r.t.Helper()
	claims, err := r.Claim(r.t.Context(), workerID, limit, time.Minute)
	if err != nil {
		r.t.Fatal(err)
	}
	return claims
}

func TestClaimsTakeTheOldestFirst(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 5)
	var ids []string
	for range 5 {
		ids = append(ids, r.create("x").ID)
	}
	for n, c := range append(r.claim("w", 2), r.claim("w", 9)...) {
		if c.Task.ID != ids[n] || c.Lease.WorkerID != "w" || c.Task.Status != task.Leased {
			t.Errorf("claim %d: %+v", n, c)
		}
	}
	r.create("x")
	if claims := r.claim("w", 1); len(claims) != 0 {
		t.Errorf("a full worker got %+v", claims)
	}
	_, err := r.Claim(t.Context(), "nobody", 1, time.Minute)
	wantCode(t, err, fault.NotFound)
}

func TestAClaimFindsLapsedLeasesByItself(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("gone", 1)
	r.register("w", 1)
	k := r.create("x")
	r.lease(k.ID, "gone")
	r.clock.advance(time.Minute)
	if claims := r.claim("w", 1); len(claims) != 1 || claims[0].Task.ID != k.ID || claims[0].Lease.N != 2 {
		t.Fatalf("claimed %+v", claims)
	}
}

func TestDispatchedLeasesAreHandedOverOnceAndFirst(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 3)
	r.create("older")
	k := r.create("x")
	l, _, err := r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: k.ID, TTL: time.Minute, Handover: true}, "tester")
	if err != nil {
		t.Fatal(err)
	}
	if claims := r.claim("w", 1); len(claims) != 1 || claims[0].Lease.ID != l.ID {
		t.Fatalf("first claim %+v, want the dispatched lease", claims)
	}
	if claims := r.claim("w", 3); len(claims) != 1 || claims[0].Task.ID == k.ID {
		t.Fatalf("second claim %+v, want the older task alone", claims)
	}
	if err := r.complete(l); err != nil {
		t.Fatal(err)
	}
	if w := r.worker("w"); len(w.Handover) != 0 {
		t.Errorf("still to hand over: %v", w.Handover)
	}
}

func TestADispatchedLeaseThatEndedIsNotHandedOver(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	k := r.create("x")
	if _, _, err := r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: k.ID, TTL: time.Minute, Handover: true}, "tester"); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(time.Minute)
	claims := r.claim("w", 1)
	if len(claims) != 0 && claims[0].Lease.N != 2 {
		t.Fatalf("handed over a dead lease: %+v", claims)
	}
	if claims := r.claim("w", 1); len(claims) == 1 && claims[0].Lease.N != 2 {
		t.Fatalf("handed over a dead lease: %+v", claims)
	}
	if w := r.worker("w"); len(w.Handover) != 0 {
		t.Errorf("still to hand over: %v", w.Handover)
	}
}

func TestAClaimBringsAWorkerBackOnline(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	if _, _, err := r.RegisterWorker(t.Context(), worker.Registration{Name: "w", Status: worker.Offline,
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1}}, "tester"); err != nil {
		t.Fatal(err)
	}
	k := r.create("x")
	_, _, err := r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: k.ID, TTL: time.Minute}, "tester")
	wantCode(t, err, fault.NoWorker)
	if claims := r.claim("w", 1); len(claims) != 1 {
		t.Fatalf("claimed %+v", claims)
	}
	if w := r.worker("w"); w.Status != worker.Online {
		t.Errorf("worker %+v", w)
	}
}

func TestALongPromptComesAlone(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 3)
	for range 2 {
		s := task.New(dynamo.NewID(), task.Spec{ContextID: "x", AgentSlug: "a", Prompt: "head", PromptKey: "prompts/x",
			MaxAttempts: 1, DesiredFormat: task.Text}, r.clock.now())
		if err := r.CreateTask(t.Context(), s, "tester"); err != nil {
			t.Fatal(err)
		}
	}
	r.create("short")
	if claims := r.claim("w", 3); len(claims) != 2 {
		t.Errorf("claimed %d, want one long and one short", len(claims))
	}
	if claims := r.claim("w", 3); len(claims) != 1 {
		t.Errorf("claimed %d, want the other long one", len(claims))
	}
}

func TestManyLeasesOfOneTask(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 32)
	k := r.create("x")
	var wg sync.WaitGroup
	got := make(chan error, 64)
	for range 64 {
		wg.Go(func() {
			_, _, err := r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: k.ID, TTL: time.Minute}, "tester")
			got <- err
		})
	}
	wg.Wait()
	close(got)
	won := 0
	for err := range got {
		if err == nil {
			won++
			continue
		}
		wantCode(t, err, fault.Conflict)
	}
	if won != 1 {
		t.Errorf("%d of 64 got the lease, want one", won)
	}
}

func TestCapacityIsNeverExceeded(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 4)
	for range 24 {
		r.create("x")
	}
	var wg sync.WaitGroup
	claimed := make(chan dynamo.Claim, 64)
	for n := range 16 {
		wg.Go(func() {
			claims, err := r.Claim(t.Context(), "w", 1+n%3, time.Minute)
			if err != nil {
				t.Error(err)
			}
			for _, c := range claims {
				claimed <- c
			}
		})
	}
	wg.Wait()
	close(claimed)
	seen := map[string]bool{}
	for c := range claimed {
		if seen[c.Task.ID] {
			t.Errorf("task %s was given twice", c.Task.ID)
		}
		seen[c.Task.ID] = true
	}
	if len(seen) != 4 || len(r.worker("w").Leases) != 4 {
		t.Errorf("%d given, %d held, want 4", len(seen), len(r.worker("w").Leases))
	}
}

func TestManyWorkersDrainTheQueue(t *testing.T) {
	t.Parallel()
	r := open(t)
	const tasks, workers = 60, 6
	for range tasks {
		r.create("x")
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	runs := map[string]int{}
	for n := range workers {
		name := fmt.Sprintf("w%d", n)
		r.register(name, 2)
		wg.Go(func() {
			for {
				claims, err := r.Claim(t.Context(), name, 2, time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				done := len(runs)
				mu.Unlock()
				if len(claims) == 0 && done == tasks {
					return
				}
				for _, c := range claims {
					if err := r.complete(c.Lease); err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					runs[c.Task.ID]++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	for id, n := range runs {
		if n != 1 {
			t.Errorf("task %s ran %d times", id, n)
		}
	}
}
