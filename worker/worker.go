package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/client"
	"github.com/bloom-runtime/bloom/worker/internal/process"
)

// Times around the end of the worker.
const (
	stopLimit    = 8 * time.Second // from the signal until all that runs is given back
	claimLimit   = 3 * time.Second // of it, for the answer of a claim that is under way
	offlineLimit = 2 * time.Second // after it, for the last word to the server
)

// Bounds for what the server asks an idle worker to wait.
const (
	minPoll, defaultPoll, maxPoll = 100 * time.Millisecond, time.Second, time.Minute
)

// worker takes tasks and works them off, up to cfg.Concurrency at a time.
type worker struct {
	cfg    config
	api    *client.Client
	log    *slog.Logger
	runner *process.Runner

	jobs  sync.WaitGroup
	freed chan struct{} // holds one when a slot became free since the last look

	mu      sync.Mutex
	running int
	rests   *backoff  // grows with each task in a row that failed by the worker's fault
	restEnd time.Time // no claim before
}

func newWorker(cfg config, api *client.Client, log *slog.Logger, runner *process.Runner) *worker {
	return &worker{
		cfg: cfg, api: api, log: log, runner: runner, freed: make(chan struct{}, 1),
		rests: &backoff{first: 2 * time.Second, most: 30 * time.Second},
	}
}

// run works until stop ends, then gives back what it holds and says goodbye.
// The error is non-nil only when the server will never take this worker.
func (w *worker) run(stop context.Context) error {
	hard, kill := context.WithCancel(context.WithoutCancel(stop))
	defer kill()
	defer context.AfterFunc(stop, func() {
		sleep(hard, stopLimit)
		kill()
	})()
	if err := w.register(stop); err != nil {
		return err
	}
	w.loop(stop, hard)

	done := make(chan struct{})
	go func() {
		w.jobs.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-hard.Done():
		w.log.Error("not everything could be given back in time; those leases are left to run out")
	}
	w.goOffline(stop)
	return nil
}

// loop claims as long as there is capacity, until stop ends.
func (w *worker) loop(stop, hard context.Context) {
	failures, unknown := newBackoff(), newBackoff()
	for w.ready(stop) {
		free := w.free()
		sent := time.Now()
		got, err := w.claim(stop, free)
		if err == nil {
			failures.reset()
			unknown.reset()
			w.start(stop, hard, got, free, sent)
			if len(got.Claims) == 0 {
				w.idle(stop, got.PollAfterMS)
			}
			continue
		}
		if stop.Err() != nil {
			return
		}
		if client.Gone(err) {
			w.log.Warn("the server does not know this worker; registering again")
			if unknown.tries > 0 && !sleep(stop, unknown.next()) {
				return
			}
			unknown.tries++
			if err := w.register(stop); err != nil {
				w.log.Error("registration refused; the next claim tries again", "error", err.Error())
			}
			continue
		}
		if !w.pause(stop, "claim", err, failures) {
			return
		}
	}
}

// register makes the worker known, however long the server is away. The error
// is non-nil only when the server refuses the registration as it is.
func (w *worker) register(stop context.Context) error {
	wait := newBackoff()
	for {
		err := w.api.Register(stop, w.registration(client.Online))
		switch {
		case err == nil:
			w.log.Info("registered", "url", w.cfg.URL.String(), "concurrency", w.cfg.Concurrency, "ttl_seconds", w.cfg.TTL)
			return nil
		case stop.Err() != nil:
			return nil
		case client.Refused(err):
			return fmt.Errorf("the server does not take this worker: %w", err)
		}
		if !w.pause(stop, "registration", err, wait) {
			return nil
		}
	}
}

