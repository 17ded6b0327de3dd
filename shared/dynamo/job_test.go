package dynamo_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

func (r *rig) take(owner string) dynamo.Job {
	r.t.Helper()
	j, err := r.TakeJob(r.t.Context(), "job", owner, 10*time.Second)
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

func TestJobIsTakenByOneAtATime(t *testing.T) {
	t.Parallel()
	r := open(t)
	first := r.take("a")
	if j, err := r.TakeJob(t.Context(), "job", "b", time.Second); !errors.Is(err, dynamo.ErrJobTaken) || j.Until != first.Until {
		t.Errorf("b: %+v %v", j, err)
	}
	if _, err := r.TakeJob(t.Context(), "another", "b", time.Second); err != nil {
		t.Errorf("another job: %v", err)
	}
	r.clock.advance(5 * time.Second)
	again := r.take("a")
	if again.Fence <= first.Fence || again.Until <= first.Until {
		t.Errorf("the owner takes it on: %+v after %+v", again, first)
	}
	r.clock.advance(10 * time.Second)
	second := r.take("b")
	if second.Fence <= again.Fence {
		t.Errorf("after its end: %+v", second)
	}
	if err := r.LeaveJob(t.Context(), "job", "a"); err != nil { // a's right is gone: nothing happens
		t.Error(err)
	}
	if _, err := r.TakeJob(t.Context(), "job", "a", time.Second); !errors.Is(err, dynamo.ErrJobTaken) {
		t.Errorf("a took b's job: %v", err)
	}
	if err := r.LeaveJob(t.Context(), "job", "b"); err != nil {
		t.Error(err)
	}
	r.take("a")
}

func TestJobHasOneTakerOfMany(t *testing.T) {
	t.Parallel()
	r := open(t)
	var got atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch _, err := r.TakeJob(t.Context(), "job", dynamo.NewID(), time.Minute); {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, dynamo.ErrJobTaken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d took it", got.Load())
	}
}

// TestSyncWorkerIsFenced: who lost the job writes nothing, neither a new worker nor a change.
func TestSyncWorkerIsFenced(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("known", 2)
	stale := r.take("a")
	r.clock.advance(time.Minute)
	r.take("b")
	w, err := r.Worker(t.Context(), "known")
	if err != nil {
		t.Fatal(err)
	}
	to := w
	to.Status = worker.Error
	if err := r.SyncWorker(t.Context(), stale, &w, to, "membridge", "x"); !errors.Is(err, dynamo.ErrJobTaken) {
		t.Errorf("a change: %v", err)
	}
	fresh := worker.Sync(nil, worker.Listing{Name: "new", Status: worker.Online}, r.clock.now())
	if err := r.SyncWorker(t.Context(), stale, nil, fresh, "membridge", "x"); !errors.Is(err, dynamo.ErrJobTaken) {
		t.Errorf("a new one: %v", err)
	}
	all, err := r.Fleet(t.Context())
	if err != nil || len(all) != 1 || all[0].Status != worker.Online {
		t.Errorf("%+v %v", all, err)
	}
}

// TestSyncWorkerLosesToTheWorker: a worker that was heard from, or registered itself, between the read and the write stays.
func TestSyncWorkerLosesToTheWorker(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(r *rig){
		"heard":      func(r *rig) { _ = r.Hear(t.Context(), "w") },
		"registered": func(r *rig) { r.register("w", 5) },
		"removed":    func(r *rig) { _ = r.RemoveWorker(t.Context(), "w", "tester") },
	} {
		r := open(t)
		w := r.register("w", 2)
		r.clock.advance(2 * time.Minute)
		j := r.take("a")
		meanwhile(r)
		if err := r.SyncWorker(t.Context(), j, &w, worker.Unlisted(w, r.clock.now()), "membridge", "silent"); !errors.Is(err, dynamo.ErrLostRace) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := open(t)
	fresh := worker.Sync(nil, worker.Listing{Name: "w", Status: worker.Unknown}, r.clock.now())
	r.register("w", 3)
	if err := r.SyncWorker(t.Context(), r.take("a"), nil, fresh, "membridge", "new"); !errors.Is(err, dynamo.ErrLostRace) {
		t.Errorf("new meanwhile: %v", err)
	}
	if w, err := r.Worker(t.Context(), "w"); err != nil || w.Capabilities.MaxConcurrency != 3 || w.FromMembridge {
		t.Errorf("%+v %v", w, err)
	}
}

// TestSyncLeavesLeasesAlone: a worker that goes offline, or whose capacity changes, keeps what it holds; it is given no more
// while it is offline, and the freed slot is there again afterwards.
func TestSyncLeavesLeasesAlone(t *testing.T) {
	t.Parallel()
	r := open(t)
	ctx := t.Context()
	listed := worker.Sync(nil, worker.Listing{Name: "w", Status: worker.Online, Capabilities: &worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 2, Labels: []string{}}}, r.clock.now())
	if err := r.SyncWorker(ctx, r.take("a"), nil, listed, "membridge", "new"); err != nil {
		t.Fatal(err)
	}
	k := r.create("c")
	l := r.lease(k.ID, "")
	sync := func(said worker.Listing) worker.Worker {
		t.Helper()
		w, err := r.Worker(ctx, "w")
		if err != nil {
			t.Fatal(err)
		}
		to := worker.Sync(&w, said, r.clock.now())
		if err := r.SyncWorker(ctx, r.take("a"), &w, to, "membridge", "changed"); err != nil {
			t.Fatal(err)
		}
		w, err = r.Worker(ctx, "w")
		if err != nil || len(w.Leases) != 1 {
			t.Fatalf("%+v %v", w, err)
		}
		return w
	}
	r.clock.advance(2 * time.Minute)
	if _, err := r.Heartbeat(ctx, k.ID, l.ID); err == nil {
		t.Fatal("the lease should have run out") // it lives for a minute
	}
	if _, err := r.Due(ctx, 10); err != nil {
		t.Fatal(err)
	}
	k = r.create("c")
	l = r.lease(k.ID, "w")
	r.clock.advance(50 * time.Second)
	w := sync(worker.Listing{Name: "w", Status: worker.Offline, LastSeen: r.clock.now(), Capabilities: &worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{}}})
	if w.Status != worker.Offline || w.Free() != 0 {
		t.Errorf("offline: %+v", w)
	}
	if _, _, err := r.Lease(ctx, dynamo.LeaseRequest{TaskID: r.create("d").ID, TTL: time.Minute}, "tester"); err == nil {
		t.Error("an offline worker was given a task")
	}
	if held, err := r.Held(ctx, w); err != nil || len(held) != 1 || held[0].ID != l.ID || held[0].Status != task.LeaseActive {
		t.Errorf("its lease: %+v %v", held, err)
	}
	if err := r.complete(l); err != nil {
		t.Fatal(err)
	}
	if w, err := r.Worker(ctx, "w"); err != nil || w.Free() != 1 {
		t.Errorf("after its end: %+v %v", w, err)
	}
}
