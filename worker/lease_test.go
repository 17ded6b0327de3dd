package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/client"
)

// held claims the one task of p in a bubble and returns its lease.
func held(t *testing.T, p *peer, ttl int) *lease {
	t.Helper()
	p.workers["w"] = client.Registration{Capabilities: client.Capabilities{MaxConcurrency: 1}}
	p.add("x")
	c := testClient(p, "test-key")
	sent := time.Now()
	got, err := c.Claim(t.Context(), "w", 1, ttl)
	if err != nil || len(got.Claims) != 1 {
		t.Fatalf("claim: %v %+v", err, got)
	}
	return newLease(c, slog.New(slog.DiscardHandler), got.Claims[0], got.ServerTime, sent)
}

func keepFor(t *testing.T, l *lease, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	return l.keep(ctx)
}

func TestHeartbeatCadence(t *testing.T) {
	t.Parallel()
	for _, ttl := range []int{1, 3, 60, 3600} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer()
			l := held(t, p, ttl)
			third := time.Duration(ttl) * time.Second / 3
			if err := keepFor(t, l, 9*third+third/2); err != nil {
				t.Fatal(err)
			}
			beats := p.task("task-1").heartbeats
			if len(beats) != 9 {
				t.Fatalf("ttl %d: %d heartbeats in three TTLs", ttl, len(beats))
			}
			for _, g := range gaps(beats) {
				if g < third || g > third+time.Microsecond { // thirds are rounded to nanoseconds
					t.Errorf("ttl %d: heartbeats %v apart", ttl, g)
				}
			}
			p.check(t)
		})
	}
}

// Whatever goes wrong with heartbeats, the lease is given up by the moment at
// which the server may give the task away, and not before.
func TestHeartbeatFailures(t *testing.T) {
	t.Parallel()
	const ttl = 60 * time.Second
	tests := []struct {
		name  string
		fault fault
	}{
		{"connection cut", fault{cut: true}},
		{"no answer", fault{hang: true}},
		{"server error", fault{status: 500}},
		{"throttled", fault{status: 429, retryAfter: "7"}},
		{"throttled for longer than the lease", fault{status: 429, retryAfter: "600"}},
		{"key withdrawn", fault{status: 401}},
		{"foreign 404", fault{status: 404, foreign: true}},
		{"answer lost", fault{lost: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPeer()
				l := held(t, p, 60)
				began := time.Now()
				p.fault = func(string, int) fault { return tt.fault }
				err := l.keep(t.Context())
				if took := time.Since(began); !errors.Is(err, errLapsed) || took != ttl {
					t.Errorf("%v after %v, want %v after %v", err, took, errLapsed, ttl)
				}
				n := p.count("heartbeat")
				least := 3
				if tt.fault.retryAfter == "600" {
					least = 1
				}
				if n < least || n > 100 {
					t.Errorf("%d tries in two thirds of the TTL", n)
				}
			})
			synctest.Test(t, func(t *testing.T) { // a short failure costs nothing
				p := newPeer()
				l := held(t, p, 60)
				p.fault = func(_ string, n int) fault {
					if n%3 == 1 {
						return tt.fault
					}
					return fault{}
				}
				if tt.fault.retryAfter == "600" {
					return
				}
				if err := keepFor(t, l, 10*time.Minute); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestHeartbeatLost(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 409} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer()
			l := held(t, p, 60)
			p.fault = func(_ string, n int) fault {
				if n == 3 {
					return fault{status: status}
				}
				return fault{}
			}
			began := time.Now()
			if err := l.keep(t.Context()); !errors.Is(err, errLost) || time.Since(began).Round(time.Second) != time.Minute {
				t.Errorf("%d: %v after %v", status, err, time.Since(began))
			}
		})
	}
}

// A lease that is older than the claim that brought it is confirmed first.
func TestOldLease(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		age       time.Duration
		skew      time.Duration // of the server's clock against this machine's
		fault     fault
		confirmed int
		err       error
	}{
		{"new", 0, 0, fault{}, 0, nil},
		{"new, clocks apart", 0, time.Hour, fault{}, 0, nil},
		{"ten seconds old", 10 * time.Second, 0, fault{}, 0, nil},
		{"half its time gone", 30 * time.Second, 0, fault{}, 1, nil},
		{"almost over", 59 * time.Second, time.Hour, fault{}, 1, nil},
		{"over", 61 * time.Second, 0, fault{}, 1, errLost},
		{"over, server away", 59 * time.Second, 0, fault{cut: true}, 0, errLapsed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPeer()
				l := held(t, p, 60)
				time.Sleep(tt.age)
				task := p.task("task-1")
				task.lease.StartedAt += tt.skew.Milliseconds()
				task.lease.ExpiresAt += tt.skew.Milliseconds()
				serverTime := time.Now().Add(tt.skew).UnixMilli() // what the answer's Date says
				l = newLease(l.api, l.log, client.Claim{Task: task.Task, Lease: task.lease}, serverTime, time.Now())
				p.fault = func(string, int) fault { return tt.fault }
				err := l.confirm(t.Context())
				if !errors.Is(err, tt.err) {
					t.Fatalf("confirm: %v", err)
				}
				if n := p.count("heartbeat"); tt.confirmed > 0 && n != tt.confirmed || tt.confirmed == 0 && err == nil && n != 0 {
					t.Errorf("%d heartbeats", n)
				}
				if err == nil {
					if err := keepFor(t, l, 5*time.Minute); err != nil {
						t.Errorf("keep: %v", err)
					}
				}
			})
		})
	}
}

