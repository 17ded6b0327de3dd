package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bloom-runtime/bloom/worker/internal/client"
	"github.com/bloom-runtime/bloom/worker/internal/process"
)

// The tests of this file run the worker as a library against a peer in the same
// process, without a network, in synctest bubbles: time is exact and costs
// nothing. Nothing in them starts a process, since the bubble's clock stands
// still while one runs.

// direct calls a handler as if it were a server.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (res *http.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errCut
		}
	}()
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return w.Result(), nil
}

type cutError struct{}

func (cutError) Error() string { return "connection cut" }

var errCut = cutError{}

// logs collects log lines. Safe for concurrent use.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testClient(h http.Handler, key string) *client.Client {
	return client.New(&url.URL{Scheme: "https", Host: "runtime.test"}, key, direct{h})
}

// library makes a worker of p whose command can't be started.
func library(p *peer, l *logs) *worker {
	cfg := config{
		URL: &url.URL{Scheme: "https", Host: "runtime.test"}, Name: "w", Concurrency: 2, TTL: 60, Labels: []string{},
		Command: []string{"/no/such/program"},
	}
	return newWorker(cfg, testClient(p, "test-key"), slog.New(slog.NewJSONHandler(l, nil)), &process.Runner{})
}

// during runs w for d and then stops it.
func during(t *testing.T, w *worker, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := w.run(ctx); err != nil {
		t.Error(err)
	}
}

func gaps(times []time.Time) (out []time.Duration) {
	for i := 1; i < len(times); i++ {
		out = append(out, times[i].Sub(times[i-1]))
	}
	return out
}

func TestIdlePolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		p.poll = 5000
		during(t, library(p, l), 2*time.Minute)
		for _, g := range gaps(p.calls["claim"]) {
			if g < 5*time.Second || g > 6*time.Second {
				t.Errorf("polls %v apart, asked for 5 s and up to a fifth more", g)
			}
		}
		if n := p.count("claim"); n < 20 || n > 25 {
			t.Errorf("%d polls in two minutes", n)
		}
		if p.count("workers") != 2 || p.workerStatus("w") != client.Offline {
			t.Errorf("%d registrations, status %q at the end", p.count("workers"), p.workerStatus("w"))
		}
		p.check(t)
	})
}

// A server that names no wait, or a wild one, is not asked too often or never.
func TestIdlePollingBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		poll     int64
		min, max time.Duration
	}{
		{0, defaultPoll, defaultPoll * 6 / 5}, {-5, defaultPoll, defaultPoll * 6 / 5}, {1, minPoll, minPoll * 6 / 5},
		{1 << 62, maxPoll, maxPoll * 6 / 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer()
			p.poll = tt.poll
			during(t, library(p, &logs{}), 3*time.Minute)
			for _, g := range gaps(p.calls["claim"]) {
				if g < tt.min || g > tt.max {
					t.Errorf("poll_after_ms %d: polls %v apart", tt.poll, g)
				}
			}
		})
	}
}

func TestServerAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		began := time.Now()
		away := func() bool { // for 10 minutes at the start, and again later
			m := time.Since(began).Minutes()
			return m < 10 || (m > 20 && m < 30)
		}
		p.fault = func(string, int) fault { return fault{cut: away()} }
		p.poll = 10000
		during(t, library(p, l), 40*time.Minute)
		var early, middle, late int
		for _, at := range p.calls["claim"] {
			switch m := at.Sub(began).Minutes(); {
			case m < 10:
				t.Errorf("claim after %v, before the worker was registered", at.Sub(began))
			case m < 20:
				early++
			case m < 30:
				middle++
			default:
				late++
			}
		}
		// Full jitter up to 30 s is 15 s on average: 40 tries in 10 minutes.
		if n := p.count("workers"); n < 20 || n > 120 {
			t.Errorf("%d tries to register", n)
		}
		if early < 40 || middle < 20 || middle > 120 || late < 40 {
			t.Errorf("claims: %d before the outage, %d in it, %d after it", early, middle, late)
		}
		p.check(t)
	})
}

func TestServerForgetsWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		w := library(p, l)
		go func() {
			time.Sleep(time.Minute)
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.workers, "w")
		}()
		during(t, w, 2*time.Minute)
		if n := p.count("workers"); n != 3 { // start, again, offline
			t.Errorf("%d registrations", n)
		}
		p.check(t)
	})
}

