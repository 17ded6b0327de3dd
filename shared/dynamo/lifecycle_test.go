package dynamo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

func TestLifecycle(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 2)
	k := r.create("ctx")
	l := r.lease(k.ID, "")
	if l.WorkerID != "w" || l.Status != task.LeaseActive || l.N != 1 {
		t.Fatalf("lease %+v", l)
	}
	if w := r.worker("w"); w.Leases[l.ID] != k.ID || w.Free() != 1 {
		t.Fatalf("worker %+v", w)
	}
	r.clock.advance(30 * time.Second)
	renewed, err := r.Heartbeat(t.Context(), k.ID, l.ID)
	if err != nil || renewed.ExpiresAt != r.clock.now().Add(time.Minute) {
		t.Fatalf("%+v %v", renewed, err)
	}
	if got := r.task(k.ID); got.Status != task.Running {
		t.Fatalf("task %+v", got)
	}
	if w := r.worker("w"); w.LastHeartbeat != r.clock.now() {
		t.Errorf("heard at %d, want %d: a heartbeat shows that the worker is alive", w.LastHeartbeat, r.clock.now())
	}
	if err := r.complete(l); err != nil {
		t.Fatal(err)
	}
	if got := r.task(k.ID); got.Status != task.Completed || got.WorkerID != "w" || got.LeaseID != l.ID {
		t.Errorf("task %+v", got)
	}
	if w := r.worker("w"); len(w.Leases) != 0 || w.Free() != 2 {
		t.Errorf("worker %+v", w)
	}
	a, err := r.LeaseArtifact(t.Context(), k.ID, l.ID)
	if err != nil || a.ID != k.ID+".1" || a.Outcome != task.Success {
		t.Errorf("%+v %v", a, err)
	}
	ended, _, err := r.Leases(t.Context(), task.LeaseReleased, dynamo.Page{Limit: 5})
	if err != nil || len(ended) != 1 || ended[0].ID != l.ID || ended[0].LastHeartbeat != renewed.LastHeartbeat {
		t.Errorf("%+v %v", ended, err)
	}
}

func TestFencing(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 4)
	k := r.create("ctx")
	l := r.lease(k.ID, "w")
	_, err := r.Heartbeat(t.Context(), k.ID, dynamo.NewID())
	wantCode(t, err, fault.LeaseLost)
	_, err = r.Heartbeat(t.Context(), r.create("other").ID, l.ID)
	wantCode(t, err, fault.NotFound)
	_, _, err = r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: k.ID, TTL: time.Minute}, "tester")
	wantCode(t, err, fault.Conflict)
	r.clock.advance(time.Minute)
	_, err = r.Heartbeat(t.Context(), k.ID, l.ID)
	wantCode(t, err, fault.LeaseLost)
	wantCode(t, r.complete(l), fault.LeaseLost)
	if got := r.task(k.ID); got.Status != task.Leased {
		t.Errorf("refused calls changed the task: %+v", got)
	}
}

func TestALapsedLeaseIsLeasedAnewAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("a", 1)
	r.register("b", 1)
	k := r.create("ctx")
	first := r.lease(k.ID, "a")
	r.clock.advance(time.Minute)
	second := r.lease(k.ID, "b")
	if second.N != 2 || second.ID == first.ID {
		t.Fatalf("second lease %+v", second)
	}
	if a := r.worker("a"); len(a.Leases) != 0 {
		t.Errorf("the old holder still has %v", a.Leases)
	}
	expired, _, err := r.Leases(t.Context(), task.LeaseExpired, dynamo.Page{Limit: 5})
	if err != nil || len(expired) != 1 || expired[0].ID != first.ID {
		t.Errorf("%+v %v", expired, err)
	}
	if got := r.task(k.ID); got.Attempts != 2 {
		t.Errorf("attempts %d, want 2", got.Attempts)
	}
}

func TestTheSweepShowsWhatLapsed(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 3)
	lapses, lives := r.create("1"), r.create("2")
	r.lease(lapses.ID, "w")
	alive := r.lease(lives.ID, "w")
	r.clock.advance(59 * time.Second)
	if _, err := r.Heartbeat(t.Context(), lives.ID, alive.ID); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(time.Second)
	ready, err := r.Due(t.Context(), 10)
	if err != nil || len(ready) != 1 || ready[0].ID != lapses.ID {
		t.Fatalf("ready %+v %v", ready, err)
	}
	if got := r.task(lapses.ID); got.Status != task.Queued || got.LeaseID != "" {
		t.Errorf("task %+v", got)
	}
	got := r.task(lives.ID)
	if got.Status != task.Running || got.LookAt != got.Lease.ExpiresAt {
		t.Errorf("a renewed lease must stay, and be looked at when it ends: %+v", got)
	}
	if w := r.worker("w"); len(w.Leases) != 1 {
		t.Errorf("slots %v, want one", w.Leases)
	}
	if ready, err := r.Due(t.Context(), 10); err != nil || len(ready) != 0 {
		t.Errorf("a second sweep found %+v %v", ready, err)
	}
}

