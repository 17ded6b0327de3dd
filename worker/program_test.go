package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/client"
)

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
	w := launch(t, url, ca, "-ttl", "4")
	p.wait(t, "heartbeats", func() bool { return len(p.tasks[id].heartbeats) >= 4 }) // longer than the TTL
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
	w := launch(t, url, ca, "-ttl", "4")
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
	p.early = true // the worker's deadline is before the server's
	url, ca := p.serve(t)
	file := filepath.Join(t.TempDir(), "pids")
	id := p.add("pid "+file+"\nspawn-child "+file+"\nsleep 1m", func(t *peerTask) { t.requeue = true })
	w := launch(t, url, ca, "-ttl", "2")
	running := pids(t, file, 2)
	p.setFault(func(string, int) fault { return fault{cut: true} })
	gone(t, running)
	p.mu.Lock()
	p.tasks[id].Prompt = "hello"
	p.mu.Unlock()
	p.setFault(nil)
	if got := p.waitStatus(t, id, "completed"); got.Attempts < 2 {
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
