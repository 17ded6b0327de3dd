package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/worker/internal/client"
)

// peer is the runtime as a worker sees it: the four routes, kept to the
// contract and strict about what it is sent. It holds its tasks in memory.
type peer struct {
	key  string
	poll int64 // poll_after_ms
	// early: the worker may ask for more than its free capacity, as it does when it
	// gave up a lease that the server still counts.
	early bool

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	workers map[string]client.Registration
	tasks   map[string]*peerTask
	order   []string
	calls   map[string][]time.Time // times of the calls by operation
	fault   func(op string, n int) fault
	faults  []string // what the worker did against the contract
	most    int      // most leases held at a time
}

// fault is what goes wrong with a call. The zero value: nothing.
type fault struct {
	status     int    // answer this, without doing anything
	retryAfter string // with it
	foreign    bool   // with a body that is not of the API
	lost       bool   // do what is asked, then cut the connection
	cut        bool   // cut the connection at once
	hang       bool   // answer nothing until the worker gives up
}

type peerTask struct {
	client.Task
	status     string // queued, leased, running, completed, failed
	lease      client.Lease
	worker     string
	expires    time.Time
	heartbeats []time.Time
	reports    [][]byte // bodies of accepted completes
	done       client.Completion
	requeue    bool // a retryable error makes it queued again
}

func newPeer() *peer {
	return &peer{
		key: "test-key", poll: 50, changed: make(chan struct{}), workers: map[string]client.Registration{},
		tasks: map[string]*peerTask{}, calls: map[string][]time.Time{},
	}
}

// serve starts p with TLS and returns its address and the file to trust.
func (p *peer) serve(t testing.TB) (url, ca string) {
	t.Helper()
	s := httptest.NewUnstartedServer(p)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, writeCA(t, s)
}

func writeCA(t testing.TB, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// add queues a task and returns its id.
func (p *peer) add(prompt string, change ...func(*peerTask)) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := fmt.Sprintf("task-%d", len(p.order)+1)
	t := &peerTask{status: "queued", Task: client.Task{
		ID: id, ContextID: "c", AgentSlug: "a", Prompt: prompt, DesiredFormat: "text", Policy: client.Policy{TimeoutSec: 30},
	}}
	for _, f := range change {
		f(t)
	}
	p.tasks[id] = t
	p.order = append(p.order, id)
	p.note()
	return id
}

// wait waits until ok, which is called under the lock, holds.
func (p *peer) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		if ok() {
			p.mu.Unlock()
			return
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("never happened: %s; %s", what, p)
		}
	}
}

func (p *peer) waitStatus(t testing.TB, id, status string) peerTask {
	t.Helper()
	p.wait(t, id+" "+status, func() bool { return p.tasks[id].status == status })
	return p.task(id)
}

func (p *peer) task(id string) peerTask {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *p.tasks[id]
}

func (p *peer) setFault(f func(op string, n int) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

func (p *peer) count(op string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls[op])
}

func (p *peer) workerStatus(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workers[name].Status
}

// check fails the test for what the worker did against the contract.
func (p *peer) check(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.faults {
		t.Error(f)
	}
}

func (p *peer) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, id := range p.order {
		t := p.tasks[id]
		fmt.Fprintf(&b, "%s %s by %s, %d heartbeats; ", id, t.status, t.worker, len(t.heartbeats))
	}
	for op, c := range p.calls {
		fmt.Fprintf(&b, "%s: %d calls; ", op, len(c))
	}
	return b.String()
}

func (p *peer) note() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *peer) wrong(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seg := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/runtime/"), "/")
	op := seg[len(seg)-1] // workers, claim, heartbeat, complete
	f := p.begin(op)
	body, err := io.ReadAll(io.LimitReader(r.Body, 10<<20+1))
	switch {
	case f.hang:
		<-r.Context().Done()
		return
	case f.cut, err != nil:
		panic(http.ErrAbortHandler)
	case f.status != 0:
		w.Header().Set("Retry-After", f.retryAfter)
		if f.foreign {
			http.Error(w, "<html>", f.status)
			return
		}
		p.answer(w, f.status, errorBody(f.status, "asked"))
		return
	}
	status, out := p.route(r, seg, op, body)
	if f.lost {
		panic(http.ErrAbortHandler)
	}
	p.answer(w, status, out)
}

func (p *peer) begin(op string) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[op] = append(p.calls[op], time.Now())
	p.note()
	if p.fault == nil {
		return fault{}
	}
	return p.fault(op, len(p.calls[op]))
}

func (p *peer) answer(w http.ResponseWriter, status int, out any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func errorBody(status int, code string) any {
	return map[string]string{"error": http.StatusText(status), "code": code, "request_id": "r"}
}

func (p *peer) route(r *http.Request, seg []string, op string, body []byte) (int, any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.note()
	if r.Header.Get("X-Runtime-API-Key") != p.key {
		return 401, errorBody(401, "unauthorized")
	}
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || !utf8.Valid(body) {
		p.wrong("%s %s with %q", r.Method, r.URL, r.Header.Get("Content-Type"))
		return 400, errorBody(400, "invalid")
	}
	switch {
	case len(seg) == 1 && op == "workers":
		return p.register(body)
	case len(seg) == 3 && seg[0] == "workers" && op == "claim":
		return p.claim(seg[1], body)
	case len(seg) == 3 && seg[0] == "llm-tasks" && op == "heartbeat":
		return p.heartbeat(seg[1], body)
	case len(seg) == 3 && seg[0] == "llm-tasks" && op == "complete":
		return p.complete(seg[1], body)
	}
	p.wrong("call of %s", r.URL)
	return 404, errorBody(404, "not_found")
}

// decode takes exactly the fields of out.
func (p *peer) decode(body []byte, out any) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		p.wrong("body %.200s: %v", body, err)
		return false
	}
	return true
}

