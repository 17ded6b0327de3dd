package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// startLoad has eight clients work on a stack until the returned function is called, which returns what went wrong.
func startLoad(t *testing.T, s *stacktest.Stack, l *ledger) (stop func() error) {
	t.Helper()
	var g errgroup.Group
	ctx, cancel := context.WithCancel(context.Background())
	for i := range clients {
		name := fmt.Sprintf("worker-%d", i)
		stacktest.Want[stacktest.Worker](t, s.Client(), 201, "POST", workers,
			object{"name": name, "status": "online", "capabilities": object{"max_concurrency": 32}})
		c := &client{Client: s.Client(), worker: name, ledger: l, rand: rand.New(rand.NewPCG(7, uint64(i)))}
		g.Go(func() error {
			for ctx.Err() == nil {
				if err := c.step(); errors.Is(err, errGone) {
					return nil
				} else if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return sync.OnceValue(func() error {
		cancel()
		return g.Wait()
	})
}

// busyFor waits until so many more requests were answered.
func busyFor(t *testing.T, l *ledger, answers int64) {
	t.Helper()
	from := l.answers.Load()
	stacktest.Eventually(t, 40*time.Second, func() error {
		if n := l.answers.Load() - from; n < answers {
			return fmt.Errorf("only %d requests were answered", n)
		}
		return nil
	})
}

// copied is the ledger as of now.
func (l *ledger) copied() map[string]record {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]record, len(l.tasks))
	for id, r := range l.tasks {
		all[id] = *r
	}
	return all
}

// TestBackupUnderLoad makes a backup while eight clients write, restores it elsewhere, starts a stack on it and wants
// everything there that was acknowledged before the backup began, and the whole to agree with itself.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	l := newLedger()
	stop := startLoad(t, s, l)
	busyFor(t, l, busy)
	before := l.copied()
	dir := t.TempDir()
	file, data := filepath.Join(dir, "backup"), filepath.Join(dir, "data")
	if out, err := stacktest.Command(t.Context(), "backup", "-data", s.Data, "-to", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	busyFor(t, l, busy/4) // the stack goes on
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
	after := l.copied()
	if out, err := stacktest.Command(t.Context(), "restore", "-from", file, "-data", data); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	restored := stacktest.Start(t, stacktest.Options{Data: data})
	c := restored.Client()
	stacktest.Invariants(t, c)
	holds(t, c, before, after)
	everyArtifact(t, c)
	stacktest.Want[stacktest.Task](t, c, 201, "POST", tasks, object{"context_id": "c", "agent_slug": "a", "prompt": "p"})
	restored.Kill9(t)
	restored.Restart(t)
	stacktest.Invariants(t, restored.Client())
}

// holds compares a restored stack with what was acknowledged before the backup. What a task went through later may be in it
// or not, but for a task that nobody touched later, all of it must be as it was.
func holds(t *testing.T, c *stacktest.Client, before, after map[string]record) {
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
	untouched := 0
	for id, r := range before {
		task, ok := there[id]
		if !ok {
			t.Errorf("task %s was created before the backup and is not in it", id)
			continue
		}
		if l, ok := leases[r.lease]; r.lease != "" && (!ok || l.TaskID != id || l.WorkerID != r.worker) {
			t.Errorf("lease %s of task %s was granted before the backup and is %+v in it", r.lease, id, l)
		}
		if r.state == completed && task.Status != "completed" {
			t.Errorf("task %s was completed before the backup and is %s in it", id, task.Status)
		}
		if r != after[id] {
			continue
		}
		untouched++
		if err := newLedger().check(id, &r, task, leases); err != nil {
			t.Error(err)
		}
		if r.state == completed {
			if err := checkArtifact(c, id, r.output); err != nil {
				t.Error(err)
			}
		}
	}
	t.Logf("%d tasks in the backup, %d acknowledged before it, %d of them not touched since", len(there), len(before), untouched)
	if untouched == 0 || len(before) == 0 {
		t.Error("nothing to compare")
	}
}

// everyArtifact downloads whatever a task names.
func everyArtifact(t *testing.T, c *stacktest.Client) {
	t.Helper()
	all, err := stacktest.All[stacktest.Artifact](t.Context(), c, "/api/runtime/artifacts?limit=200")
	if err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.SetLimit(clients)
	var payloads atomic.Int64
	for _, a := range all {
		if a.URL == nil {
			continue
		}
		payloads.Add(1)
		g.Go(func() error {
			resp, err := c.Do(context.Background(), "GET", "/api/runtime/artifacts/"+a.ID, nil)
			if err != nil {
				return err
			}
			var one stacktest.Artifact
			if err := resp.Decode(&one); err != nil {
				return err
			}
			_, err = stacktest.Download(context.Background(), c, one)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if payloads.Load() == 0 {
		t.Error("no artifact has a payload")
	}
}

// heavy gives a stack enough to be saved that a kill can come in the middle: large payloads that no compression shrinks.
func heavy(t *testing.T, c *stacktest.Client) (task, output string) {
	t.Helper()
	stacktest.Want[stacktest.Worker](t, c, 201, "POST", workers, object{"name": "heavy", "capabilities": object{"max_concurrency": 32}})
	random := rand.New(rand.NewPCG(3, 4))
	text := make([]byte, 3<<20)
	for i := range text {
		text[i] = ' ' + byte(random.IntN(90))
	}
	output = string(text)
	for range 8 {
		made := stacktest.Want[stacktest.Task](t, c, 201, "POST", tasks, object{"context_id": "c", "agent_slug": "a", "prompt": "p"})
		got := stacktest.Want[stacktest.Granted](t, c, 201, "POST", tasks+"/"+made.ID+"/lease", object{"worker_id": "heavy"})
		stacktest.Want[stacktest.Completed](t, c, 200, "POST", tasks+"/"+made.ID+"/complete",
			object{"lease_id": got.Lease.ID, "status": "success", "output": output, "metrics": object{"duration_ms": 1}})
		task = made.ID
	}
	return task, output
}

// TestStackKilledDuringBackup: no backup comes of it, the stack starts again, and the next backup is whole.
func TestStackKilledDuringBackup(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	task, output := heavy(t, s.Client())
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	type ended struct {
		out string
		err error
	}
	killed := 0
	for range 5 {
		done := make(chan ended, 1)
		go func() {
			out, err := stacktest.Command(context.Background(), "backup", "-data", s.Data, "-to", file)
			done <- ended{out, err}
		}()
		stacktest.Eventually(t, 20*time.Second, func() error {
			info, err := os.Stat(file + ".partial")
			if err == nil && info.Size() == 0 {
				err = errors.New("nothing is written yet")
			}
			if _, whole := os.Stat(file); whole == nil {
				return nil // too late
			}
			return err
		})
		s.Kill9(t)
		end := <-done
		if end.err != nil {
			killed++
			if !strings.HasPrefix(end.out, "bloom: the running stack ended in the middle") || strings.Contains(end.out, "\n") {
				t.Errorf("it said %q", end.out)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		}
		_ = os.Remove(file)
		s.Restart(t)
		if killed > 0 {
			break
		}
	}
	if killed == 0 {
		t.Error("no kill came in the middle of a backup")
	}
	if out, err := stacktest.Command(t.Context(), "backup", "-data", s.Data, "-to", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data := filepath.Join(dir, "data")
	if out, err := stacktest.Command(t.Context(), "restore", "-from", file, "-data", data); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	restored := stacktest.Start(t, stacktest.Options{Data: data})
	if err := checkArtifact(restored.Client(), task, output); err != nil {
		t.Error(err)
	}
}

// TestRestoreKilled kills restores at random moments: the folder is not there or is whole, what is left beside it is nothing
// that could be started, and the next restore finds its way.
func TestRestoreKilled(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	task, output := heavy(t, s.Client())
	dir := t.TempDir()
	file, data := filepath.Join(dir, "backup"), filepath.Join(dir, "data")
	if out, err := stacktest.Command(t.Context(), "backup", "-data", s.Data, "-to", file); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	began := time.Now()
	restore := func(ctx context.Context) (string, error) {
		return stacktest.Command(ctx, "restore", "-from", file, "-data", data)
	}
	if out, err := restore(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	took := time.Since(began)
	killed := 0
	for range 12 {
		if err := os.RemoveAll(data); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(took))))
		_, err := restore(ctx)
		cancel()
		if err == nil {
			continue
		}
		killed++
		beside := filepath.Join(dir, ".data.restoring")
		if _, err := os.Stat(data); err == nil {
			if _, err := os.Stat(filepath.Join(data, "layout")); err != nil {
				t.Errorf("half a folder: %v", err)
			}
		} else if _, err := os.Stat(filepath.Join(beside, "layout")); err == nil {
			mustBeWhole(t, beside, task, output) // only its name was missing
		} else {
			mustNotStart(t, beside)
		}
	}
	t.Logf("%d of 12 restores were killed, each takes about %v", killed, took)
	_ = os.RemoveAll(data)
	if out, err := restore(t.Context()); err != nil {
		t.Fatalf("after the kills: %v: %s", err, out)
	}
	left, err := os.ReadDir(dir)
	if err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) {
		t.Errorf("left behind: %v, %v", left, err)
	}
	mustBeWhole(t, data, task, output)
}

// mustBeWhole wants a stack on the folder to have everything.
func mustBeWhole(t *testing.T, dir, task, output string) {
	t.Helper()
	s := stacktest.Start(t, stacktest.Options{Data: dir})
	stacktest.Invariants(t, s.Client())
	if err := checkArtifact(s.Client(), task, output); err != nil {
		t.Error(err)
	}
	s.Stop(t)
}

// mustNotStart wants the program to refuse a folder, unless there is none.
func mustNotStart(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); errors.Is(err, fs.ErrNotExist) || len(entries) <= 1 {
		return // nothing was written yet but the lock
	}
	out, err := stacktest.Command(t.Context(), "-https", "127.0.0.1:0", "-http", "", "-data", dir)
	if err == nil || !strings.Contains(out, "holds something else") {
		t.Errorf("a start on half a restore: %v, %s", err, out)
	}
}