func TestAttemptsRunOut(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	k := r.create("ctx")
	for range 3 {
		r.lease(k.ID, "w")
		r.clock.advance(time.Minute)
		if _, err := r.Due(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.task(k.ID); got.Status != task.Dead {
		t.Fatalf("task %+v", got)
	}
	s, err := r.Transition(t.Context(), k.ID, "tester", task.Requeue)
	if err != nil || s.To.Status != task.Queued || s.To.Attempts != 0 {
		t.Fatalf("%+v %v", s.To, err)
	}
	_, err = r.Transition(t.Context(), k.ID, "tester", task.Requeue)
	wantCode(t, err, fault.Conflict)
}

func TestBackoffHoldsBackClaims(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	k := r.create("ctx")
	l := r.lease(k.ID, "w")
	s, err := task.Fail(r.task(k.ID), l.ID, true, task.DefaultRetry, 0.9, r.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Report(t.Context(), s, artifact(s), "w"); err != nil {
		t.Fatal(err)
	}
	if claims := r.claim("w", 1); len(claims) != 0 {
		t.Fatalf("claimed %+v during the backoff", claims)
	}
	r.clock.advance(900 * time.Millisecond)
	if claims := r.claim("w", 1); len(claims) != 1 || claims[0].Task.ID != k.ID {
		t.Fatalf("claimed %+v after the backoff", claims)
	}
}

func TestChoiceOfWorker(t *testing.T) {
	t.Parallel()
	r := open(t)
	_, _, err := r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: r.create("x").ID, TTL: time.Minute}, "tester")
	wantCode(t, err, fault.NoWorker)
	r.register("small", 1)
	r.register("big", 3)
	r.register("holder", 2)
	held := r.create("shared")
	r.lease(held.ID, "holder")
	if l := r.lease(r.create("shared").ID, ""); l.WorkerID != "holder" {
		t.Errorf("the context's holder is %s", l.WorkerID)
	}
	if l := r.lease(r.create("shared").ID, ""); l.WorkerID != "big" {
		t.Errorf("with the holder full, %s", l.WorkerID)
	}
	for range 3 { // big 2 more, small 1
		r.lease(r.create("x").ID, "")
	}
	_, _, err = r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: r.create("x").ID, TTL: time.Minute}, "tester")
	wantCode(t, err, fault.NoWorker)
	for _, name := range []string{"small", "nobody"} {
		_, _, err = r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: r.create("x").ID, WorkerID: name, TTL: time.Minute}, "tester")
		wantCode(t, err, fault.NoWorker)
	}
}

func TestRegistrationKeepsWhatIsHeld(t *testing.T) {
	t.Parallel()
	r := open(t)
	first := r.register("w", 2)
	r.lease(r.create("x").ID, "w")
	r.clock.advance(30 * time.Second)
	w, created, err := r.RegisterWorker(t.Context(), worker.Registration{Name: "w", Status: worker.Online,
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{"gpu"}}, IPAddrs: []string{"10.0.0.1"}}, "tester")
	if err != nil || created || w.RegisteredAt != first.RegisteredAt || len(w.Leases) != 1 || w.Free() != 0 {
		t.Fatalf("%+v %v %v", w, created, err)
	}
	_, _, err = r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: r.create("x").ID, WorkerID: "w", TTL: time.Minute}, "tester")
	wantCode(t, err, fault.NoWorker)
	_, _, err = r.Lease(t.Context(), dynamo.LeaseRequest{TaskID: r.create("x").ID, TTL: time.Minute}, "tester")
	wantCode(t, err, fault.NoWorker)
	r.register("w", 3)
	r.lease(r.create("x").ID, "")
}

func TestRemovingAWorkerFreesItsTasks(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 32)
	var ids []string
	for range 32 {
		k := r.create("x")
		r.lease(k.ID, "w")
		ids = append(ids, k.ID)
	}
	if err := r.RemoveWorker(t.Context(), "w", "tester"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, r.RemoveWorker(t.Context(), "w", "tester"), fault.NotFound)
	for _, id := range ids {
		if k := r.task(id); k.Status != task.Queued || k.LeaseID != "" {
			t.Errorf("task %+v", k)
		}
	}
	failed, _, err := r.Leases(t.Context(), task.LeaseFailed, dynamo.Page{Limit: 50})
	if err != nil || len(failed) != 32 {
		t.Errorf("%d leases failed, want 32: %v", len(failed), err)
	}
}

func TestALostRaceIsToldFromALostAnswer(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	k := r.create("x")
	l := r.lease(k.ID, "w")
	s, err := task.Complete(r.task(k.ID), l.ID, r.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Report(t.Context(), s, artifact(s), "w"); err != nil {
		t.Fatal(err)
	}
	if err := r.Report(t.Context(), s, artifact(s), "w"); !errors.Is(err, dynamo.ErrLostRace) {
		t.Errorf("the same step again: %v, want a lost race", err)
	}
}

func TestWhatIsPastItsTimeIsGone(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	k := r.create("x")
	if err := r.complete(r.lease(k.ID, "w")); err != nil {
		t.Fatal(err)
	}
	r.clock.advance(24*time.Hour + time.Second)
	_, err := r.Task(t.Context(), k.ID)
	wantCode(t, err, fault.NotFound)
	tasks, _, err := r.Tasks(t.Context(), "", dynamo.Page{Limit: 5})
	if err != nil || len(tasks) != 0 {
		t.Errorf("listed %+v %v", tasks, err)
	}
}