// deliverAll reports one result to a peer with faults while its lease is kept,
// and returns what the log says.
func deliverAll(t *testing.T, f func(op string, n int) fault, output string) (*peer, string) {
	t.Helper()
	p, out := newPeer(), &logs{}
	l := held(t, p, 60)
	w := library(p, out)
	p.fault = f
	hard := t.Context()
	ctx, lose := context.WithCancelCause(hard)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		lose(l.keep(ctx))
	}()
	c := success(output).completion
	c.LeaseID = l.id
	w.deliver(ctx, hard, "task-1", c, w.log)
	lose(nil)
	<-kept
	p.check(t)
	return p, out.String()
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	firstTimes := func(many int, f fault) func(string, int) fault {
		return func(op string, n int) fault {
			if op == "complete" && n <= many {
				return f
			}
			return fault{}
		}
	}
	const long = 20 // tries; with the backoff they outlast several TTLs
	tests := []struct {
		name    string
		fault   func(string, int) fault
		status  string // of the task at the end
		calls   int    // of complete, at least
		reports int
	}{
		{"at once", firstTimes(0, fault{}), "completed", 1, 1},
		{"answers lost", firstTimes(3, fault{lost: true}), "completed", 4, 1},
		{"server away for long", firstTimes(long, fault{cut: true}), "completed", long + 1, 1},
		{"server errors", firstTimes(long, fault{status: 502, foreign: true}), "completed", long + 1, 1},
		{"key withdrawn for a while", firstTimes(5, fault{status: 401}), "completed", 6, 1},
		{"throttled", firstTimes(2, fault{status: 429, retryAfter: "40"}), "completed", 3, 1},
		{"refused once", firstTimes(1, fault{status: 413, foreign: true}), "failed", 2, 1},
		{"refused always", firstTimes(long, fault{status: 400}), "leased", 2, 0},
		{"lease lost", firstTimes(1, fault{status: 409}), "leased", 1, 0},
		{"task gone", firstTimes(1, fault{status: 404}), "leased", 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, log := deliverAll(t, tt.fault, "the-answer")
				task := p.task("task-1")
				if task.status == "running" {
					task.status = "leased"
				}
				if task.status != tt.status || len(task.reports) != tt.reports || p.count("complete") != tt.calls {
					t.Errorf("%s, %d reports in %d calls; log:\n%s", task.status, len(task.reports), p.count("complete"), log)
				}
				if strings.Contains(log, "the-answer") {
					t.Error("the log shows the output")
				}
			})
		})
	}
}

func TestDeliverHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := deliverAll(t, func(op string, n int) fault {
			if op == "complete" && n == 1 {
				return fault{status: 429, retryAfter: "150"}
			}
			return fault{}
		}, "x")
		if g := gaps(p.calls["complete"]); len(g) != 1 || g[0] != 150*time.Second {
			t.Errorf("tries %v apart", g)
		}
		if n := len(p.task("task-1").heartbeats); n < 7 {
			t.Errorf("%d heartbeats while waiting", n) // the lease of 60 s is kept
		}
	})
}

// The report got through, its answer did not, and then the heartbeat says that
// the lease is over: the result is there, and the worker finds that out.
func TestDeliverLastTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, log := deliverAll(t, func(op string, n int) fault {
			switch {
			case op == "complete" && n == 1:
				return fault{lost: true}
			case op == "complete" && n == 2:
				return fault{status: 429, retryAfter: "300"}
			}
			return fault{}
		}, "x")
		if p.task("task-1").status != "completed" || p.count("complete") != 3 || !strings.Contains(log, "task reported") {
			t.Errorf("%s\n%s", p, log)
		}
	})
}

// While no heartbeat gets through either, the worker stops trying when the
// lease has run out.
func TestDeliverLapsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, log := deliverAll(t, func(string, int) fault { return fault{cut: true} }, "x")
		if took := time.Since(began); took != time.Minute || !strings.Contains(log, errLapsed.Error()) {
			t.Errorf("gave up after %v\n%s", took, log)
		}
	})
}

// The error that replaces a refused result says why, and fits.
func TestDeliverRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, _ := deliverAll(t, func(op string, n int) fault {
			if op == "complete" && n == 1 {
				return fault{status: 413}
			}
			return fault{}
		}, strings.Repeat("\x01", 1<<20))
		d := p.task("task-1").done
		if d.Status != client.Error || d.Retryable || !strings.Contains(*d.ErrorMessage, "1048576 bytes") || !strings.Contains(*d.ErrorMessage, "413") {
			b, _ := json.Marshal(d)
			t.Errorf("%s", b)
		}
	})
}
