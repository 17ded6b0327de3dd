package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/client"
)

var (
	// errLost: the server said that the lease is somebody else's, or over.
	errLost = errors.New("the server says that the lease is lost")
	// errLapsed: no heartbeat got through for the whole TTL, so the server may
	// have given the task to another worker.
	errLapsed = errors.New("the lease ran out before a heartbeat got through")
)

// lease renews one lease. Time is measured on this machine's monotonic clock
// from the moment a request was sent: the server renews the lease at that
// moment or later, so the deadline here is never later than the server's.
type lease struct {
	api      *client.Client
	log      *slog.Logger
	taskID   string
	id       string
	ttl      time.Duration
	deadline time.Time // only for the goroutine that runs keep
}

// newLease takes over a lease that a claim sent at the given moment brought.
// It may be older than the claim: a dispatch gave it, or the answer to an
// earlier claim was lost. Then what is left of it is told by the server's own
// clock, the Date of the answer, which has whole seconds and is rounded up
// here. For the same reason a lease up to two seconds old passes for new.
func newLease(api *client.Client, log *slog.Logger, c client.Claim, serverTime int64, sent time.Time) *lease {
	ttl := time.Duration(max(1, c.Lease.TTLSeconds)) * time.Second
	left := ttl
	if serverTime > 0 && serverTime-c.Lease.StartedAt > 2000 {
		left = min(ttl, time.Duration(c.Lease.ExpiresAt-serverTime-1000)*time.Millisecond)
	}
	return &lease{api: api, log: log, taskID: c.Task.ID, id: c.Lease.ID, ttl: ttl, deadline: sent.Add(left)}
}

// due is when the next heartbeat goes out: a third of the TTL after the last.
func (l *lease) due() time.Time { return l.deadline.Add(-2 * l.ttl / 3) }

// confirm renews a lease whose heartbeat is due already; work on it may only
// begin when that succeeds.
func (l *lease) confirm(ctx context.Context) error {
	now := time.Now()
	if now.Before(l.due()) {
		return nil
	}
	if soon := now.Add(l.ttl / 3); l.deadline.Before(soon) {
		l.deadline = soon // nothing runs yet: this only bounds how long it is tried
	}
	return l.renew(ctx)
}

// keep renews the lease until ctx ends and then returns nil, or until the
// lease is over and then returns errLost or errLapsed.
func (l *lease) keep(ctx context.Context) error {
	for sleep(ctx, time.Until(l.due())) {
		if err := l.renew(ctx); err != nil {
			return err
		}
	}
	return nil
}

// renew sends heartbeats until one is answered. Any failure but the server's
// word that the lease is lost is tried again until the deadline.
func (l *lease) renew(ctx context.Context) error {
	wait := &backoff{first: l.ttl / 60, most: max(l.ttl/12, time.Second)}
	for {
		sent := time.Now()
		err := l.heartbeat(ctx)
		switch {
		case err == nil:
			l.deadline = sent.Add(l.ttl)
			return nil
		case ctx.Err() != nil:
			return nil
		case client.Conflict(err), client.Gone(err):
			return errLost
		}
		left := time.Until(l.deadline)
		l.log.Warn("heartbeat failed", "error", err.Error(), "lease_left_ms", left.Milliseconds())
		if !sleep(ctx, min(left, max(wait.next(), client.RetryAfter(err)))) {
			return nil
		}
		if !time.Now().Before(l.deadline) {
			return errLapsed
		}
	}
}

// heartbeat makes one try. It ends early enough for another one to follow, on
// a new connection, before the deadline.
func (l *lease) heartbeat(ctx context.Context) error {
	try := max(l.ttl/6, time.Second)
	ctx, cancel := context.WithDeadline(ctx, earlier(time.Now().Add(try), l.deadline))
	defer cancel()
	return l.api.Heartbeat(ctx, l.taskID, l.id)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
