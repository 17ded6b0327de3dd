package dynamo

import (
	"context"
	"errors"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/fault"
)

// Node is a machine that takes part in a project, as its last heartbeat said.
type Node struct {
	CanonicalID  string
	NodeID       string
	ObsCount     *int64
	DBSha        *string
	LastSeen     float64 // seconds, as the node said or when it was heard
	IPAddrs      []string
	ProjectID    *string
	RegisteredAt clock.Millis
}

// Leadership is who is primary of a project, and since and until when.
type Leadership struct {
	CanonicalID  string
	Primary      string // "" = nobody was chosen
	Epoch        int64  // grows with each promotion
	IssuedAt     int64  // seconds
	ExpiresAt    int64  // seconds
	LeaseSeconds int64
	// Written is the epoch of the promotion that is known to be in the bucket.
	Written int64
}

// Expired says that the primary's time has run out.
func (l Leadership) Expired(now clock.Millis) bool {
	return l.Primary != "" && l.ExpiresAt < now.Time().Unix()
}

// NodeHeartbeat replaces what is known of the node, but for when it was first heard, and returns who leads its project.
//
//	update NODES#<cid>/N#<node>, on: it is there; else tx: put it, on: it is not; count it at the project
func (t *Table) NodeHeartbeat(ctx context.Context, n Node) (Leadership, error) {
	for try := 0; try < maxTries; try++ {
		err := t.updateNode(ctx, n)
		if errors.Is(err, ErrLostRace) {
			err = t.createNode(ctx, n)
		}
		if errors.Is(err, ErrLostRace) { // it came between the two
			continue
		}
		if err != nil {
			return Leadership{}, err
		}
		if n.ProjectID != nil && *n.ProjectID != "" {
			if err := t.projectHeard(ctx, n.CanonicalID, *n.ProjectID); err != nil {
				return Leadership{}, err
			}
		}
		return t.Leadership(ctx, n.CanonicalID)
	}
	return Leadership{}, fault.New(fault.Unavailable, "Too many heartbeats of node %s at once; try again", n.NodeID)
}

func (t *Table) encodeNode(n Node) item {
	i := nodeKey(n.CanonicalID, n.NodeID).item()
	i["seen"], i["ip_addrs"] = float(n.LastSeen), strs(n.IPAddrs)
	if n.ObsCount != nil {
		i["obs_count"] = num(*n.ObsCount)
	}
	if n.DBSha != nil {
		i["db_sha"] = str(*n.DBSha)
	}
	if n.ProjectID != nil {
		i["project_id"] = str(*n.ProjectID)
	}
	return i
}

func decodeNode(i item) Node {
	n := Node{CanonicalID: strings.TrimPrefix(i.str(attrPK), prefixNodes), NodeID: strings.TrimPrefix(i.str(attrSK), prefixNode),
		LastSeen: i.float("seen"), IPAddrs: i.strs("ip_addrs"), RegisteredAt: i.millis("registered_at")}
	if _, ok := i["obs_count"]; ok {
		n.ObsCount = aws.Int64(i.num("obs_count"))
	}
	if _, ok := i["db_sha"]; ok {
		n.DBSha = aws.String(i.str("db_sha"))
	}
	if _, ok := i["project_id"]; ok {
		n.ProjectID = aws.String(i.str("project_id"))
	}
	return n
}

// nodeAttributes are all that a heartbeat replaces.
var nodeAttributes = []string{"seen", "ip_addrs", "obs_count", "db_sha", "project_id"}

func (t *Table) updateNode(ctx context.Context, n Node) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	i, u := t.encodeNode(n), newUpdate()
	for _, name := range nodeAttributes {
		if v, ok := i[name]; ok {
			u.setTo(name, v)
		} else {
			u.removeAttr(name)
		}
	}
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: nodeKey(n.CanonicalID, n.NodeID).item(), UpdateExpression: aws.String(u.expression()),
		ConditionExpression:      aws.String("attribute_exists(PK)"),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		return t.lostRaceOr("node heartbeat", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

func (t *Table) createNode(ctx context.Context, n Node) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	i := t.encodeNode(n)
	i["registered_at"] = num(t.now())
	u := newUpdate()
	u.add = append(u.add, u.name("nodes")+" "+u.value(num(1)))
	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		{Put: &types.Put{TableName: &t.name, Item: i, ConditionExpression: aws.String("attribute_not_exists(PK)")}},
		t.updatePart(leadershipKey(n.CanonicalID), u, ""),
	})
	if err == nil && reasons != nil {
		return ErrLostRace
	}
	return err
}

