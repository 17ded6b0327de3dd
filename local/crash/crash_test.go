package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
	"golang.org/x/sync/errgroup"
)

func TestMain(m *testing.M) { stacktest.Main(m) }

const (
	clients = 8
	rounds  = 4   // all but the last end by kill -9, the last by SIGTERM
	busy    = 400 // requests at least that are answered in a round, on a slow machine too
)

// TestKilledUnderLoad lets eight clients work, ends the server at a random
// moment, starts it on the same data and compares it with every answer given.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	l := newLedger()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	all := make([]*client, clients)
	for i := range all {
		name := fmt.Sprintf("worker-%d", i)
		stacktest.Want[stacktest.Worker](t, s.Client(), 201, "POST", workers,
			object{"name": name, "status": "online", "capabilities": object{"max_concurrency": 32}})
		all[i] = &client{Client: s.Client(), worker: name, ledger: l, rand: rand.New(rand.NewPCG(seed, uint64(i+1)))}
	}
	for round := range rounds {
		end := s.Kill9
		if round == rounds-1 {
			end = s.Stop
		}
		load(t, all, time.Duration(500+random.IntN(700))*time.Millisecond, end)
		s.Restart(t)
		verify(t, s.Client(), l)
		resume(t, all)
		stacktest.Invariants(t, s.Client())
	}
	checkAudit(t, s.Client(), l)
}

