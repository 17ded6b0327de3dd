package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
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

func TestProgramHappyPath(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	ids := map[string]string{ // task → expected output; "" = another check
		p.add("hello secret-prompt\n"): "echo: hello secret-prompt\n",
		p.add("env RUNTIME_API_KEY"):   "unset",
		p.add("env BLOOM_TEST_VALUE"):  "passed on",
		p.add("raw plain output"):      "plain output",
		p.add("invalid-utf8"):          "a\uFFFDb\uFFFDc\uFFFD",
		p.add("answer {\"a\":1}", func(t *peerTask) { t.DesiredFormat = "json" }): `{"a":1}`,
	}
	one, two := p.add("pwd"), p.add("pwd\ntokens 100")
	w := launch(t, url, ca)
	for id, want := range ids {
		if got := p.waitStatus(t, id, "completed"); *got.done.Output != want {
			t.Errorf("%s: %q, want %q", id, *got.done.Output, want)
		}
	}
	a, b := p.waitStatus(t, one, "completed"), p.waitStatus(t, two, "completed")
	if *a.done.Output == *b.done.Output || !strings.HasPrefix(*a.done.Output, w.tmp) {
		t.Errorf("working directories %s and %s", *a.done.Output, *b.done.Output)
	}
	if n := *b.done.Metrics.TokensUsed; n != 115 {
		t.Errorf("%d tokens", n)
	}
	w.stop(t, p, "secret-prompt", "plain output")
}

func TestProgramCapacity(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	gate := filepath.Join(t.TempDir(), "gate")
	var ids []string
	for range 12 {
		ids = append(ids, p.add("wait "+gate))
	}
	w := launch(t, url, ca, "-concurrency", "3")
	p.wait(t, "three tasks at a time", func() bool { return p.held("w") == 3 })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		p.waitStatus(t, id, "completed")
	}
	w.stop(t, p) // claims beyond the capacity are reported by the peer
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.most != 3 {
		t.Errorf("at most %d at a time", p.most)
	}
}

func TestProgramHeartbeats(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	gate := filepath.Join(t.TempDir(), "gate")
	id := p.add("wait " + gate)
	w := launch(t, url, ca, "-ttl", "1")
	p.wait(t, "heartbeats", func() bool { return len(p.tasks[id].heartbeats) >= 6 }) // two TTLs
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := p.waitStatus(t, id, "completed"); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
	w.stop(t, p)
}

func TestProgramLostLease(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	file := filepath.Join(t.TempDir(), "pids")
	id := p.add("pid " + file + "\nspawn-child " + file + "\nignore-term\nsleep 1m")
	w := launch(t, url, ca, "-ttl", "1")
	running := pids(t, file, 2)
	p.mu.Lock()
	p.tasks[id].status = "cancelled"
	p.mu.Unlock()
	gone(t, running)
	next := p.add("hello")
	p.waitStatus(t, next, "completed")
	if n := p.count("complete"); n != 1 {
		t.Errorf("%d completes, one was due", n)
	}
	w.stop(t, p)
}

// A server that is away for longer than the TTL costs the work: another
// worker may have it.
func TestProgramLapsedLease(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	file := filepath.Join(t.TempDir(), "pids")
	id := p.add("pid "+file+"\nspawn-child "+file+"\nsleep 1m", func(t *peerTask) { t.requeue = true })
	w := launch(t, url, ca, "-ttl", "1")
	running := pids(t, file, 2)
	p.setFault(func(string, int) fault { return fault{cut: true} })
	gone(t, running)
	p.mu.Lock()
	p.tasks[id].Prompt = "hello"
	p.mu.Unlock()
	p.setFault(nil)
	if got := p.waitStatus(t, id, "completed"); got.Attempts != 2 {
		t.Errorf("%d attempts", got.Attempts)
	}
	w.stop(t, p)
}

func TestProgramTimeout(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	file := filepath.Join(t.TempDir(), "pids")
	id := p.add("stderr last words\npid "+file+"\nspawn-child "+file+"\nsleep 1m", func(t *peerTask) { t.Policy.TimeoutSec = 1 })
	w := launch(t, url, ca)
	got := p.waitStatus(t, id, "failed").done
	gone(t, pids(t, file, 2))
	if !got.Retryable || *got.ErrorMessage != "the command ran longer than the task's 1 s and was stopped; it wrote: last words" {
		t.Errorf("%+v %s", got, *got.ErrorMessage)
	}
	if d := got.Metrics.DurationMS; d < 1000 || d > 5000 {
		t.Errorf("%d ms", d)
	}
	w.stop(t, p, "last words")
}

func TestProgramErrors(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	tests := []struct {
		id, say   string
		retryable bool
	}{
		{p.add("exit 3"), "the command ended with exit status 3", true},
		{p.add("crash"), "the command was ended by a signal (killed)", true},
		{p.add("fail"), "API Error: 400 the stand-in was asked to fail", false},
		{p.add("bytes 5242881"), "the output has 5242881 bytes; at most 5242880 are allowed", false},
		{p.add("raw-bytes 12000000"), "the command printed more than 10551296 bytes and was stopped", false},
	}
	w := launch(t, url, ca, "-concurrency", "5")
	for _, tt := range tests {
		if got := p.waitStatus(t, tt.id, "failed").done; *got.ErrorMessage != tt.say || got.Retryable != tt.retryable {
			t.Errorf("%s: %s, retryable %v", tt.id, *got.ErrorMessage, got.Retryable)
		}
	}
	w.stop(t, p)
}