// pause logs why a call failed and waits before the next one.
func (w *worker) pause(stop context.Context, what string, err error, b *backoff) bool {
	d := max(b.next(), client.RetryAfter(err))
	if client.Denied(err) {
		// Trying fast does not make a key right; it may be put right on the server.
		d = jitter(20 * time.Second)
		w.log.Error("THE SERVER DOES NOT TAKE THE API KEY; set RUNTIME_API_KEY to a valid one",
			"call", what, "error", err.Error(), "next_try_ms", d.Milliseconds())
	} else {
		w.log.Warn(what+" failed", "error", err.Error(), "next_try_ms", d.Milliseconds())
	}
	return sleep(stop, d)
}

// claim asks for tasks. A stop does not cut it off at once: leases in an answer
// that nobody reads would stay taken until they run out.
func (w *worker) claim(stop context.Context, free int) (client.Claims, error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(stop))
	defer cancel()
	defer context.AfterFunc(stop, func() {
		sleep(ctx, claimLimit)
		cancel()
	})()
	return w.api.Claim(ctx, w.cfg.Name, free, w.cfg.TTL)
}

// start begins a job for each claim. A server that sends more than was asked
// for gets no more than its share done; those leases run out.
func (w *worker) start(stop, hard context.Context, got client.Claims, free int, sent time.Time) {
	for i, c := range got.Claims {
		log := w.log.With("task_id", c.Task.ID, "lease_id", c.Lease.ID)
		if i >= free {
			log.Error("the server sent more tasks than were asked for; this one is left alone")
			continue
		}
		l := newLease(w.api, log, c, got.ServerTime, sent)
		w.take()
		w.jobs.Go(func() {
			defer w.release()
			w.job(stop, hard, c, l)
		})
	}
}

// ready waits until there is capacity and no rest to keep; false at the end.
func (w *worker) ready(stop context.Context) bool {
	for stop.Err() == nil {
		w.mu.Lock()
		rest := time.Until(w.restEnd)
		w.mu.Unlock()
		if rest > 0 {
			sleep(stop, rest)
			continue
		}
		select {
		case <-w.freed: // what it tells is seen by free
		default:
		}
		if w.free() > 0 {
			return true
		}
		select {
		case <-w.freed:
		case <-stop.Done():
		}
	}
	return false
}

// idle waits as long as the server asks, or until a slot becomes free.
func (w *worker) idle(stop context.Context, pollAfterMS int64) {
	d := defaultPoll
	if pollAfterMS > 0 {
		d = min(max(time.Duration(min(pollAfterMS, maxPoll.Milliseconds()))*time.Millisecond, minPoll), maxPoll)
	}
	t := time.NewTimer(jitter(d))
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.freed:
	case <-stop.Done():
	}
}

func (w *worker) free() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cfg.Concurrency - w.running
}

func (w *worker) take() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running++
}

func (w *worker) release() {
	w.mu.Lock()
	w.running--
	w.mu.Unlock()
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// judged makes the worker rest after a failure that is its own fault, longer
// each time in a row: else one worker without the command or without a login
// would burn the attempts of every task in the queue.
func (w *worker) judged(r report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case r.rest:
		d := time.Second + w.rests.next()
		w.restEnd = time.Now().Add(d)
		w.log.Warn("resting before the next claim", "outcome", r.outcome, "rest_ms", d.Milliseconds())
	case r.outcome == "success":
		w.rests.reset()
	}
}

func (w *worker) goOffline(stop context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(stop), offlineLimit)
	defer cancel()
	if err := w.api.Register(ctx, w.registration(client.Offline)); err != nil {
		w.log.Warn("could not tell the server that this worker is gone", "error", err.Error())
		return
	}
	w.log.Info("offline")
}

func (w *worker) registration(status string) client.Registration {
	return client.Registration{
		Name: w.cfg.Name, Status: status, IPAddrs: addresses(),
		Capabilities: client.Capabilities{ClaudeCLI: true, MaxConcurrency: w.cfg.Concurrency, Labels: w.cfg.Labels},
	}
}

// addresses are this machine's own, at most 16, without loopback and
// link-local ones, which mean nothing elsewhere.
func addresses() []string {
	out := []string{}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return out
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && len(out) < 16 {
			out = append(out, n.IP.String())
		}
	}
	return out
}
