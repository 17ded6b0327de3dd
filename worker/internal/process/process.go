//go:build unix

// Package process runs one command to its end, whatever it does: it bounds
// what the command may print and how long it may take, and ends the whole
// process group, so that nothing of a task outlives it.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Grace is how long a process group may take to end after SIGTERM; then it
// gets SIGKILL. It is also how long a pipe may stay open after the command
// itself has exited (a descendant that left the group can hold it).
const Grace = 2 * time.Second

// Causes of a Result that is not a plain exit.
var (
	// ErrTimeout: the command ran longer than Command.Timeout.
	ErrTimeout = errors.New("the command ran into its time limit")
	// ErrOutputLimit: the command printed more than Command.MaxStdout.
	ErrOutputLimit = errors.New("the command printed more than its limit")
)

// Command is one run. All fields are required.
type Command struct {
	Args      []string      // program and arguments; the program is looked up in PATH
	Dir       string        // working directory; must exist
	Env       []string      // whole environment, "NAME=value"
	Stdin     string        // written to standard input, which is then closed
	Timeout   time.Duration // from the start of the process
	MaxStdout int           // bytes; a command that prints more is stopped
	MaxStderr int           // bytes of the end of standard error that are kept
}

// Result says how a run ended.
type Result struct {
	Stdout []byte // at most MaxStdout bytes
	Stderr []byte // the last MaxStderr bytes
	// Cause is nil when the command ended by itself; otherwise why it was
	// stopped: ErrTimeout, ErrOutputLimit, the cause of the context, or that its
	// output could not be read.
	Cause error
	// StartErr is set when the command could not be started: nothing ran.
	StartErr error
	ExitCode int            // -1 when a signal ended the command
	Signal   syscall.Signal // the signal that ended the command, else 0
	Duration time.Duration
}

// Runner runs commands and knows which process groups are alive. Safe for
// concurrent use; the zero value is ready.
type Runner struct {
	mu     sync.Mutex
	groups map[int]struct{} // a group is in here only while its leader is not reaped
	dead   bool             // KillAll was called
}

// Run runs c to its end and returns when the process group is gone and its
// output is read. When ctx ends, or a limit is passed, the group gets SIGTERM
// and after Grace SIGKILL. Run never returns an error of its own: everything
// that can happen to a command is in the Result.
func (r *Runner) Run(ctx context.Context, c Command) Result {
	// Pdeathsig is sent when the thread that started the child ends, not the
	// process (prctl(2)): the thread must be kept until the child is reaped.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := context.Cause(ctx); err != nil {
		return Result{Cause: err, ExitCode: -1}
	}
	stdout, err := newCapture(c.MaxStdout)
	if err != nil {
		return Result{StartErr: err, ExitCode: -1}
	}
	defer stdout.close()
	stderr := &tail{max: c.MaxStderr}
	cmd := command(ctx, c, stdout.file, stderr)
	started := time.Now()
	if err := r.start(cmd); err != nil {
		return Result{StartErr: err, ExitCode: -1, Duration: time.Since(started)}
	}
	timer := time.AfterFunc(c.Timeout, func() { cancel(ErrTimeout) })
	defer timer.Stop()

	exited, stopped := make(chan struct{}), make(chan error, 1)
	go stdout.watch(exited, func() { cancel(ErrOutputLimit) })
	go func() { stopped <- r.stopOn(ctx, cmd.Process.Pid, exited) }()
	res := Result{}
	wait(cmd, func() {
		close(exited)
		// A command that exits with 0 just before it is stopped has succeeded: the
		// cause is the one that stopOn acted on, not what ctx says afterwards.
		res.Cause = <-stopped
		r.forget(cmd.Process.Pid)
	})
	res.Duration = time.Since(started)
	res.finish(cmd.ProcessState, stdout)
	res.Stderr = stderr.bytes()
	return res
}

// finish takes over how the process ended and what it printed.
func (res *Result) finish(state *os.ProcessState, stdout *capture) {
	res.ExitCode = state.ExitCode()
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		res.Signal = ws.Signal()
	}
	var err error
	res.Stdout, err = stdout.read()
	switch {
	case res.Cause != nil:
	case err != nil:
		res.Cause = err
	case stdout.over():
		res.Cause = ErrOutputLimit
	}
}

// command prepares c. ctx does not end it: exec would end the leader alone, and
// stopOn ends the group.
func command(ctx context.Context, c Command, stdout *os.File, stderr *tail) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Env = c.Dir, c.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.Stdin), stdout, stderr
	cmd.WaitDelay = Grace
	cmd.SysProcAttr = attributes()
	return cmd
}

// KillAll sends SIGKILL to every group that runs, and lets no other start. It
// is for a program that is about to exit.
func (r *Runner) KillAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead = true
	for pid := range r.groups {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

func (r *Runner) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead {
		return fmt.Errorf("start %s: the worker is exiting", cmd.Args[0])
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if r.groups == nil {
		r.groups = map[int]struct{}{}
	}
	r.groups[cmd.Process.Pid] = struct{}{}
	return nil
}

// forget kills what the leader left behind in its group.
func (r *Runner) forget(pid int) {
	r.signal(pid, syscall.SIGKILL)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, pid)
}

func (r *Runner) signal(pid int, s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.groups[pid]; ok {
		_ = syscall.Kill(-pid, s) // ESRCH: the group is gone, which is what we want
	}
}

// stopOn ends the group when ctx ends before the leader exits, and returns why
// it did so; nil when the leader exited by itself.
func (r *Runner) stopOn(ctx context.Context, pid int, exited <-chan struct{}) error {
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-exited: // both at once: it had ended by itself
		return nil
	default:
	}
	r.signal(pid, syscall.SIGTERM)
	grace := time.NewTimer(Grace)
	defer grace.Stop()
	select {
	case <-exited:
	case <-grace.C:
		r.signal(pid, syscall.SIGKILL)
	}
	return context.Cause(ctx)
}

// NotFound reports whether err, a Result.StartErr, says that there is no such
// program or that it may not be run.
func NotFound(err error) bool {
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)
}