func TestProgramLargeOutput(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	id := p.add("bytes 5242880")
	w := launch(t, url, ca)
	if got := p.waitStatus(t, id, "completed").done; len(*got.Output) != maxOutput {
		t.Errorf("%d bytes", len(*got.Output))
	}
	w.stop(t, p)
}

func TestProgramLostAnswers(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	p.fault = func(op string, n int) fault {
		return fault{lost: op == "complete" && n <= 2 || op == "workers" && n == 1}
	}
	id := p.add("hello")
	w := launch(t, url, ca)
	p.wait(t, "third complete", func() bool { return len(p.calls["complete"]) == 3 })
	w.waitLog(t, "task reported")
	if got := p.task(id); got.status != "completed" || len(got.reports) != 1 {
		t.Errorf("%s, %d reports", got.status, len(got.reports))
	}
	w.stop(t, p)
}

func TestProgramStops(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			p := newPeer()
			url, ca := p.serve(t)
			file := filepath.Join(t.TempDir(), "pids")
			prompt := "pid " + file + "\nspawn-child " + file + "\n"
			ids := []string{p.add(prompt + "sleep 1m"), p.add(prompt + "ignore-term\nsleep 1m")}
			w := launch(t, url, ca, "-concurrency", "2")
			running := pids(t, file, 4)
			p.add("not to be taken any more")
			began := time.Now()
			w.signal(t, sig)
			if code := w.exit(t); code != 0 {
				t.Errorf("exit status %d", code)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			for _, id := range ids {
				got := p.task(id)
				if got.status != "failed" || *got.done.ErrorMessage != "worker stopped" || !got.done.Retryable {
					t.Errorf("%s: %s %+v", id, got.status, got.done)
				}
			}
			if p.workerStatus("w") != client.Offline || p.task("task-3").status != "queued" {
				t.Errorf("%s", p)
			}
			gone(t, running)
			p.check(t)
		})
	}
}

func TestProgramSecondSignal(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	file := filepath.Join(t.TempDir(), "pids")
	p.add("ignore-term\npid " + file + "\nspawn-child " + file + "\nsleep 1m")
	w := launch(t, url, ca)
	running := pids(t, file, 2)
	w.signal(t, syscall.SIGTERM)
	w.waitLog(t, "stopping")
	w.signal(t, syscall.SIGTERM)
	if code := w.exit(t); code != 1 {
		t.Errorf("exit status %d", code)
	}
	gone(t, running)
	if n := p.count("complete"); n != 0 {
		t.Errorf("%d completes", n)
	}
}

func TestProgramKilled(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	file := filepath.Join(t.TempDir(), "pids")
	for range 3 {
		p.add("ignore-term\npid " + file + "\nsleep 1m")
	}
	w := launch(t, url, ca, "-concurrency", "3")
	running := pids(t, file, 3)
	w.signal(t, syscall.SIGKILL)
	w.exit(t)
	gone(t, running)
}

func TestProgramCommandNotFound(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	id := p.add("hello")
	w := launch(t, url, ca, "--", "no-such-program", "-p")
	got := p.waitStatus(t, id, "failed").done
	if !got.Retryable || !strings.Contains(*got.ErrorMessage, `could not start "no-such-program"`) {
		t.Errorf("%+v", got)
	}
	w.waitLog(t, "THE COMMAND IS NOT THERE")
	w.waitLog(t, "THE COMMAND DOES NOT START")
	w.stop(t, p)
}

// The worker starts before the server does.
func TestProgramServerLater(t *testing.T) {
	t.Parallel()
	p := newPeer()
	_, ca := p.serve(t) // the certificate is the same for all servers of httptest
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	id := p.add("hello")
	w := launch(t, "https://"+addr, ca)
	w.waitLog(t, "registration failed")
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(p)
	_ = s.Listener.Close()
	s.Listener = ln
	s.StartTLS()
	t.Cleanup(s.Close)
	p.waitStatus(t, id, "completed")
	w.stop(t, p)
}

// A certificate that the worker does not trust is an error that it tells.
func TestProgramWrongCertificate(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, _ := p.serve(t)
	cmd := exec.Command(workerBin, "-url", url, "-name", "w")
	cmd.Dir = t.TempDir() // no .bloom there
	out := &logs{}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "message", func() bool { return strings.Contains(out.String(), "certificate signed by unknown authority") })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if p.count("workers") != 0 {
		t.Error("the server was trusted")
	}
}

// The certificate appears in the default place only after the worker started.
func TestProgramLateCertificate(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	id := p.add("hello")
	dir := t.TempDir()
	cmd := exec.Command(workerBin, "-url", url, "-name", "w", "-key", "test-key", "--", standinBin)
	cmd.Dir = dir
	out := &logs{}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "message", func() bool { return strings.Contains(out.String(), "unknown authority") })
	if err := os.MkdirAll(filepath.Join(dir, ".bloom", "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(ca, filepath.Join(dir, ".bloom", "tls", "ca.pem")); err != nil {
		t.Fatal(err)
	}
	p.waitStatus(t, id, "completed")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestProgramWrongSettings(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(workerBin, "-concurrency", "99")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("%v", err)
	}
	if got := string(out); got != "worker: -concurrency is \"99\"; it must be a whole number from 1 to 32\n" {
		t.Errorf("%q", got)
	}
	if out, err := exec.Command(workerBin, "-h").Output(); err != nil || !strings.HasPrefix(string(out), "usage: worker") {
		t.Errorf("-h: %v %s", err, out)
	}
}
