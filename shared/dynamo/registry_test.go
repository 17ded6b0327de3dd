package dynamo_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/worker"
)

func TestAgents(t *testing.T) {
	t.Parallel()
	r := open(t)
	ctx := t.Context()
	for n, a := range []dynamo.Agent{
		{Name: "z", URL: "http://z", Status: worker.Unknown},
		{Name: "a/б \u0000", Status: worker.Online, IPAddrs: []string{}, Capabilities: &worker.Capabilities{MaxConcurrency: 2, Labels: []string{"x"}}},
	} {
		a.RegisteredAt = r.clock.now().Add(time.Duration(n) * time.Second)
		if err := r.CreateAgent(ctx, a); err != nil {
			t.Fatal(err)
		}
		if err := r.CreateAgent(ctx, a); !fault.Is(err, fault.Conflict) {
			t.Errorf("%q twice: %v", a.Name, err)
		}
	}
	if err := r.AgentHeard(ctx, "z"); err != nil {
		t.Error(err)
	}
	if err := r.AgentHeard(ctx, "nobody"); err != nil {
		t.Error(err)
	}
	all, err := r.Agents(ctx)
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	if z := all[0]; z.Name != "z" || z.Status != worker.Online || z.LastSeen != r.clock.now() || z.Capabilities != nil || z.IPAddrs != nil {
		t.Errorf("%+v", z)
	}
	if a := all[1]; a.LastSeen != 0 || a.Capabilities.MaxConcurrency != 2 || a.Capabilities.Labels[0] != "x" || a.IPAddrs == nil {
		t.Errorf("%+v", a)
	}
	if err := r.DeleteAgent(ctx, "z"); err != nil {
		t.Error(err)
	}
	if err := r.DeleteAgent(ctx, "z"); !fault.Is(err, fault.NotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if p, a, err := r.RegistrySize(ctx); p != 0 || a != 1 || err != nil {
		t.Errorf("size %d %d %v", p, a, err)
	}
	// Another number of partitions finds the same.
	if all, err := r.another(7).Agents(ctx); err != nil || len(all) != 1 {
		t.Errorf("%+v %v", all, err)
	}
}

// TestAgentsOverManyPages: a list that is longer than one page of the store.
func TestAgentsOverManyPages(t *testing.T) {
	t.Parallel()
	r := open(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 140 {
				if err := r.CreateAgent(t.Context(), dynamo.Agent{Name: fmt.Sprintf("%d-%d", w, n), Status: worker.Unknown}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if all, err := r.Agents(t.Context()); err != nil || len(all) != 8*140 {
		t.Errorf("%d %v", len(all), err)
	}
}

func name(s string) *string { return &s }

func (r *rig) heartbeat(n dynamo.Node) dynamo.Leadership {
	r.t.Helper()
	if n.IPAddrs == nil {
		n.IPAddrs = []string{}
	}
	l, err := r.NodeHeartbeat(r.t.Context(), n)
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

func TestNodeHeartbeatReplacesTheRecord(t *testing.T) {
	t.Parallel()
	r := open(t)
	count := int64(12)
	r.heartbeat(dynamo.Node{CanonicalID: "c", NodeID: "n", ObsCount: &count, DBSha: name("ab"), LastSeen: 1.5, IPAddrs: []string{"1.2.3.4"}, ProjectID: name("p")})
	first := r.clock.now()
	r.clock.advance(time.Minute)
	r.heartbeat(dynamo.Node{CanonicalID: "c", NodeID: "m", LastSeen: 2})
	r.heartbeat(dynamo.Node{CanonicalID: "c", NodeID: "n", LastSeen: 3})
	r.heartbeat(dynamo.Node{CanonicalID: "", NodeID: "", LastSeen: 4})
	nodes, err := r.Nodes(t.Context(), "c")
	if err != nil || len(nodes) != 2 {
		t.Fatalf("%+v %v", nodes, err)
	}
	if n := nodes[0]; n.NodeID != "n" || n.ObsCount != nil || n.DBSha != nil || n.ProjectID != nil || n.LastSeen != 3 || len(n.IPAddrs) != 0 || n.RegisteredAt != first {
		t.Errorf("%+v", n)
	}
	if none, err := r.Nodes(t.Context(), ""); err != nil || len(none) != 1 || none[0].NodeID != "" {
		t.Errorf("of no name: %+v %v", none, err)
	}
	ps, err := r.Projects(t.Context())
	if err != nil || len(ps) != 1 || ps[0].CanonicalID != "c" || ps[0].NodesName != "p" || ps[0].Nodes != 2 || ps[0].Name != "" || ps[0].LastSeen != first {
		t.Errorf("%+v %v", ps, err)
	}
}

// TestNodesAreCountedOnce, however many of their first heartbeats come at once.
func TestNodesAreCountedOnce(t *testing.T) {
	t.Parallel()
	r := open(t)
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			if _, err := r.NodeHeartbeat(t.Context(), dynamo.Node{CanonicalID: "c", NodeID: fmt.Sprint(n % 3), IPAddrs: []string{}, ProjectID: name("p")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ps, err := r.Projects(t.Context()); err != nil || len(ps) != 1 || ps[0].Nodes != 3 {
		t.Errorf("%+v %v", ps, err)
	}
}

func TestProjects(t *testing.T) {
	t.Parallel()
	r := open(t)
	ctx := t.Context()
	r.heartbeat(dynamo.Node{CanonicalID: "both", NodeID: "n", ProjectID: name("as nodes say")})
	r.heartbeat(dynamo.Node{CanonicalID: "heard", NodeID: "n", ProjectID: name("h")})
	for _, cid := range []string{"second", "both", "alone"} {
		r.clock.advance(time.Second)
		if _, err := r.CreateProject(ctx, cid, "name of "+cid); err != nil {
			t.Fatal(err)
		}
		if _, err := r.CreateProject(ctx, cid, "name of "+cid); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s twice: %v", cid, err)
		}
	}
	list := func() (names []string) {
		t.Helper()
		all, err := r.Projects(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			names = append(names, p.Name+"|"+p.NodesName)
		}
		return names
	}
	if got := fmt.Sprintf("%q", list()); got != `["name of second|" "name of both|as nodes say" "name of alone|" "|h"]` {
		t.Error(got)
	}
	for _, cid := range []string{"both", "alone"} {
		if err := r.DeleteProject(ctx, cid, "name of "+cid); err != nil {
			t.Error(err)
		}
		if err := r.DeleteProject(ctx, cid, "name of "+cid); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s deleted twice: %v", cid, err)
		}
	}
	if err := r.DeleteProject(ctx, "heard", "h"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a project that a heartbeat brought: %v", err)
	}
	if got := fmt.Sprintf("%q", list()); got != `["name of second|" "|as nodes say" "|h"]` {
		t.Error(got)
	}
}

func TestPromote(t *testing.T) {
	t.Parallel()
	r := open(t)
	ctx := t.Context()
	if _, err := r.Promote(ctx, "c", "n", 60, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown project: %v", err)
	}
	if l := r.heartbeat(dynamo.Node{CanonicalID: "c", NodeID: "n"}); l.Primary != "" || l.Expired(r.clock.now()) {
		t.Errorf("nobody was chosen: %+v", l)
	}
	if _, err := r.Promote(ctx, "c", "ghost", 60, 0); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown node: %v", err)
	}
	l, err := r.Promote(ctx, "c", "n", 60, 0)
	if err != nil || l.Epoch != 1 || l.Primary != "n" || l.ExpiresAt-l.IssuedAt != 60 || l.IssuedAt != r.clock.now().Time().Unix() || l.Written != 0 {
		t.Errorf("%+v %v", l, err)
	}
	if err := r.LeaseWritten(ctx, "c", 1); err != nil {
		t.Error(err)
	}
	if l, err := r.Promote(ctx, "c", "n", 1, 41); err != nil || l.Epoch != 42 || l.Written != 1 {
		t.Errorf("past an epoch of somebody else: %+v %v", l, err)
	}
	if err := r.LeaseWritten(ctx, "c", 1); err != nil { // late: a newer one counts
		t.Error(err)
	}
	l, err = r.Leadership(ctx, "c")
	if err != nil || l.Epoch != 42 || l.Written != 1 || l.Expired(r.clock.now()) || !l.Expired(r.clock.now().Add(3*time.Second)) {
		t.Errorf("%+v %v", l, err)
	}
}

// TestPromotionsAtOnceGetAnEpochEach.
func TestPromotionsAtOnceGetAnEpochEach(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.heartbeat(dynamo.Node{CanonicalID: "c", NodeID: "n"})
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, err := r.Promote(t.Context(), "c", "n", 60, 0)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if seen[l.Epoch] {
				t.Errorf("epoch %d twice", l.Epoch)
			}
			seen[l.Epoch] = true
		})
	}
	wg.Wait()
	if l, err := r.Leadership(t.Context(), "c"); err != nil || l.Epoch != 8 {
		t.Errorf("%+v %v", l, err)
	}
}

func TestNodeHeard(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	for _, name := range []string{"w", "nobody"} {
		r.clock.advance(time.Minute)
		if err := r.NodeHeard(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if w, err := r.Worker(t.Context(), "w"); err != nil || w.LastHeartbeat != r.clock.now().Add(-time.Minute) {
		t.Errorf("%+v %v", w, err)
	}
	if _, err := r.Worker(t.Context(), "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a heartbeat makes no worker: %v", err)
	}
}

// TestSaveReach: what a scheduled call tells is noted when it is news, and is no test.
func TestSaveReach(t *testing.T) {
	t.Parallel()
	r := open(t)
	ctx := t.Context()
	reach := func(failure string) dynamo.Config {
		t.Helper()
		if err := r.SaveReach(ctx, failure); err != nil {
			t.Fatal(err)
		}
		c, err := r.Config(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := reach(""); !c.Connected || c.LastSuccess != r.clock.now() || c.LastTest != 0 {
		t.Errorf("%+v", c)
	}
	r.clock.advance(10 * time.Second)
	if c := reach(""); c.LastSuccess == r.clock.now() {
		t.Errorf("a success every ten seconds is no news: %+v", c)
	}
	r.clock.advance(time.Minute)
	if c := reach(""); c.LastSuccess != r.clock.now() {
		t.Errorf("%+v", c)
	}
	reach("gone")
	if c := reach("gone"); c.Connected || c.ConsecutiveFailures != 2 || c.LastError != "gone" {
		t.Errorf("%+v", c)
	}
	if c := reach(""); !c.Connected || c.ConsecutiveFailures != 0 || c.LastError != "" {
		t.Errorf("%+v", c)
	}
}
