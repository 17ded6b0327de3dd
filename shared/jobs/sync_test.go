package jobs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/provision"
	"github.com/bloom-runtime/bloom/local/secrets"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/link"
	"github.com/bloom-runtime/bloom/shared/membridge"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

const adminKey = "the-very-secret-admin-key"

// plane is a Membridge that answers GET /agents with what a test says, and notes how many ask at once.
type plane struct {
	*httptest.Server
	mu       sync.Mutex
	status   int
	agents   string
	hold     func() // called within each answer
	calls    atomic.Int32
	at, most atomic.Int32
}

func newPlane(t *testing.T) *plane {
	p := &plane{status: http.StatusOK, agents: "[]", hold: func() {}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.calls.Add(1)
		most := p.at.Add(1)
		defer p.at.Add(-1)
		for seen := p.most.Load(); most > seen && !p.most.CompareAndSwap(seen, most); seen = p.most.Load() {
		}
		if r.URL.Path != "/agents" || r.Header.Get(membridge.AdminHeader) != adminKey {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		p.mu.Lock()
		status, agents, hold := p.status, p.agents, p.hold
		p.mu.Unlock()
		hold()
		w.WriteHeader(status)
		_, _ = w.Write([]byte(agents))
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *plane) say(status int, agents string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.agents = status, agents
}

// rig is a table with a clock, a link, and a Syncer of both.
type rig struct {
	*Syncer
	t   *testing.T
	now atomic.Int64
}

func (r *rig) clock() clock.Millis     { return clock.Millis(r.now.Load()) }
func (r *rig) advance(d time.Duration) { r.now.Add(d.Milliseconds()) }

func newRig(t *testing.T, url string) *rig {
	t.Helper()
	store, err := dynamodb.Open(t.TempDir(), dynamodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := awsconf.Build("us-east-1", "http://dynamodb.local", "", "", "", store.HTTPClient())
	stack, err := template.Load("../../template.yaml", template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := provision.Table(t.Context(), cfg, stack.Tables[0]); err != nil {
		t.Fatal(err)
	}
	vault, err := secrets.Open(filepath.Join(t.TempDir(), "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := vault.Ensure(t.Context(), "link", "{}"); err != nil {
		t.Fatal(err)
	}
	l := link.Open(vault.Config(), func(string) string { return "link" })
	r := &rig{t: t}
	r.now.Store(int64(clock.System()))
	table := dynamo.Open(cfg, dynamo.Settings{Name: stack.Tables[0].Name, Partitions: 2, Now: r.clock})
	r.Syncer = SyncWorkers(table, l)
	r.Syncer.now = r.clock
	r.client = membridge.New(time.Second, 0)
	if url != "" {
		if err := l.Save(t.Context(), membridge.Server{URL: url, AdminKey: adminKey}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// once runs one round.
func (r *rig) once() {
	r.t.Helper()
	job, wait, err := r.round(r.t.Context(), "owner", map[string]bool{})
	if err != nil || wait != 0 || job.Fence == 0 {
		r.t.Fatalf("round: %+v %v %v", job, wait, err)
	}
}

func (r *rig) register(name string, most int) {
	r.t.Helper()
	if _, _, err := r.table.RegisterWorker(r.t.Context(), worker.Registration{Name: name, Status: worker.Online, IPAddrs: []string{},
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: most, Labels: []string{}}}, "tester"); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) worker(name string) worker.Worker {
	r.t.Helper()
	w, err := r.table.Worker(r.t.Context(), name)
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return w
}

// TestSyncTakesWhatIsListed: what the original sends, and what broke it: agents without capabilities, last_seen as a float, one
// bad agent in the middle, a name that registered itself too.
func TestSyncTakesWhatIsListed(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	r.register("own", 4)
	seen := float64(r.clock())/1000 - 1.5
	p.say(200, fmt.Sprintf(`[{"name":"first","url":"http://h:8001","status":"unknown","registered_at":1.5,"last_seen":null},
		{"name":"bad/one","url":"","status":"online"}, 7,
		{"name":"own","url":"","status":"unknown","registered_at":1.5,"last_seen":null,"capabilities":{"max_concurrency":1}},
		{"name":"last","url":"","status":"online","registered_at":1.5,"last_seen":%f}]`, seen))
	r.once()
	if w := r.worker("first"); w.Status != worker.Unknown || w.URL != "http://h:8001" || w.Capabilities.MaxConcurrency != 1 {
		t.Errorf("first: %+v", w)
	}
	if w := r.worker("own"); w.Status != worker.Online || w.Capabilities.MaxConcurrency != 4 {
		t.Errorf("own: %+v", w)
	}
	if w := r.worker("last"); w.Status != worker.Online || w.LastHeartbeat.Sub(r.clock()) != -1500*time.Millisecond {
		t.Errorf("last: %+v", w)
	}
	if all, err := r.table.Fleet(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("%d workers %v", len(all), err)
	}
	k := task.New(dynamo.NewID(), task.Spec{ContextID: "c", AgentSlug: "a", Prompt: "p", MaxAttempts: 3}, r.clock())
	if err := r.table.CreateTask(t.Context(), k, "tester"); err != nil {
		t.Fatal(err)
	}
	if _, w, err := r.table.Lease(t.Context(), dynamo.LeaseRequest{TaskID: k.To.ID, WorkerID: "last", TTL: time.Minute}, "tester"); err != nil || w.ID != "last" {
		t.Errorf("a listed worker takes a task: %+v %v", w, err)
	}
}

// TestSyncSameTwice: a second round changes nothing, and its audit log says nothing.
func TestSyncSameTwice(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	p.say(200, `[{"name":"a","status":"online","capabilities":{"labels":["x"]},"ip_addrs":["1.2.3.4"]}]`)
	r.once()
	before := r.worker("a")
	var writes atomic.Int64
	r.table.Observe(func(u dynamo.Units) { writes.Add(int64(u.WriteBase)) })
	r.advance(10 * time.Second)
	r.once()
	if after := r.worker("a"); after.LastHeartbeat != before.LastHeartbeat || writes.Load() > 1 { // 1: the job
		t.Errorf("%d units written, %+v after %+v", writes.Load(), after, before)
	}
}

// TestSyncBadAgentIsNamed in the log, once a call of the function.
func TestSyncBadAgentIsNamed(t *testing.T) { // not parallel: the log is the process's
	var log syncBuffer
	was := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&log, nil)))
	defer slog.SetDefault(was)
	p := newPlane(t)
	r := newRig(t, p.URL)
	p.say(200, `[{"name":"the-bad-one","capabilities":{"max_concurrency":99}},{"name":"good","status":"online"}]`)
	said := map[string]bool{}
	for range 3 {
		if _, _, err := r.round(t.Context(), "owner", said); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "the-bad-one"); n != 1 || r.worker("good").Status != worker.Online {
		t.Errorf("named %d times: %s", n, log.String())
	}
	p.say(401, `{"detail":"Unauthorized: `+adminKey+`"}`)
	for range 2 {
		if _, _, err := r.round(t.Context(), "owner", said); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "refused the admin key"); n != 1 || strings.Contains(log.String(), adminKey) {
		t.Errorf("%d times: %s", n, log.String())
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestSilence: a worker that nobody lists goes offline when it is not heard from, whatever it holds, and comes back when it is.
func TestSilence(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	ctx := t.Context()
	for _, name := range []string{"claims", "renews", "silent", "listed"} {
		r.register(name, 1)
	}
	p.say(200, `[{"name":"listed","status":"unknown"}]`)
	k := task.New(dynamo.NewID(), task.Spec{ContextID: "c", AgentSlug: "a", Prompt: "p", MaxAttempts: 3}, r.clock())
	if err := r.table.CreateTask(ctx, k, "tester"); err != nil {
		t.Fatal(err)
	}
	l, _, err := r.table.Lease(ctx, dynamo.LeaseRequest{TaskID: k.To.ID, WorkerID: "renews", TTL: time.Hour}, "tester")
	if err != nil {
		t.Fatal(err)
	}
	statuses := func() string {
		r.once()
		var all []string
		for _, name := range []string{"claims", "renews", "silent", "listed"} {
			all = append(all, string(r.worker(name).Status))
		}
		return strings.Join(all, " ")
	}
	for range 3 { // 90 s
		r.advance(30 * time.Second)
		if _, err := r.table.Claim(ctx, "claims", 1, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := r.table.Heartbeat(ctx, k.To.ID, l.ID); err != nil {
			t.Fatal(err)
		}
	}
	if got := statuses(); got != "online online offline online" {
		t.Errorf("after 90 s: %s", got)
	}
	r.advance(61 * time.Second)
	if got := statuses(); got != "offline offline offline online" {
		t.Errorf("61 s later: %s", got)
	}
	if held, err := r.table.Held(ctx, r.worker("renews")); err != nil || len(held) != 1 || held[0].Status != task.LeaseActive {
		t.Errorf("its lease: %+v %v", held, err)
	}
	if _, err := r.table.Heartbeat(ctx, k.To.ID, l.ID); err != nil {
		t.Fatal(err)
	}
	if got := statuses(); got != "offline online offline online" {
		t.Errorf("heard again: %s", got)
	}
}

// TestOwnOfflineStaysOffline: who said itself that it is offline is not brought back because it was heard.
func TestOwnOfflineStaysOffline(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	if _, _, err := r.table.RegisterWorker(t.Context(), worker.Registration{Name: "w", Status: worker.Offline, IPAddrs: []string{},
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{}}}, "tester"); err != nil {
		t.Fatal(err)
	}
	if err := r.table.Hear(t.Context(), "w"); err != nil {
		t.Fatal(err)
	}
	r.once()
	if w := r.worker("w"); w.Status != worker.Offline {
		t.Errorf("%+v", w)
	}
}

// TestMembridgeDownChangesNothing: whatever is wrong at the other end, the workers stay as they are, silent ones too; health
// tells of it, and the next good answer counts.
func TestMembridgeDownChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	r.register("silent", 1)
	p.say(200, `[{"name":"listed","status":"online"}]`)
	r.once()
	r.advance(time.Hour)
	before := fmt.Sprint(r.worker("silent"), r.worker("listed"))
	for n, say := range []func(){
		func() { p.say(500, "Internal Server Error") },
		func() { p.say(401, `{"detail":"Unauthorized"}`) },
		func() { p.say(302, "") },
		func() { p.say(200, "<html>") },
		func() { p.say(200, `{"agents":[]}`) },
		func() { p.say(200, "null") },
		func() { p.say(200, `[{"name":"x"}`) },
		func() { p.say(200, "["+strings.Repeat(" ", 3<<20)+"]") },
		func() { p.Close() },
	} {
		say()
		r.once()
		if after := fmt.Sprint(r.worker("silent"), r.worker("listed")); after != before {
			t.Errorf("case %d changed\n%s\nto\n%s", n, before, after)
		}
		c, err := r.table.Config(t.Context())
		if err != nil || c.Connected || c.ConsecutiveFailures != n+1 || c.LastError == "" || strings.Contains(c.LastError, adminKey) {
			t.Errorf("case %d: %+v %v", n, c, err)
		}
	}
	again := newPlane(t)
	if err := r.link.Save(t.Context(), membridge.Server{URL: again.URL, AdminKey: adminKey}); err != nil {
		t.Fatal(err)
	}
	r.once()
	if c, err := r.table.Config(t.Context()); err != nil || !c.Connected || c.ConsecutiveFailures != 0 || r.worker("silent").Status != worker.Offline {
		t.Errorf("back: %+v %v %+v", c, err, r.worker("silent"))
	}
}

// TestWithoutMembridge nobody is listed, and who is silent goes offline.
func TestWithoutMembridge(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.register("w", 1)
	r.once()
	if w := r.worker("w"); w.Status != worker.Online {
		t.Errorf("%+v", w)
	}
	r.advance(2 * time.Minute)
	r.once()
	if w := r.worker("w"); w.Status != worker.Offline {
		t.Errorf("%+v", w)
	}
}

// TestNeverTwoAtOnce runs the function four times over, each as its own Lambda would: Membridge is asked by one at a time, and
// when that one ends the next goes on.
func TestNeverTwoAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	var wg sync.WaitGroup
	var stops []context.CancelFunc
	for range 4 {
		s := SyncWorkers(r.table, r.link)
		s.every, s.now = 5*time.Millisecond, r.clock
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		stops = append(stops, stop)
		wg.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for n, stop := range stops {
		wait(t, func() bool { return p.calls.Load() >= int32(5*(n+1)) })
		stop()
	}
	wg.Wait()
	if p.most.Load() != 1 {
		t.Errorf("%d asked at once", p.most.Load())
	}
}

// TestASlowOneWritesNothing: one that is held up past its right finds, when it goes on, that another one has the job.
func TestASlowOneWritesNothing(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	asked, goOn := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	p.mu.Lock()
	p.agents = `[{"name":"old","status":"online"}]`
	p.hold = func() {
		if first.CompareAndSwap(false, true) {
			close(asked)
			<-goOn
		}
	}
	p.mu.Unlock()
	r.client = membridge.New(30*time.Second, 0)
	ended := make(chan error)
	go func() {
		_, _, err := r.round(t.Context(), "slow", map[string]bool{})
		ended <- err
	}()
	<-asked
	if _, wait, err := r.round(t.Context(), "quick", map[string]bool{}); err != nil || wait <= 0 {
		t.Errorf("while the right lasts: wait %v, %v", wait, err)
	}
	r.advance(syncHold)
	p.say(200, `[{"name":"new","status":"online"}]`)
	if _, wait, err := r.round(t.Context(), "quick", map[string]bool{}); err != nil || wait != 0 {
		t.Errorf("after its end: wait %v, %v", wait, err)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if all, err := r.table.Fleet(t.Context()); err != nil || len(all) != 1 || all[0].ID != "new" {
		t.Errorf("%+v %v", all, err)
	}
}

// TestAStopSaysNothingOfMembridge: a call that the stop cut off is no failure of its.
func TestAStopSaysNothingOfMembridge(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	r.once()
	ctx, cancel := context.WithCancel(t.Context())
	p.mu.Lock()
	p.hold = cancel
	p.mu.Unlock()
	if _, _, err := r.round(ctx, "owner", map[string]bool{}); err != nil {
		t.Error(err)
	}
	if c, err := r.table.Config(t.Context()); err != nil || !c.Connected || c.ConsecutiveFailures != 0 {
		t.Errorf("%+v %v", c, err)
	}
}

// TestRunEndsInTime and gives the job up, so that the next call need not wait.
func TestRunEndsInTime(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	r := newRig(t, p.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // less than the time between two rounds
	defer cancel()
	if err := r.Run(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("%v %v", err, ctx.Err())
	}
	if job, wait, err := r.round(t.Context(), "another", map[string]bool{}); err != nil || wait != 0 || job.Fence != 2 || p.calls.Load() != 2 {
		t.Errorf("%+v %v %v after %d calls", job, wait, err, p.calls.Load())
	}
}

func wait(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 20 s")
		}
	}
}
