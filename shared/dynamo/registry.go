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
	"github.com/bloom-runtime/bloom/shared/worker"
)

// This file and registry_*.go keep what the built-in Membridge knows. Nothing of it is in an index or in the stream's filter.

// maxRegistry bounds every list of the built-in Membridge, whose protocol has no pages.
const maxRegistry = 10_000

// Agent is a worker agent that was registered in the built-in Membridge.
type Agent struct {
	Name         string
	URL          string
	Status       worker.Status
	Capabilities *worker.Capabilities // nil = not said
	IPAddrs      []string             // nil = not said
	RegisteredAt clock.Millis
	LastSeen     clock.Millis // 0 = never
}

// CreateAgent stores an agent. Errors: conflict when the name is taken.
//
//	put AGENTS/AGENT#<name>; on: there is none
func (t *Table) CreateAgent(ctx context.Context, a Agent) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	i := agentKey(a.Name).item()
	i["url"], i["status"], i["registered_at"] = str(a.URL), str(string(a.Status)), num(a.RegisteredAt)
	i.setNum("seen_at", int64(a.LastSeen))
	creation := NewID()
	i["creation"] = str(creation)
	if a.IPAddrs != nil {
		i["ip_addrs"] = strs(a.IPAddrs)
	}
	if c := a.Capabilities; c != nil {
		i["max_concurrency"], i["claude_cli"], i["labels"] = num(c.MaxConcurrency), boolean(c.ClaudeCLI), strs(c.Labels)
	}
	out, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: i,
		ConditionExpression:                 aws.String("attribute_not_exists(PK)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld, ReturnConsumedCapacity: t.units()})
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed) && item(failed.Item).str("creation") == creation:
		return nil // by this call, whose first answer was lost
	case errors.As(err, &failed):
		return fault.New(fault.Conflict, "Agent '%s' already registered", a.Name)
	case err != nil:
		return t.fail("create agent", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

// DeleteAgent removes an agent. Errors: not_found.
func (t *Table) DeleteAgent(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: agentKey(name).item(),
		ConditionExpression: aws.String("attribute_exists(PK)"), ReturnConsumedCapacity: t.units()})
	if err != nil {
		if err = t.lostRaceOr("delete agent", err); errors.Is(err, ErrLostRace) {
			return fault.New(fault.NotFound, "Agent '%s' not found", name)
		}
		return err
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

// AgentHeard notes that the agent of that name is alive, and with that online. One that is not registered is nobody's matter.
func (t *Table) AgentHeard(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := newUpdate()
	u.setTo("seen_at", num(t.now()))
	u.setTo("status", str(string(worker.Online)))
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: agentKey(name).item(), UpdateExpression: aws.String(u.expression()),
		ConditionExpression:      aws.String("attribute_exists(PK)"),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		if err = t.lostRaceOr("hear agent", err); errors.Is(err, ErrLostRace) {
			return nil
		}
		return err
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

// Agents reads the agents in the order of their registration, at most maxRegistry.
func (t *Table) Agents(ctx context.Context) ([]Agent, error) {
	items, err := t.partitionItems(ctx, pkAgents, "")
	if err != nil {
		return nil, err
	}
	all := make([]Agent, len(items))
	for n, i := range items {
		all[n] = decodeAgent(i)
	}
	sort.Slice(all, func(a, b int) bool {
		if all[a].RegisteredAt != all[b].RegisteredAt {
			return all[a].RegisteredAt < all[b].RegisteredAt
		}
		return all[a].Name < all[b].Name
	})
	return all[:min(len(all), maxRegistry)], nil
}

// RegistrySize counts the projects that were created and the agents.
func (t *Table) RegistrySize(ctx context.Context) (projects, agents int, err error) {
	all, err := t.partitionItems(ctx, pkProjects, "")
	if err != nil {
		return 0, 0, err
	}
	for _, i := range all {
		if i.str("name") != "" {
			projects++
		}
	}
	all, err = t.partitionItems(ctx, pkAgents, "")
	return projects, len(all), err
}

func decodeAgent(i item) Agent {
	a := Agent{Name: strings.TrimPrefix(i.str(attrSK), prefixAgent), URL: i.str("url"), Status: worker.Status(i.str("status")),
		RegisteredAt: i.millis("registered_at"), LastSeen: i.millis("seen_at")}
	if _, said := i["ip_addrs"]; said {
		a.IPAddrs = i.strs("ip_addrs")
	}
	if _, said := i["max_concurrency"]; said {
		a.Capabilities = &worker.Capabilities{ClaudeCLI: i.bool("claude_cli"), MaxConcurrency: i.int("max_concurrency"), Labels: i.strs("labels")}
	}
	return a
}

// partitionItems reads the items of a partition behind a sort key, consistent, at most maxRegistry.
func (t *Table) partitionItems(ctx context.Context, partition, after string) ([]item, error) {
	var all []item
	for len(all) < maxRegistry {
		q := query{pk: attrPK, sk: attrSK, partition: partition, after: after, limit: maxExamined}
		items, err := t.query(ctx, q)
		if err != nil || len(items) == 0 {
			return all, err
		}
		all = append(all, items...)
		after = items[len(items)-1].str(attrSK)
	}
	return all, nil
}

// updatePart is the transaction's part that updates an item, with a condition; "" = none.
func (t *Table) updatePart(k key, u *update, condition string) types.TransactWriteItem {
	part := &types.Update{TableName: &t.name, Key: k.item(), UpdateExpression: aws.String(u.expression()),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values}
	if condition != "" {
		part.ConditionExpression = &condition
	}
	return types.TransactWriteItem{Update: part}
}
