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

// Project is a memory-sync project that the built-in Membridge knows: because it was created, or because a node sent a
// heartbeat for it, or both.
type Project struct {
	CanonicalID string
	Name        string       // as it was created; "" = it was not
	CreatedAt   clock.Millis // 0 = it was not
	NodesName   string       // as the last heartbeat called it; "" = there was none
	LastSeen    clock.Millis // of a heartbeat for it; 0 = never
	Nodes       int
}

// CreateProject stores a project of that name and canonical id. Errors: conflict when there is one.
//
//	update PROJECTS/P<canonical id>; on: it was not created, or is not there at all
func (t *Table) CreateProject(ctx context.Context, cid, name string) (Project, error) {
	u, creation := newUpdate(), NewID()
	created := u.name("created_at")
	u.set = append(u.set, created+" = "+u.value(num(t.now())))
	u.setTo("name", str(name))
	u.setTo("creation", str(creation))
	i, err := t.updateProject(ctx, cid, u, "attribute_not_exists("+created+")")
	if errors.Is(err, ErrLostRace) && i.str("creation") == creation {
		err = nil // it was created by this call, whose first answer was lost
	}
	if errors.Is(err, ErrLostRace) {
		return Project{}, fault.New(fault.Conflict, "Project '%s' already exists", name)
	}
	if err != nil {
		return Project{}, err
	}
	all, err := t.countNodes(ctx, []Project{decodeProject(i)})
	if err != nil {
		return Project{}, err
	}
	return all[0], nil
}

// updateProject updates a project's item and returns it. When the condition fails, ErrLostRace comes with the item as it is.
func (t *Table) updateProject(ctx context.Context, cid string, u *update, condition string) (item, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in := &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: projectKey(cid).item(), UpdateExpression: aws.String(u.expression()),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnValues: types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld, ReturnConsumedCapacity: t.units(),
	}
	if condition != "" {
		in.ConditionExpression = &condition
	}
	out, err := t.db.UpdateItem(ctx, in)
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		return failed.Item, ErrLostRace
	case err != nil:
		return nil, t.fail("write project", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return out.Attributes, nil
}

// DeleteProject makes a project one that was not created. Its nodes and who leads them stay, and a heartbeat for it shows it
// again. Errors: not_found, also for a project that only a heartbeat brought.
func (t *Table) DeleteProject(ctx context.Context, cid, name string) error {
	err := t.deleteUnheard(ctx, cid, name)
	if !errors.Is(err, ErrLostRace) {
		return err
	}
	u := newUpdate()
	u.removeAttr("created_at")
	called := u.name("name")
	u.remove = append(u.remove, called)
	_, err = t.updateProject(ctx, cid, u, called+" = "+u.value(str(name)))
	if errors.Is(err, ErrLostRace) {
		return fault.New(fault.NotFound, "Project '%s' not found", name)
	}
	return err
}

// deleteUnheard deletes a project of that name for which no node sent a heartbeat; ErrLostRace when there is no such one.
func (t *Table) deleteUnheard(ctx context.Context, cid, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := newUpdate()
	condition := u.name("name") + " = " + u.value(str(name)) + " AND attribute_not_exists(" + u.name("nodes_name") + ")"
	out, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: projectKey(cid).item(), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnConsumedCapacity: t.units()})
	if err != nil {
		return t.lostRaceOr("delete project", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

// projectHeard notes a heartbeat for a project under the name that the node gives it.
func (t *Table) projectHeard(ctx context.Context, cid, name string) error {
	u := newUpdate()
	u.setTo("nodes_name", str(name))
	u.setTo("seen_at", num(t.now()))
	u.set = append(u.set, "first_seen = if_not_exists(first_seen, "+u.value(num(t.now()))+")")
	_, err := t.updateProject(ctx, cid, u, "")
	return err
}

// Projects reads the projects, at most maxRegistry: those created first, in that order, then the others.
func (t *Table) Projects(ctx context.Context) ([]Project, error) {
	items, err := t.partitionItems(ctx, pkProjects, "")
	if err != nil {
		return nil, err
	}
	sort.Slice(items, func(a, b int) bool { return projectOrder(items[a], items[b]) })
	var all []Project
	for _, i := range items[:min(len(items), maxRegistry)] {
		if p := decodeProject(i); p.Name != "" || p.NodesName != "" {
			all = append(all, p)
		}
	}
	return t.countNodes(ctx, all)
}

func projectOrder(a, b item) bool {
	created, other := a.num("created_at"), b.num("created_at")
	switch {
	case (created == 0) != (other == 0):
		return created != 0
	case created != other:
		return created < other
	case a.num("first_seen") != b.num("first_seen"):
		return a.num("first_seen") < b.num("first_seen")
	default:
		return a.str(attrSK) < b.str(attrSK)
	}
}

func decodeProject(i item) Project {
	return Project{CanonicalID: strings.TrimPrefix(i.str(attrSK), prefixProject), Name: i.str("name"), CreatedAt: i.millis("created_at"),
		NodesName: i.str("nodes_name"), LastSeen: i.millis("seen_at")}
}

// countNodes fills in how many nodes each project has.
func (t *Table) countNodes(ctx context.Context, all []Project) ([]Project, error) {
	keys := make([]key, len(all))
	for n, p := range all {
		keys[n] = leadershipKey(p.CanonicalID)
	}
	items, err := t.batch(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	nodes := map[string]int{}
	for _, i := range items {
		nodes[i.str(attrPK)] = i.int("nodes")
	}
	for n, p := range all {
		all[n].Nodes = nodes[prefixNodes+p.CanonicalID]
	}
	return all, nil
}
