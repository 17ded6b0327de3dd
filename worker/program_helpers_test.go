package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/client"
)

// The tests of this file run the built worker with the built stand-in against a
// peer over TLS: real processes, signals and sockets.

var workerBin, standinBin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "worker-test-")
	if err != nil {
		panic(err)
	}
	workerBin, standinBin = filepath.Join(dir, "worker"), filepath.Join(dir, "standin")
	build := exec.Command("go", "build", "-o", dir+"/", "github.com/bloom-runtime/bloom/worker", "github.com/bloom-runtime/bloom/worker/standin")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the worker and the stand-in: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// program is a started worker.
type program struct {
	cmd  *exec.Cmd
	logs *logs
	tmp  string // where it makes working directories
	done chan struct{}
	err  error // of Wait, when done is closed
}

// launch starts the worker for p; args may bring flags and a command.
func launch(t *testing.T, url, ca string, args ...string) *program {
	t.Helper()
	if !strings.Contains(strings.Join(args, " "), "-- ") {
		args = append(args, "--", standinBin)
	}
	w := &program{logs: &logs{}, tmp: t.TempDir(), done: make(chan struct{})}
	w.cmd = exec.Command(workerBin, append([]string{"-url", url, "-ca", ca, "-name", "w"}, args...)...)
	w.cmd.Env = append(os.Environ(), "RUNTIME_API_KEY=test-key", "BLOOM_TEST_VALUE=passed on", "TMPDIR="+w.tmp)
	w.cmd.Stderr = w.logs
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		w.err = w.cmd.Wait()
		close(w.done)
	}()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.done
		if t.Failed() {
			t.Logf("log of the worker:\n%s", w.logs)
		}
	})
	return w
}

func (w *program) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// exit waits for the end of the program and returns its status.
func (w *program) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-w.done:
		return w.cmd.ProcessState.ExitCode()
	case <-time.After(20 * time.Second):
		t.Fatal("the worker does not end")
		return -1
	}
}

// stop ends the worker in order, and checks that it kept the contract, left
// nothing behind and logged no secret.
func (w *program) stop(t *testing.T, p *peer, secrets ...string) {
	t.Helper()
	w.signal(t, syscall.SIGTERM)
	if code := w.exit(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	p.check(t)
	if s := p.workerStatus("w"); s != client.Offline {
		t.Errorf("the worker is %q to the server", s)
	}
	if left, err := os.ReadDir(w.tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	for line := range strings.Lines(w.logs.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line %q", line)
		}
	}
	for _, s := range append(secrets, "test-key") {
		if strings.Contains(w.logs.String(), s) {
			t.Errorf("the log shows %q", s)
		}
	}
}

func (w *program) waitLog(t *testing.T, text string) {
	t.Helper()
	waitFor(t, "log line "+text, func() bool { return strings.Contains(w.logs.String(), text) })
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// pids waits until file lists n processes.
func pids(t *testing.T, file string, n int) (out []int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d processes", n), func() bool {
		b, err := os.ReadFile(file)
		return err == nil && bytes.Count(b, []byte("\n")) >= n
	})
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for f := range strings.FieldsSeq(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}

// gone waits until none of the processes runs. One that only waits to be
// reaped by a parent that is not ours has ended.
func gone(t *testing.T, ids []int) {
	t.Helper()
	for _, pid := range ids {
		waitFor(t, fmt.Sprintf("end of process %d", pid), func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			return syscall.Kill(pid, 0) != nil || err == nil && strings.Contains(string(stat), ") Z ")
		})
	}
}
