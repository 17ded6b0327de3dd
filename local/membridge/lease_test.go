package membridge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	shared "github.com/bloom-runtime/bloom/shared/membridge"
)

const leaseName = "projects/c1/leadership/lease.json"

func (r *rig) heartbeats(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		if got := r.send("POST", "/agent/heartbeat", `{"node_id":"`+id+`","canonical_id":"c1"}`); got.status != 200 {
			r.t.Fatalf("%s: %d %s", id, got.status, got.body)
		}
	}
}

func (r *rig) promote(node, more string) response {
	r.t.Helper()
	return r.send("POST", "/projects/c1/leadership/select", `{"primary_node_id":"`+node+`"`+more+`}`)
}

func (r *rig) leadership() (l shared.Leadership) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.send("GET", "/projects/c1/leadership", "").body), &l); err != nil {
		r.t.Fatal(err)
	}
	return l
}

func roles(l shared.Leadership) string {
	var all []string
	for _, n := range l.Nodes {
		all = append(all, n.NodeID+" "+n.Role)
	}
	return strings.Join(all, ", ")
}

// TestPromotion: epoch, time, roles, the file that the memory-sync tool reads, and what is left when the time has run out.
func TestPromotion(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.heartbeats("n1", "n2")
	r.want("POST", "/projects/c1/leadership/select", `{"primary_node_id":"n1"}`, 200, `{"ok":true,"canonical_id":"c1","primary_node_id":"n1","lease_seconds":3600,
		"detail":"Node n1 is primary for 3600 s, epoch 1. Nodes adopt their roles with the next heartbeat or sync.","epoch":1,"issued_at":1800000000,"expires_at":1800003600}`)
	if got := r.s3.get(leaseName); !sameJSON(got, `{"canonical_id":"c1","primary_node_id":"n1","issued_at":1800000000,"expires_at":1800003600,"lease_seconds":3600,"epoch":1,
		"policy":"primary_authoritative","issued_by":"membridge"}`) {
		t.Errorf("the file: %s", got)
	}
	l := r.leadership()
	if *l.PreferredPrimary != "n1" || l.PrimaryNodeID != "n1" || l.Epoch != 1 || l.IssuedAt != 1800000000 || l.ExpiresAt != 1800003600 || *l.NeedsUISelection || roles(l) != "n1 primary, n2 secondary" {
		t.Errorf("%+v", l)
	}
	r.want("POST", "/agent/heartbeat", `{"node_id":"n1","canonical_id":"c1"}`, 200, `{"ok":true,"role":"primary","canonical_id":"c1"}`)
	r.want("POST", "/agent/heartbeat", `{"node_id":"n3","canonical_id":"c1"}`, 200, `{"ok":true,"role":"secondary","canonical_id":"c1"}`)
	r.advance(time.Hour + 2*time.Second)
	l = r.leadership()
	if !*l.NeedsUISelection || l.PrimaryNodeID != "n1" || l.Epoch != 1 || roles(l) != "n1 secondary, n2 secondary, n3 secondary" {
		t.Errorf("after its time: %+v", l)
	}
	for n, more := range []string{`,"lease_seconds":"60"`, `,"lease_seconds":null`, `,"lease_seconds":1`} {
		if got := r.promote("n2", more); got.status != 200 || !strings.Contains(got.body, fmt.Sprintf(`"epoch":%d`, n+2)) {
			t.Errorf("%s: %d %s", more, got.status, got.body)
		}
	}
	if l = r.leadership(); *l.NeedsUISelection || roles(l) != "n1 secondary, n2 primary, n3 secondary" {
		t.Errorf("promoted again: %+v", l)
	}
}

