package stacktest

import (
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// WorkerProgram is a running worker program whose command is the stand-in for the
// Claude CLI.
type WorkerProgram struct {
	Name string

	proc *process
	log  string
}

// StartWorker runs the worker program against the stack, with room for n tasks
// and leases of ttl seconds. At the end of the test it is stopped by SIGTERM,
// which must give exit status 0.
func StartWorker(t testing.TB, s *Stack, name string, n, ttl int) *WorkerProgram {
	t.Helper()
	program, err := Build(t.Context(), "./worker")
	if err != nil {
		t.Fatal(err)
	}
	standin, err := Build(t.Context(), "./worker/standin")
	if err != nil {
		t.Fatal(err)
	}
	w := &WorkerProgram{Name: name, log: filepath.Join(t.TempDir(), "worker.log")}
	args := []string{"-url", s.URL, "-ca", s.CAFile(), "-name", name, "-concurrency", strconv.Itoa(n), "-ttl", strconv.Itoa(ttl), "--", standin}
	if w.proc, err = run(t.Context(), command{program, args, environment(s.opts), filepath.Dir(program)}, w.log, func(string) {}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if w.Running() {
			w.Stop(t)
		}
		if t.Failed() {
			t.Logf("the log of worker %s:\n%s", name, tail(w.log, 40))
		}
	})
	return w
}

// Running reports whether the program has not ended.
func (w *WorkerProgram) Running() bool { return !w.proc.ended() }

// Kill9 ends the program at once.
func (w *WorkerProgram) Kill9(t testing.TB) {
	t.Helper()
	if !w.Running() {
		t.Fatalf("worker %s ended by itself: %v\n%s", w.Name, w.proc.err, tail(w.log, 40))
	}
	_ = w.proc.signal(syscall.SIGKILL) // "killed" is the only way this ends
}

// Stop ends the program with SIGTERM; it must exit with status 0.
func (w *WorkerProgram) Stop(t testing.TB) {
	t.Helper()
	if err := w.proc.signal(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: worker %s must exit with status 0: %v\n%s", w.Name, err, tail(w.log, 40))
	}
}