func (p *peer) register(body []byte) (int, any) {
	var in client.Registration
	if !p.decode(body, &in) || in.Name == "" || in.Capabilities.MaxConcurrency < 1 || in.IPAddrs == nil || in.Capabilities.Labels == nil {
		p.wrong("registration %s", body)
		return 400, errorBody(400, "invalid")
	}
	_, known := p.workers[in.Name]
	p.workers[in.Name] = in
	if known {
		return 200, in
	}
	return 201, in
}

func (p *peer) held(worker string) (n int) {
	for _, t := range p.tasks {
		if t.worker == worker && (t.status == "leased" || t.status == "running") && time.Now().Before(t.expires) {
			n++
		}
	}
	return n
}

func (p *peer) claim(name string, body []byte) (int, any) {
	var in struct {
		Max        int `json:"max"`
		TTLSeconds int `json:"ttl_seconds"`
	}
	w, ok := p.workers[name]
	if !ok {
		return 404, errorBody(404, "not_found")
	}
	free := w.Capabilities.MaxConcurrency - p.held(name)
	if !p.decode(body, &in) || in.Max < 1 || in.TTLSeconds < 1 || in.Max > free && !p.early {
		p.wrong("claim %s of %q, which holds %d of %d", body, name, p.held(name), w.Capabilities.MaxConcurrency)
		return 400, errorBody(400, "invalid")
	}
	claims := []client.Claim{}
	now := time.Now()
	for _, id := range p.order {
		t := p.tasks[id]
		lapsed := (t.status == "leased" || t.status == "running") && !now.Before(t.expires)
		if len(claims) >= min(in.Max, free) || (t.status != "queued" && !lapsed) {
			continue
		}
		t.Attempts++
		t.status, t.worker, t.expires = "leased", name, now.Add(time.Duration(in.TTLSeconds)*time.Second)
		t.lease = client.Lease{
			ID: fmt.Sprintf("%s-lease-%d", id, t.Attempts), TaskID: id, TTLSeconds: in.TTLSeconds,
			StartedAt: now.UnixMilli(), ExpiresAt: t.expires.UnixMilli(),
		}
		claims = append(claims, client.Claim{Task: t.Task, Lease: t.lease})
	}
	p.most = max(p.most, p.held(name))
	return 200, map[string]any{"claims": claims, "poll_after_ms": p.poll}
}

func (p *peer) heartbeat(id string, body []byte) (int, any) {
	var in struct {
		LeaseID string `json:"lease_id"`
	}
	t, ok := p.tasks[id]
	if !p.decode(body, &in) || in.LeaseID == "" {
		return 400, errorBody(400, "invalid")
	}
	if !ok {
		return 404, errorBody(404, "not_found")
	}
	now := time.Now()
	if t.lease.ID != in.LeaseID || !now.Before(t.expires) || (t.status != "leased" && t.status != "running") {
		return 409, errorBody(409, "lease_lost")
	}
	t.status, t.expires = "running", now.Add(time.Duration(t.lease.TTLSeconds)*time.Second)
	t.lease.ExpiresAt = t.expires.UnixMilli()
	t.heartbeats = append(t.heartbeats, now)
	return 200, map[string]any{"lease": t.lease, "expires_at": t.lease.ExpiresAt}
}

func (p *peer) complete(id string, body []byte) (int, any) {
	var in client.Completion
	t, ok := p.tasks[id]
	if !p.decode(body, &in) || !validCompletion(in) {
		p.wrong("complete %.300s", body)
		return 400, errorBody(400, "invalid")
	}
	if !ok {
		return 404, errorBody(404, "not_found")
	}
	if n := len(t.reports); n > 0 && bytes.Equal(t.reports[n-1], body) {
		return 200, map[string]any{}
	}
	if t.lease.ID != in.LeaseID || !time.Now().Before(t.expires) || (t.status != "leased" && t.status != "running") {
		return 409, errorBody(409, "lease_lost")
	}
	t.reports, t.done = append(t.reports, body), in
	switch {
	case in.Status == client.Success:
		t.status = "completed"
	case in.Retryable && t.requeue:
		t.status = "queued"
	default:
		t.status = "failed"
	}
	return 200, map[string]any{}
}

func validCompletion(c client.Completion) bool {
	switch {
	case c.LeaseID == "" || c.Metrics.DurationMS < 0:
		return false
	case c.Status == client.Success:
		return c.Output != nil && len(*c.Output) <= maxOutput && !strings.Contains(*c.Output, "\x00") && c.ErrorMessage == nil && !c.Retryable
	}
	return c.Status == client.Error && c.Output == nil && c.ErrorMessage != nil && *c.ErrorMessage != "" && len(*c.ErrorMessage) <= 16<<10
}