// TestPromotionRefused: a node that is not known, a time that is none, a project that can be no folder.
func TestPromotionRefused(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.heartbeats("n1")
	r.want("POST", "/projects/c1/leadership/select", `{"primary_node_id":"ghost"}`, 404, `{"detail":"Node 'ghost' not found: it has sent no heartbeat for project 'c1'"}`)
	r.want("POST", "/projects/other/leadership/select", `{"primary_node_id":"n1"}`, 404, `{"detail":"Node 'n1' not found: it has sent no heartbeat for project 'other'"}`)
	for _, more := range []string{`,"lease_seconds":-5`, `,"lease_seconds":0`, `,"lease_seconds":31536001`, `,"lease_seconds":"x"`, `,"lease_seconds":[]`} {
		if got := r.promote("n1", more); got.status != 422 || !strings.Contains(got.body, `"loc":["body","lease_seconds"]`) {
			t.Errorf("%s: %d %s", more, got.status, got.body)
		}
	}
	if got := r.promote("", ""); got.status != 422 {
		t.Errorf("no node: %d %s", got.status, got.body)
	}
	for _, cid := range []string{"%2e%2e", "a%20b", "a%5cb", strings.Repeat("c", 129)} {
		got := r.send("POST", "/projects/"+cid+"/leadership/select", `{"primary_node_id":"n1"}`)
		if got.status != 422 || !strings.Contains(got.body, `"loc":["path","cid"]`) {
			t.Errorf("%s: %d %s", cid, got.status, got.body)
		}
	}
	if l := r.leadership(); l.PreferredPrimary != nil || r.s3.get(leaseName) != "" {
		t.Errorf("%+v %s", l, r.s3.get(leaseName))
	}
}

// TestEpochPassesTheFiles: the tool renews its lease itself; a promotion is later than that.
func TestEpochPassesTheFiles(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.heartbeats("n1")
	r.s3.put(leaseName, `{"canonical_id":"c1","primary_node_id":"n9","epoch":7,"needs_ui_selection":true}`)
	if got := r.promote("n1", ""); !strings.Contains(got.body, `"epoch":8`) || !strings.Contains(r.s3.get(leaseName), `"epoch": 8`) || strings.Contains(r.s3.get(leaseName), "needs_ui") {
		t.Errorf("%s %s", got.body, r.s3.get(leaseName))
	}
	for n, damaged := range []string{"", "not JSON", `{"epoch":-3}`, `{"epoch":"x"}`, "[]", strings.Repeat("x", maxLease+1)} {
		r.s3.put(leaseName, damaged)
		if got := r.promote("n1", ""); got.status != 200 || !strings.Contains(r.s3.get(leaseName), fmt.Sprintf(`"epoch": %d`, n+9)) {
			t.Errorf("over %.20q: %d %s %s", damaged, got.status, got.body, r.s3.get(leaseName))
		}
	}
}

// TestBucketAway: a bucket that can't be read promotes nobody; one that goes away between the table and the file is made up for
// with the next heartbeat, whichever node's.
func TestBucketAway(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.heartbeats("n1", "n2")
	r.s3.away.Store(true)
	if got := r.promote("n1", ""); got.status != http.StatusServiceUnavailable || r.leadership().PreferredPrimary != nil {
		t.Errorf("%d %s %+v", got.status, got.body, r.leadership())
	}
	// As after a crash between the two steps: the table has the promotion, the bucket has not.
	if _, err := r.Table.Promote(t.Context(), "c1", "n1", 60, 0); err != nil {
		t.Fatal(err)
	}
	r.heartbeats("n2") // and is answered, though the bucket is away
	r.s3.away.Store(false)
	if r.s3.get(leaseName) != "" {
		t.Fatal("the bucket was not away")
	}
	r.heartbeats("n2")
	if got := r.s3.get(leaseName); !strings.Contains(got, `"primary_node_id": "n1"`) || !strings.Contains(got, `"epoch": 1`) {
		t.Errorf("not made up for: %s", got)
	}
	l, err := r.Table.Leadership(t.Context(), "c1")
	if err != nil || l.Written != 1 {
		t.Errorf("%+v %v", l, err)
	}
	r.s3.put(leaseName, "the tool's own")
	r.heartbeats("n2")
	if r.s3.get(leaseName) != "the tool's own" {
		t.Error("a lease that was written once is the tool's to renew")
	}
}

// TestPromotionsAtOnce: the file has the last one.
func TestPromotionsAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.heartbeats("n0", "n1", "n2")
	var wg sync.WaitGroup
	for n := range 9 {
		wg.Go(func() {
			if got := r.promote(fmt.Sprintf("n%d", n%3), ""); got.status != 200 {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	l := r.leadership()
	if l.Epoch != 9 || !strings.Contains(r.s3.get(leaseName), `"epoch": 9`) || !strings.Contains(r.s3.get(leaseName), `"primary_node_id": "`+l.PrimaryNodeID+`"`) {
		t.Errorf("%+v %s", l, r.s3.get(leaseName))
	}
}