// Nodes reads the nodes of a project in the order in which they were first heard, at most maxRegistry.
func (t *Table) Nodes(ctx context.Context, cid string) ([]Node, error) {
	items, err := t.partitionItems(ctx, prefixNodes+cid, beforeNodes)
	if err != nil {
		return nil, err
	}
	all := make([]Node, len(items))
	for n, i := range items {
		all[n] = decodeNode(i)
	}
	sort.SliceStable(all, func(a, b int) bool { return all[a].RegisteredAt < all[b].RegisteredAt })
	return all[:min(len(all), maxRegistry)], nil
}

// Leadership reads who leads a project; nobody leads one that is not known.
func (t *Table) Leadership(ctx context.Context, cid string) (Leadership, error) {
	i, _, err := t.get(ctx, leadershipKey(cid))
	return decodeLeadership(cid, i), err
}

func decodeLeadership(cid string, i item) Leadership {
	return Leadership{CanonicalID: cid, Primary: i.str("primary_node"), Epoch: i.num("epoch"), IssuedAt: i.num("issued_at"),
		ExpiresAt: i.num("expires_at"), LeaseSeconds: i.num("lease_seconds"), Written: i.num("written")}
}

// Promote makes a node primary of its project for some seconds from now. The epoch will be one more than the last one, and more
// than past. Errors: not_found for a node that never sent a heartbeat for the project.
//
//	tx: the node is there; update NODES#<cid>/M, on: its epoch is as read
func (t *Table) Promote(ctx context.Context, cid, node string, seconds, past int64) (Leadership, error) {
	for try := 0; try < maxTries; try++ {
		l, err := t.tryPromote(ctx, cid, node, seconds, past)
		if !errors.Is(err, ErrLostRace) {
			return l, err
		}
		if err := pause(ctx, try); err != nil {
			return l, t.fail("promote", err)
		}
	}
	return Leadership{}, fault.New(fault.Unavailable, "Too many promotions in project %s at once; try again", cid)
}

func (t *Table) tryPromote(ctx context.Context, cid, node string, seconds, past int64) (Leadership, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l, err := t.Leadership(ctx, cid)
	if err != nil {
		return l, err
	}
	known := l.Epoch
	l.Primary, l.Epoch, l.LeaseSeconds = node, max(known, past)+1, seconds
	l.IssuedAt = t.now().Time().Unix()
	l.ExpiresAt = l.IssuedAt + seconds
	u := newUpdate()
	u.setTo("primary_node", str(node))
	u.setTo("issued_at", num(l.IssuedAt))
	u.setTo("expires_at", num(l.ExpiresAt))
	u.setTo("lease_seconds", num(seconds))
	epoch := u.name("epoch")
	u.set = append(u.set, epoch+" = "+u.value(num(l.Epoch)))
	condition := "attribute_not_exists(" + epoch + ")"
	if known != 0 {
		condition = epoch + " = " + u.value(num(known))
	}
	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		{ConditionCheck: &types.ConditionCheck{TableName: &t.name, Key: nodeKey(cid, node).item(), ConditionExpression: aws.String("attribute_exists(PK)")}},
		t.updatePart(leadershipKey(cid), u, condition),
	})
	switch {
	case err != nil:
		return l, err
	case failedCondition(reasons, 0):
		return l, fault.New(fault.NotFound, "Node '%s' not found: it has sent no heartbeat for project '%s'", node, cid)
	case reasons != nil:
		return l, ErrLostRace
	default:
		return l, nil
	}
}

// LeaseWritten notes that the promotion of that epoch is in the bucket. A later promotion is not touched.
func (t *Table) LeaseWritten(ctx context.Context, cid string, epoch int64) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := newUpdate()
	e := u.value(num(epoch))
	u.set = append(u.set, u.name("written")+" = "+e)
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: leadershipKey(cid).item(), UpdateExpression: aws.String(u.expression()),
		ConditionExpression:      aws.String(u.name("epoch") + " = " + e),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		if err = t.lostRaceOr("lease written", err); errors.Is(err, ErrLostRace) {
			return nil
		}
		return err
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}
