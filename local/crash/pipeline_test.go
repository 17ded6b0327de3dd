package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// TestPipeline: tasks are submitted, a worker program does them, the artifacts
// are in the bucket.
func TestPipeline(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{APIKey: "a-key-for-the-pipeline"})
	c := s.Client()
	var ids []string
	for i := range 6 {
		ids = append(ids, submit(t, c, fmt.Sprintf("answer number %d", i)))
	}
	failing := submit(t, c, "fail")
	stacktest.StartWorker(t, s, "pipeline", 3, 30)
	for i, id := range ids {
		done := awaitStatus(t, c, id, "completed")
		if done.Attempts != 1 {
			t.Errorf("task %s took %d attempts", id, done.Attempts)
		}
		if got := output(t, c, id); !strings.Contains(got, fmt.Sprintf("number %d", i)) {
			t.Errorf("the artifact of task %d is %q", i, got)
		}
	}
	awaitStatus(t, c, failing, "failed")
	w := stacktest.Want[stacktest.Worker](t, c, 200, "GET", workers+"/pipeline", nil)
	if w.Status != "online" || w.Capabilities.MaxConcurrency != 3 || w.ActiveLeases != 0 {
		t.Errorf("the worker is %+v", w)
	}
	stacktest.Invariants(t, c)
}

// TestWorkerKilled: the tasks of a worker that died go to another.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	c := s.Client()
	release := filepath.Join(t.TempDir(), "release")
	first := stacktest.StartWorker(t, s, "first", 2, 2)
	var ids []string
	for i := range 2 {
		ids = append(ids, submit(t, c, fmt.Sprintf("wait %s\nanswer of task %d", release, i)))
	}
	for _, id := range ids {
		awaitStatus(t, c, id, "leased", "running")
	}
	first.Kill9(t)
	touch(t, release)
	stacktest.StartWorker(t, s, "second", 2, 30)
	for i, id := range ids {
		done := awaitStatus(t, c, id, "completed")
		if done.Attempts != 2 || done.WorkerID == nil || *done.WorkerID != "second" {
			t.Errorf("task %+v", done)
		}
		if got := output(t, c, id); !strings.Contains(got, fmt.Sprintf("of task %d", i)) {
			t.Errorf("the artifact of task %d is %q", i, got)
		}
	}
	stacktest.Invariants(t, c)
}

// TestServerKilledWhileTheWorkerWorks: the worker outlives the server and
// completes what it holds.
func TestServerKilledWhileTheWorkerWorks(t *testing.T) {
	t.Parallel()
	s := stacktest.Start(t, stacktest.Options{})
	c := s.Client()
	release := filepath.Join(t.TempDir(), "release")
	w := stacktest.StartWorker(t, s, "survivor", 2, 60)
	id := submit(t, c, "wait "+release+"\nanswer I survived")
	working := awaitStatus(t, c, id, "leased", "running")
	s.Kill9(t)
	touch(t, release)           // the work ends while there is nobody to tell
	time.Sleep(2 * time.Second) // long enough for its first reports to fail
	s.Restart(t)
	done := awaitStatus(t, c, id, "completed")
	if done.Attempts != 1 || *done.LeaseID != *working.LeaseID {
		t.Errorf("the task took another lease: %+v", done)
	}
	if got := output(t, c, id); !strings.Contains(got, "I survived") {
		t.Errorf("the artifact is %q", got)
	}
	next := submit(t, c, "answer still here")
	awaitStatus(t, c, next, "completed")
	if !w.Running() {
		t.Errorf("the worker ended")
	}
	stacktest.Invariants(t, c)
}

func submit(t testing.TB, c *stacktest.Client, prompt string) string {
	t.Helper()
	body := object{"context_id": "pipeline", "agent_slug": "default", "prompt": prompt}
	return stacktest.Want[stacktest.Task](t, c, 201, "POST", tasks, body).ID
}

// awaitStatus waits until a task is in one of the states. 40 s is a lease of 2 s, the worker's
// longest pause between polls, and a slow machine.
func awaitStatus(t testing.TB, c *stacktest.Client, id string, states ...string) stacktest.Task {
	t.Helper()
	var task stacktest.Task
	stacktest.Eventually(t, 40*time.Second, func() error {
		task = stacktest.Want[stacktest.Task](t, c, 200, "GET", tasks+"/"+id, nil)
		if !slices.Contains(states, task.Status) {
			return fmt.Errorf("task %s is %s, attempts %d; want %v", id, task.Status, task.Attempts, states)
		}
		return nil
	})
	return task
}

// output downloads the newest artifact of a task.
func output(t testing.TB, c *stacktest.Client, task string) string {
	t.Helper()
	all := stacktest.Want[[]stacktest.Artifact](t, c, 200, "GET", "/api/runtime/artifacts?task_id="+task, nil)
	if len(all) == 0 {
		t.Fatalf("task %s has no artifact", task)
	}
	a := stacktest.Want[stacktest.Artifact](t, c, 200, "GET", "/api/runtime/artifacts/"+all[0].ID, nil)
	got, err := stacktest.Download(t.Context(), c, a)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func touch(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