// load runs the clients for a time and then ends the server under them.
func load(t *testing.T, all []*client, d time.Duration, end func(testing.TB)) {
	t.Helper()
	var g errgroup.Group
	var over atomic.Bool
	for _, c := range all {
		g.Go(func() error {
			err := c.run()
			if err == nil && !over.Load() {
				err = errors.New("the server was gone before it was ended")
			}
			return err
		})
	}
	l := all[0].ledger
	before := l.answers.Load()
	time.Sleep(d)
	if err := stacktest.Poll(20*time.Second, func() error {
		if n := l.answers.Load() - before; n < busy {
			return fmt.Errorf("only %d requests were answered", n)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	over.Store(true)
	end(t)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// resume lets the clients do again what got no answer.
func resume(t *testing.T, all []*client) {
	t.Helper()
	var g errgroup.Group
	clear(all[0].ledger.claims) // their workers show what they were given
	clear(all[0].ledger.asks)
	for _, c := range all {
		g.Go(func() error { return c.resume(context.Background()) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// verify compares everything in the ledger with what the server has.
func verify(t *testing.T, c *stacktest.Client, l *ledger) {
	t.Helper()
	listed, err := stacktest.All[stacktest.Task](t.Context(), c, tasks+"?limit=200")
	if err != nil {
		t.Fatal(err)
	}
	leased, err := stacktest.All[stacktest.Lease](t.Context(), c, "/api/runtime/leases?limit=200")
	if err != nil {
		t.Fatal(err)
	}
	there, leases := map[string]stacktest.Task{}, map[string]stacktest.Lease{}
	for _, task := range listed {
		there[task.ID] = task
	}
	for _, x := range leased {
		leases[x.ID] = x
	}
	counts := map[state]int{}
	var lost []error
	for id, r := range l.tasks {
		counts[r.state]++
		task, ok := there[id]
		if !ok {
			lost = append(lost, fmt.Errorf("task %s was created and is gone", id))
		} else if err := l.check(id, r, task, leases); err != nil {
			lost = append(lost, err)
		}
	}
	t.Logf("%d tasks there, %d acknowledged: %v; %d leases", len(there), len(l.tasks), counts, len(leases))
	if len(lost) > 0 {
		t.Fatalf("%d lost, among them: %v", len(lost), errors.Join(lost[:min(len(lost), 5)]...))
	}
	downloads(t, c, l, there)
}

// downloads checks the bytes of what was completed since the last time.
func downloads(t *testing.T, c *stacktest.Client, l *ledger, there map[string]stacktest.Task) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(clients)
	for id, r := range l.tasks {
		want := r.output
		if r.state != completed && r.pending != nil {
			want = r.pending.output
		}
		if r.checked || there[id].Status != "completed" {
			continue
		}
		r.checked = true
		g.Go(func() error { return checkArtifact(c, id, want) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// checkArtifact wants the newest artifact of a completed task to hold its output.
func checkArtifact(c *stacktest.Client, task, want string) error {
	ctx := context.Background()
	all, err := stacktest.All[stacktest.Artifact](ctx, c, "/api/runtime/artifacts?task_id="+task)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("task %s is completed and has no artifact", task)
	}
	resp, err := c.Do(ctx, "GET", "/api/runtime/artifacts/"+all[0].ID, nil)
	if err != nil {
		return err
	}
	var a stacktest.Artifact
	if err := resp.Decode(&a); err != nil {
		return err
	}
	got, err := stacktest.Download(ctx, c, a)
	if err == nil && string(got) != want {
		err = fmt.Errorf("the artifact of task %s has %d bytes, want the %d that were acknowledged", task, len(got), len(want))
	}
	return err
}

// checkAudit wants each creation and each completion in the audit log exactly
// once, whatever the consumer was doing when it was killed.
func checkAudit(t *testing.T, c *stacktest.Client, l *ledger) {
	t.Helper()
	stacktest.Eventually(t, 20*time.Second, func() error {
		all, err := stacktest.All[stacktest.Audit](context.Background(), c, "/api/runtime/audit?limit=200")
		if err != nil {
			return err
		}
		type key struct{ id, action string }
		times := map[key]int{}
		for _, e := range all {
			times[key{e.EntityID, e.Action}]++
		}
		for id, r := range l.tasks {
			if n := times[key{id, "task_created"}]; n != 1 {
				return fmt.Errorf("the creation of task %s is %d times in the audit log", id, n)
			}
			if n := times[key{id, "task_completed"}]; r.state == completed && n != 1 {
				return fmt.Errorf("the completion of task %s is %d times in the audit log", id, n)
			}
		}
		return nil
	})
}

// TestLeaseLapsesWhileDown: a lease that ran out while nothing ran shows soon
// after the start.
func TestLeaseLapsesWhileDown(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	c := s.Client()
	stacktest.Want[stacktest.Worker](t, c, 201, "POST", workers, object{"name": "w", "capabilities": object{"max_concurrency": 2}})
	body := object{"context_id": "c", "agent_slug": "a", "prompt": "p"}
	task := stacktest.Want[stacktest.Task](t, c, 201, "POST", tasks, body)
	got := stacktest.Want[stacktest.Granted](t, c, 201, "POST", tasks+"/"+task.ID+"/lease", object{"worker_id": "w", "ttl_seconds": 1})
	s.Kill9(t)
	time.Sleep(time.Until(time.UnixMilli(got.Lease.ExpiresAt)))
	s.Restart(t)
	stacktest.Eventually(t, 15*time.Second, func() error {
		now := stacktest.Want[stacktest.Task](t, c, 200, "GET", tasks+"/"+task.ID, nil)
		w := stacktest.Want[stacktest.Worker](t, c, 200, "GET", workers+"/w", nil)
		if now.Status != "queued" || w.ActiveLeases != 0 {
			return fmt.Errorf("the task is %s, the worker holds %d", now.Status, w.ActiveLeases)
		}
		return nil
	})
	stacktest.Invariants(t, c)
}

// TestKilledWhileStarting kills the program at moments of its first start; the
// next start must find its way.
func TestKilledWhileStarting(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	for _, after := range []time.Duration{5, 20, 40, 60, 90, 130, 200, 300, 500} {
		s.KillWhileStarting(t, after*time.Millisecond)
	}
	s.Restart(t)
	stacktest.Want[stacktest.Task](t, s.Client(), 201, "POST", tasks, object{"context_id": "c", "agent_slug": "a", "prompt": "p"})
	stacktest.Invariants(t, s.Client())
}
