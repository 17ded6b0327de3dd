package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/client"
	"github.com/bloom-runtime/bloom/worker/internal/process"
)

// job works off one claim: it keeps the lease, runs the command, and reports.
// stop ends the work, which is then given back; hard ends everything.
func (w *worker) job(stop, hard context.Context, c client.Claim, l *lease) {
	log := l.log
	if err := l.confirm(hard); err != nil {
		log.Warn("lease lost before the work began", "reason", err.Error())
		return
	}
	held, lose := context.WithCancelCause(hard)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		lose(l.keep(held)) // nil = context.Canceled: hard ended or the job is done
	}()
	defer func() {
		lose(nil)
		<-kept
	}()

	log.Info("task started", "attempt", c.Task.Attempts, "timeout_sec", c.Task.Policy.TimeoutSec)
	rep, ok := w.execute(stop, held, c.Task, log)
	if !ok {
		log.Warn("work stopped, nothing is reported", "reason", context.Cause(held).Error())
		return
	}
	rep.completion.LeaseID = l.id
	log.Info("task ended", "outcome", rep.outcome, "duration_ms", rep.completion.Metrics.DurationMS)
	w.judged(rep)
	w.deliver(held, hard, c.Task.ID, rep.completion, log)
}

// execute runs the command on t. It reports false when the lease was lost
// meanwhile: then there is nothing to tell.
func (w *worker) execute(stop, held context.Context, t client.Task, log *slog.Logger) (report, bool) {
	ctx, cancel := context.WithCancelCause(held)
	defer cancel(nil)
	defer context.AfterFunc(stop, func() { cancel(errStopped) })()
	if stop.Err() != nil {
		cancel(errStopped) // AfterFunc's turn may come only after the command began
	}

	dir, err := taskDir()
	if err != nil {
		log.Error("no working directory", "error", err.Error())
		r := failure("no_directory", true, fmt.Sprintf("the worker could not make a working directory: %v", err), nil)
		r.rest = true
		return r, true
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			log.Warn("working directory is left behind", "error", err.Error())
		}
	}()
	res := w.runner.Run(ctx, process.Command{
		Args: w.cfg.Command, Dir: filepath.Join(dir, "work"), Env: childEnv(os.Environ(), filepath.Join(dir, "tmp")), Stdin: t.Prompt,
		Timeout:   time.Duration(max(1, t.Policy.TimeoutSec)) * time.Second,
		MaxStdout: maxStdout, MaxStderr: maxStderr,
	})
	if res.StartErr != nil {
		log.Error("THE COMMAND DOES NOT START; every task given to this worker fails until that is mended",
			"command", w.cfg.Command[0], "error", res.StartErr.Error(), "not_found", process.NotFound(res.StartErr))
	}
	if held.Err() != nil {
		return report{}, false
	}
	return newReport(t, w.cfg.Command[0], res), true
}

// taskDir makes a folder for one task, with work, where the command runs, and
// tmp, its TMPDIR: the CLI leaves files there. The caller removes the whole.
func taskDir() (string, error) {
	dir, err := os.MkdirTemp("", "bloom-task-")
	if err != nil {
		return "", err
	}
	for _, sub := range []string{"work", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// childEnv is the worker's environment without its API key, and with the
// task's own folder for temporary files.
func childEnv(env []string, tmp string) []string {
	kept := make([]string, 0, len(env)+1)
	for _, e := range env {
		if !strings.HasPrefix(e, "RUNTIME_API_KEY=") && !strings.HasPrefix(e, "TMPDIR=") {
			kept = append(kept, e)
		}
	}
	return append(kept, "TMPDIR="+tmp)
}

// deliver reports the end of a task, as often as it takes while the lease is
// held. The body never changes between tries, so a try whose answer was lost
// does no harm. A body that the server refuses is replaced, once, by an error
// that says so.
func (w *worker) deliver(held, hard context.Context, taskID string, c client.Completion, log *slog.Logger) {
	body, err := client.Encode(c)
	if err != nil {
		log.Error("result can't be encoded", "error", err.Error())
		return
	}
	wait, replaced := newBackoff(), false
	for {
		err := w.api.Complete(held, taskID, body)
		switch {
		case err == nil:
			log.Info("task reported", "status", c.Status)
			return
		case client.Conflict(err), client.Gone(err):
			log.Warn("result dropped, the lease is lost", "error", err.Error())
			return
		case client.Refused(err) && !replaced && c.Output != nil:
			log.Error("the server refuses the result; an error is reported instead", "error", err.Error())
			replaced = true
			if body, err = refusal(c, err); err != nil {
				log.Error("refusal can't be encoded", "error", err.Error())
				return
			}
			continue
		case client.Refused(err):
			log.Error("the server refuses the report; the lease is left to run out", "error", err.Error())
			return
		}
		if held.Err() == nil {
			log.Warn("report failed", "error", err.Error())
		}
		if !sleep(held, max(wait.next(), client.RetryAfter(err))) {
			w.lastTry(held, hard, taskID, body, log)
			return
		}
	}
}

// lastTry is for a lease that a heartbeat found to be over while the report
// was on its way: perhaps because the report got through and its answer did
// not. Sending it again tells which.
func (w *worker) lastTry(held, hard context.Context, taskID string, body []byte, log *slog.Logger) {
	cause := context.Cause(held)
	if errors.Is(cause, errLost) {
		err := w.api.Complete(hard, taskID, body)
		if err == nil {
			log.Info("task reported")
			return
		}
		cause = err
	}
	log.Warn("result dropped", "reason", cause.Error())
}

// refusal is the completion sent in place of one that the server refused.
func refusal(c client.Completion, why error) ([]byte, error) {
	r := failure("refused", false, fmt.Sprintf("the worker has a result of %d bytes, but %v", len(*c.Output), why), nil)
	r.completion.LeaseID, r.completion.Metrics = c.LeaseID, c.Metrics
	return client.Encode(r.completion)
}