// A server that takes registrations but never knows the worker is not asked in
// a tight loop; a 404 of something in between is no reason to register.
func TestClaimNotFound(t *testing.T) {
	t.Parallel()
	for _, foreign := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p, l := newPeer(), &logs{}
			p.fault = func(op string, _ int) fault {
				if op == "claim" {
					return fault{status: 404, foreign: foreign}
				}
				return fault{}
			}
			during(t, library(p, l), 10*time.Minute)
			if n := p.count("claim"); n < 20 || n > 150 {
				t.Errorf("%d claims in 10 minutes", n)
			}
			if n := p.count("workers"); foreign && n != 2 {
				t.Errorf("%d registrations after foreign answers", n)
			}
		})
	}
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		p.key = "another-secret"
		w := library(p, l)
		go func() {
			time.Sleep(5 * time.Minute)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.key = "test-key" // put right on the server
		}()
		during(t, w, 6*time.Minute)
		if n := len(p.calls["workers"]); n < 10 || n > 20 {
			t.Errorf("%d tries with a wrong key in 5 minutes", n)
		}
		if p.count("claim") == 0 {
			t.Error("no claim after the key was put right")
		}
		if !strings.Contains(l.String(), "DOES NOT TAKE THE API KEY") || strings.Contains(l.String(), "test-key") {
			t.Errorf("log: %s", l)
		}
	})
}

func TestRegistrationRefused(t *testing.T) {
	t.Parallel()
	p := newPeer()
	p.fault = func(string, int) fault { return fault{status: 400} }
	if err := library(p, &logs{}).run(t.Context()); err == nil || !strings.Contains(err.Error(), "does not take this worker") {
		t.Fatalf("got %v", err)
	}
}

func TestClaimHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"90", "date"} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer()
			p.poll = 1000
			p.fault = func(op string, n int) fault {
				if op != "claim" || n != 1 {
					return fault{}
				}
				v := header
				if v == "date" {
					v = time.Now().Add(91 * time.Second).UTC().Format(http.TimeFormat)
				}
				return fault{status: 429, retryAfter: v}
			}
			during(t, library(p, &logs{}), 3*time.Minute)
			if g := gaps(p.calls["claim"]); len(g) < 10 || g[0] < 90*time.Second || g[0] > 121*time.Second {
				t.Errorf("waits %v", g)
			}
		})
	}
}

// A worker without its command reports it, and does not race through the queue.
func TestCommandNotFoundRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		for range 100 {
			p.add("x")
		}
		during(t, library(p, l), time.Minute)
		failed := 0
		for _, task := range p.tasks {
			if task.status != "failed" {
				continue
			}
			failed++
			if d := task.done; !d.Retryable || !strings.Contains(*d.ErrorMessage, `could not start "/no/such/program"`) {
				t.Errorf("report %+v", d)
			}
		}
		if failed < 3 || failed > 30 {
			t.Errorf("%d tasks failed in a minute", failed)
		}
		if !strings.Contains(l.String(), "THE COMMAND DOES NOT START") {
			t.Error("the log does not say it")
		}
		p.check(t)
	})
}

// A server that sends more than was asked for does not overload the worker.
func TestSurplusClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		w := library(p, l)
		claims := make([]client.Claim, 5)
		w.start(t.Context(), t.Context(), client.Claims{Claims: claims}, 2, time.Now())
		w.jobs.Wait()
		if n := strings.Count(l.String(), "more tasks than were asked for"); n != 3 {
			t.Errorf("%d left alone", n)
		}
	})
}

// With a server that answers nothing any more, the worker still ends in time.
func TestStopWithoutServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		p.add("x")
		p.fault = func(op string, n int) fault { return fault{hang: op == "complete" || op == "workers" && n > 1} }
		w := library(p, l)
		stop, cancel := context.WithCancel(t.Context())
		var stopped time.Time
		time.AfterFunc(5*time.Second, func() {
			stopped = time.Now()
			cancel()
		})
		if err := w.run(stop); err != nil {
			t.Error(err)
		}
		if took := time.Since(stopped); took != stopLimit+offlineLimit {
			t.Errorf("ended %v after the signal", took)
		}
		w.jobs.Wait()
		if !strings.Contains(l.String(), "not everything could be given back") {
			t.Errorf("log: %s", l)
		}
	})
}

// A claim that is under way when the worker stops is heard out, and what it
// brings is given back.
func TestStopDuringClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, l := newPeer(), &logs{}
		id := p.add("x")
		stop, cancel := context.WithCancel(t.Context())
		p.fault = func(op string, _ int) fault {
			if op == "claim" {
				cancel()
				synctest.Wait()
			}
			return fault{}
		}
		if err := library(p, l).run(stop); err != nil {
			t.Error(err)
		}
		got := p.task(id)
		if got.status != "failed" || *got.done.ErrorMessage != "worker stopped" || !got.done.Retryable {
			t.Errorf("%s %+v\n%s", got.status, got.done, l)
		}
		p.check(t)
	})
}
