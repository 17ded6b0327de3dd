package membridge

import (
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	shared "github.com/bloom-runtime/bloom/shared/membridge"
)

// What a node is for its project. Of a project whose primary's time has run out every node is secondary, as the memory-sync
// tool has it: nobody may push until somebody chooses again.
const (
	primary   = "primary"
	secondary = "secondary"
	noRole    = "unknown"
)

func (s *Server) role(l dynamo.Leadership, node string) string {
	switch {
	case l.Primary == "":
		return noRole
	case l.Primary == node && !l.Expired(s.Now()):
		return primary
	default:
		return secondary
	}
}

func (s *Server) viewNode(l dynamo.Leadership, n dynamo.Node) shared.Node {
	return shared.Node{NodeID: n.NodeID, CanonicalID: n.CanonicalID, Role: s.role(l, n.NodeID), ObsCount: n.ObsCount, DBSha: n.DBSha,
		LastSeen: n.LastSeen, IPAddrs: n.IPAddrs, RegisteredAt: seconds(n.RegisteredAt), ProjectID: n.ProjectID}
}

// heartbeat replaces the node's record. The agent and the worker of the node's name are alive too.
func (s *Server) heartbeat(r request) (answer, error) {
	in, err := readInput(r)
	if err != nil {
		return answer{}, err
	}
	n := s.readNode(in)
	if err := in.err(); err != nil {
		return answer{}, err
	}
	l, err := s.Table.NodeHeartbeat(r.Context(), n)
	if err != nil {
		return answer{}, err
	}
	if n.NodeID != "" {
		if err := s.Table.AgentHeard(r.Context(), n.NodeID); err != nil {
			return answer{}, err
		}
		if err := s.Table.NodeHeard(r.Context(), n.NodeID); err != nil {
			return answer{}, err
		}
	}
	if err := s.leases.repair(r.Context(), l); err != nil {
		s.Log.Error("membridge: a promotion is not in the bucket yet", "canonical_id", l.CanonicalID, "epoch", l.Epoch, "error", err)
	}
	return answer{http.StatusOK, struct {
		OK          bool   `json:"ok"`
		Role        string `json:"role"`
		CanonicalID string `json:"canonical_id"`
	}{true, s.role(l, n.NodeID), n.CanonicalID}}, nil
}

// readNode reads the fields in the order of the original's model, which is the order of its complaints.
func (s *Server) readNode(in *input) dynamo.Node {
	n := dynamo.Node{NodeID: in.required("node_id", 0, maxID), CanonicalID: in.required("canonical_id", 0, maxID),
		ObsCount: in.integer("obs_count", math.MinInt64, math.MaxInt64), DBSha: in.optional("db_sha", maxText)}
	seen := in.seconds("last_seen")
	if n.IPAddrs = in.texts("ip_addrs", maxEntries, maxEntry); n.IPAddrs == nil {
		n.IPAddrs = []string{}
	}
	n.ProjectID = in.optional("project_id", maxText)
	in.optional("agent_version", maxText)
	if n.LastSeen = seconds(s.Now()); seen != nil && *seen != 0 {
		n.LastSeen = *seen
	}
	return n
}

func (s *Server) listNodes(r request) (answer, error) {
	_, nodes, err := s.project(r)
	return answer{http.StatusOK, nodes}, err
}

// project reads who leads the project of the path, and its nodes. One that is not known has none.
func (s *Server) project(r request) (dynamo.Leadership, []shared.Node, error) {
	views := []shared.Node{}
	if tooLong(r.param, maxID) {
		return dynamo.Leadership{CanonicalID: r.param}, views, nil
	}
	l, err := s.Table.Leadership(r.Context(), r.param)
	if err != nil {
		return l, views, err
	}
	nodes, err := s.Table.Nodes(r.Context(), r.param)
	for _, n := range nodes {
		views = append(views, s.viewNode(l, n))
	}
	return l, views, err
}

func (s *Server) getLeadership(r request) (answer, error) {
	l, nodes, err := s.project(r)
	if err != nil {
		return answer{}, err
	}
	v := shared.Leadership{CanonicalID: l.CanonicalID, NodeCount: len(nodes), Nodes: nodes}
	if l.Primary != "" {
		expired := l.Expired(s.Now())
		v.PreferredPrimary, v.PrimaryNodeID, v.Epoch = &l.Primary, l.Primary, l.Epoch
		v.IssuedAt, v.ExpiresAt, v.LeaseSeconds, v.NeedsUISelection = l.IssuedAt, l.ExpiresAt, l.LeaseSeconds, &expired
	}
	return answer{http.StatusOK, v}, nil
}

// How long a promoted node is primary, in seconds.
const (
	leaderSeconds    = 3600
	maxLeaderSeconds = 31536000
)

func (s *Server) selectLeadership(r request) (answer, error) {
	in, err := readInput(r)
	if err != nil {
		return answer{}, err
	}
	node, lasts := in.required("primary_node_id", 1, maxID), int64(leaderSeconds)
	if n := in.integer("lease_seconds", 1, maxLeaderSeconds); n != nil {
		lasts = *n
	}
	if !isPromotable(r.param) {
		in.path = []any{"path"}
		in.breaks("string_pattern_mismatch", "String should match pattern '"+promotable+"'", map[string]any{"pattern": promotable}, quoted(r.param), "cid")
	}
	if err := in.err(); err != nil {
		return answer{}, err
	}
	l, err := s.leases.promote(r.Context(), r.param, node, lasts)
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusOK, shared.Promotion{OK: true, CanonicalID: r.param, PrimaryNodeID: node, LeaseSeconds: lasts,
		Detail: fmt.Sprintf("Node %s is primary for %d s, epoch %d. Nodes adopt their roles with the next heartbeat or sync.", node, lasts, l.Epoch),
		Epoch:  l.Epoch, IssuedAt: l.IssuedAt, ExpiresAt: l.ExpiresAt}}, nil
}

// quoted is a text of a path as JSON.
func quoted(s string) jsontext.Value {
	text, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil { // it is valid UTF-8
		return jsontext.Value(`""`)
	}
	return text
}
