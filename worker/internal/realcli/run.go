//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
	"github.com/bloom-runtime/bloom/worker/internal/messages"
)

// run is one worker with the real CLI, and what it needs.
type run struct {
	api    *stacktest.Client
	model  *messages.API
	server *http.Server
	base   string // address of the Messages API
	dir    string // home of the CLI, and the worker's log
	name   string // of the worker
	cmd    *exec.Cmd
	ended  chan error
}

// newRun starts the Messages API and the worker.
func newRun(ctx context.Context, api *stacktest.Client, ca, program, cli string) (*run, error) {
	r := &run{api: api, model: &messages.API{}, name: fmt.Sprintf("realcli-%d", os.Getpid()), ended: make(chan error, 1)}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r.base = "http://" + ln.Addr().String()
	r.server = &http.Server{Handler: r.model, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(ln) }() // ends with close
	if r.dir, err = os.MkdirTemp("", "realcli-"); err == nil {
		err = r.start(ctx, ca, program, cli)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// start runs the worker as a user would. The CLI itself retries a failing API
// for minutes; here it must not, so that its reports can be seen.
func (r *run) start(ctx context.Context, ca, program, cli string) error {
	log, err := os.Create(r.log())
	if err != nil {
		return err
	}
	args := []string{"-url", r.api.Base, "-name", r.name, "-concurrency", "4", "-ttl", "6"}
	if ca != "" {
		args = append(args, "-ca", ca)
	}
	r.cmd = exec.CommandContext(ctx, program, append(args, "--", cli, "-p", "--output-format", "json")...)
	r.cmd.Env = append(os.Environ(),
		"RUNTIME_API_KEY="+r.api.Key, "HOME="+r.dir, "TMPDIR="+r.dir,
		"ANTHROPIC_BASE_URL="+r.base, "ANTHROPIC_API_KEY=any", "CLAUDE_CODE_MAX_RETRIES=0",
		"DISABLE_TELEMETRY=1", "DISABLE_AUTOUPDATER=1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1")
	r.cmd.Stderr = log
	if err := r.cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	go func() { r.ended <- errors.Join(r.cmd.Wait(), log.Close()) }()
	return nil
}

func (r *run) log() string { return filepath.Join(r.dir, "worker.log") }

func (r *run) close() {
	if r.cmd != nil && r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Kill()
	}
	_ = r.server.Close()
	_ = os.RemoveAll(r.dir)
}

// all checks every scenario and then that the worker ends as it should.
func (r *run) all(ctx context.Context) error {
	err := r.scenarios(ctx)
	if err == nil {
		err = r.stop(ctx)
	}
	if err != nil {
		if log, readErr := os.ReadFile(r.log()); readErr == nil {
			err = fmt.Errorf("%w\nlog of the worker:\n%s", err, log)
		}
	}
	return err
}

// stop gives the worker a task that it can't finish and ends it by SIGTERM: the
// task goes back, the worker is offline, and no CLI is left.
func (r *run) stop(ctx context.Context) error {
	id, err := r.submit(ctx, task{prompt: "messages-api: wait 2m", timeout: 120, attempts: 2})
	if err != nil {
		return err
	}
	if _, err := r.await(ctx, id, "running"); err != nil {
		return err
	}
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-r.ended:
		if err != nil {
			return fmt.Errorf("the worker must end with status 0: %w", err)
		}
	case <-time.After(12 * time.Second):
		return errors.New("the worker did not end within 12 s")
	}
	t, err := r.await(ctx, id, "queued")
	if err != nil {
		return err
	}
	if t.Attempts != 1 {
		return fmt.Errorf("the task given back has %d attempts", t.Attempts)
	}
	w, err := get[stacktest.Worker](ctx, r, "/api/runtime/workers/"+r.name)
	if err != nil {
		return err
	}
	if w.Status != "offline" || len(w.Leases) != 0 {
		return fmt.Errorf("the worker is %s with %d leases", w.Status, len(w.Leases))
	}
	fmt.Println("realcli: SIGTERM gives the task back")
	return r.noneLeft()
}

// noneLeft looks for processes that still have our Messages API in their
// environment. The kernel may need a moment to end what was killed.
func (r *run) noneLeft() error {
	return stacktest.Poll(5*time.Second, func() error {
		files, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil {
			return err
		}
		for _, f := range files {
			env, err := os.ReadFile(f)
			if err == nil && strings.Contains(string(env), "ANTHROPIC_BASE_URL="+r.base+"\x00") {
				return fmt.Errorf("a process is left behind: %s", filepath.Dir(f))
			}
		}
		return nil
	})
}
