//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var standin string // path of the built stand-in program

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "process-test-")
	if err != nil {
		panic(err)
	}
	standin = filepath.Join(dir, "standin")
	build := exec.Command("go", "build", "-o", standin, "github.com/bloom-runtime/bloom/worker/standin")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the stand-in: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func prompting(t testing.TB, prompt string) Command {
	return Command{
		Args: []string{standin}, Dir: t.TempDir(), Env: []string{"A=b"}, Stdin: prompt,
		Timeout: 30 * time.Second, MaxStdout: 1 << 20, MaxStderr: 1 << 10,
	}
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, prompt   string
		stdout, stderr string
		exit           int
		signal         syscall.Signal
	}{
		{"output", "raw hello", "hello", "", 0, 0},
		{"status and stderr", "stderr no luck\nexit 3", "", "no luck\n", 3, 0},
		{"signal", "crash", "", "", -1, syscall.SIGKILL},
		{"bytes that are not UTF-8", "invalid-utf8", "a\xff\xfeb\x00c\xe2\x82", "", 0, 0},
		{"end of a long stderr", "stderr " + strings.Repeat("a", 5000) + "\nstderr end", "-", strings.Repeat("a", 1<<10-5) + "\nend\n", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var r Runner
			res := r.Run(t.Context(), prompting(t, tt.prompt))
			if res.Cause != nil || res.StartErr != nil {
				t.Fatalf("cause %v, start %v", res.Cause, res.StartErr)
			}
			if res.ExitCode != tt.exit || res.Signal != tt.signal || string(res.Stderr) != tt.stderr {
				t.Errorf("exit %d, signal %v, stderr %q", res.ExitCode, res.Signal, res.Stderr)
			}
			if tt.stdout != "-" && string(res.Stdout) != tt.stdout {
				t.Errorf("stdout %q", res.Stdout)
			}
			if res.Duration <= 0 {
				t.Errorf("duration %v", res.Duration)
			}
		})
	}
}

func TestRunEnvironment(t *testing.T) {
	t.Parallel()
	c := prompting(t, "")
	c.Args = []string{"env"}
	var r Runner
	if res := r.Run(t.Context(), c); string(res.Stdout) != "A=b\n" {
		t.Fatalf("%q", res.Stdout)
	}
}

// A command that does not read its prompt must not fail or hang.
func TestRunUnreadPrompt(t *testing.T) {
	t.Parallel()
	c := prompting(t, strings.Repeat("x", 1<<20))
	c.Args = []string{"true"}
	var r Runner
	if res := r.Run(t.Context(), c); res.StartErr != nil || res.Cause != nil || res.ExitCode != 0 {
		t.Fatalf("%+v", res)
	}
}

func TestRunNotStarted(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"no-such-program-here", "/no/such/program", plain} {
		c := prompting(t, "")
		c.Args = []string{name}
		var r Runner
		if res := r.Run(t.Context(), c); !NotFound(res.StartErr) {
			t.Errorf("%s: %+v", name, res)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	var r Runner
	if res := r.Run(ctx, prompting(t, "")); !errors.Is(res.Cause, why) {
		t.Errorf("ended context: %+v", res)
	}
}

func TestRunOutputLimit(t *testing.T) {
	t.Parallel()
	for _, prompt := range []string{
		"raw-bytes 5000", // ends by itself
		"flood",          // must be stopped
	} {
		c := prompting(t, prompt)
		c.MaxStdout = 4000
		var r Runner
		res := r.Run(t.Context(), c)
		if !errors.Is(res.Cause, ErrOutputLimit) || len(res.Stdout) != 4000 {
			t.Errorf("%s: cause %v, %d bytes", prompt, res.Cause, len(res.Stdout))
		}
		if res.Duration > 10*time.Second {
			t.Errorf("%s: %v", prompt, res.Duration)
		}
	}
}

// Whatever is at the limit is kept.
func TestRunOutputAtLimit(t *testing.T) {
	t.Parallel()
	c := prompting(t, "raw-bytes 5000")
	c.MaxStdout = 5000
	var r Runner
	if res := r.Run(t.Context(), c); res.Cause != nil || len(res.Stdout) != 5000 {
		t.Fatalf("cause %v, %d bytes", res.Cause, len(res.Stdout))
	}
}

// The output is a file: what a program writes and does not wait for is there.
func TestRunOutputIsFile(t *testing.T) {
	t.Parallel()
	c := prompting(t, "")
	c.Args = []string{"sh", "-c", "test -f /dev/stdout && echo file"}
	var r Runner
	if res := r.Run(t.Context(), c); string(res.Stdout) != "file\n" {
		t.Fatalf("%+v", res)
	}
}

// Each way of stopping ends the command and its child, which ignores SIGTERM,
// and Run does not wait for the pipes that the child holds.
func TestRunStopsGroup(t *testing.T) {
	t.Parallel()
	why := errors.New("lease lost")
	tests := []struct {
		name, prompt string
		timeout      time.Duration
		cause        error
		atLeast      time.Duration
	}{
		{"time limit", "sleep 1m", 200 * time.Millisecond, ErrTimeout, 200 * time.Millisecond},
		{"ended context", "sleep 1m", time.Minute, why, 0},
		{"command that ignores SIGTERM", "ignore-term\nsleep 1m", 200 * time.Millisecond, ErrTimeout, Grace},
		{"command that leaves a child behind", "raw done", time.Minute, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pids := filepath.Join(t.TempDir(), "pids")
			c := prompting(t, "pid "+pids+"\nspawn-child "+pids+"\n"+tt.prompt)
			c.Timeout = tt.timeout
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if errors.Is(tt.cause, why) {
				go func() {
					waitPids(t, pids, 2)
					cancel(why)
				}()
			}
			var r Runner
			began := time.Now()
			res := r.Run(ctx, c)
			if !errors.Is(res.Cause, tt.cause) {
				t.Errorf("cause %v", res.Cause)
			}
			if took := time.Since(began); took < tt.atLeast || took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			for _, pid := range waitPids(t, pids, 2) {
				waitGone(t, pid)
			}
		})
	}
}

func TestKillAll(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pids")
	var r Runner
	go func() {
		waitPids(t, pids, 2)
		r.KillAll()
	}()
	res := r.Run(t.Context(), prompting(t, "pid "+pids+"\nspawn-child "+pids+"\nsleep 1m"))
	if res.Signal != syscall.SIGKILL {
		t.Fatalf("%+v", res)
	}
	for _, pid := range waitPids(t, pids, 2) {
		waitGone(t, pid)
	}
	if res := r.Run(t.Context(), prompting(t, "")); res.StartErr == nil {
		t.Fatal("a command started after KillAll")
	}
}

// waitPids waits until file lists n processes.
func waitPids(t testing.TB, file string, n int) []int {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(file)
		if err != nil || strings.Count(string(b), "\n") < n {
			continue
		}
		var pids []int
		for _, f := range strings.Fields(string(b)) {
			pid, err := strconv.Atoi(f)
			if err != nil {
				t.Errorf("pid %q", f)
			}
			pids = append(pids, pid)
		}
		return pids
	}
	t.Errorf("%s never listed %d processes", file, n)
	return nil
}

// waitGone waits until pid is no process any more. SIGKILL was sent, but the
// kernel and whoever reaps orphans may take a moment.
func waitGone(t testing.TB, pid int) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil || zombie(pid) {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

// zombie reports whether pid has ended and only waits to be reaped by a parent
// that is not ours (a container may have none that does).
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}
