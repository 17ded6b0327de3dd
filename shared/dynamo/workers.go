package dynamo

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// Worker reads a worker; not_found for an unknown id.
func (t *Table) Worker(ctx context.Context, id string) (worker.Worker, error) {
	i, ok, err := t.get(ctx, key{workerPK(id), skWorker})
	switch {
	case err != nil:
		return worker.Worker{}, err
	case !ok:
		return worker.Worker{}, workerNotFound()
	default:
		return decodeWorker(i), nil
	}
}

func workerNotFound() error { return fault.New(fault.NotFound, "Worker not found") }

// RegisterWorker creates or updates a worker and leaves what it holds as it is.
// created tells which it was.
func (t *Table) RegisterWorker(ctx context.Context, r worker.Registration, actor string) (w worker.Worker, created bool, err error) {
	for try := 0; try < maxTries; try++ {
		w, created, err = t.tryRegister(ctx, r, actor)
		if !errors.Is(err, ErrLostRace) {
			return w, created, err
		}
		if err := pause(ctx, try); err != nil {
			return w, false, t.fail("register worker", err)
		}
	}
	return w, false, fault.New(fault.Unavailable, "Too many calls change worker %s at once; try again", r.Name)
}

func (t *Table) tryRegister(ctx context.Context, r worker.Registration, actor string) (worker.Worker, bool, error) {
	known, err := t.Worker(ctx, r.Name)
	switch {
	case fault.Is(err, fault.NotFound):
		w := worker.Register(nil, r, t.now())
		return w, true, t.createWorker(ctx, w, actor)
	case err != nil:
		return known, false, err
	default:
		w := worker.Register(&known, r, t.now())
		return w, false, t.updateWorker(ctx, known, w, &AuditEntry{Action: "worker_updated", Actor: actor})
	}
}

func workerDetail(w worker.Worker) string {
	return fmt.Sprintf("status %s, max_concurrency %d", w.Status, w.Capabilities.MaxConcurrency)
}

func (t *Table) createWorker(ctx context.Context, w worker.Worker, actor string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	i := t.encodeWorker(w)
	i["leases"] = &types.AttributeValueMemberM{Value: item{}}
	i["held"], i[attrFree] = num(0), num(w.Capabilities.MaxConcurrency)
	change := AuditEntry{Action: "worker_registered", Actor: actor, Detail: workerDetail(w)}.dated(t.now())
	i["change"] = encodeChange(change)
	out, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: i,
		ConditionExpression:                 aws.String("attribute_not_exists(PK)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld, ReturnConsumedCapacity: t.units()})
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		return t.lostOrDone(failed.Item, change.ID)
	case err != nil:
		return t.fail("register worker", err)
	default:
		t.sawWrite(one(out.ConsumedCapacity)...)
		return nil
	}
}

// updateWorker writes what differs. Slots are relative: free follows a changed
// concurrency whatever the worker holds by then.
func (t *Table) updateWorker(ctx context.Context, old, w worker.Worker, change *AuditEntry) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := diff(t.encodeWorker(old), t.encodeWorker(w))
	if old.Capabilities.MaxConcurrency != w.Capabilities.MaxConcurrency {
		u.set = append(u.set, fmt.Sprintf("%s = %s - %s", u.name(attrFree), u.value(num(w.Capabilities.MaxConcurrency)), u.name("held")))
	}
	if change != nil {
		change.Detail = workerDetail(w)
		u.setTo("change", encodeChange(change.dated(t.now())))
	}
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: key{workerPK(w.ID), skWorker}.item(),
		UpdateExpression: aws.String(u.expression()), ConditionExpression: aws.String("attribute_exists(PK)"),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		return t.lostRaceOr("update worker", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

// lostRaceOr is ErrLostRace for a failed condition, else the translated error.
func (t *Table) lostRaceOr(op string, err error) error {
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return ErrLostRace
	}
	return t.fail(op, err)
}

// Hear notes that the worker is alive. A worker that was removed stays removed.
func (t *Table) Hear(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := newUpdate()
	u.setTo("heartbeat_at", num(t.now()))
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: key{workerPK(id), skWorker}.item(),
		UpdateExpression: aws.String(u.expression()), ConditionExpression: aws.String("attribute_exists(PK)"),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnConsumedCapacity: t.units(),
	})
	if err == nil {
		t.sawWrite(one(out.ConsumedCapacity)...)
		return nil
	}
	if err = t.lostRaceOr("hear worker", err); errors.Is(err, ErrLostRace) {
		return nil
	}
	return err
}

// chooseWorker finds the worker for a task: the one named, or the domain's
// choice among the holders of the same context and the freest of all.
func (t *Table) chooseWorker(ctx context.Context, named, contextID string) (worker.Worker, error) {
	if named != "" {
		w, err := t.Worker(ctx, named)
		if fault.Is(err, fault.NotFound) || err == nil && !w.CanTake() {
			return w, noWorker()
		}
		return w, err
	}
	holders, err := t.holders(ctx, contextID)
	if err != nil {
		return worker.Worker{}, err
	}
	freest, err := t.freest(ctx)
	if err != nil {
		return worker.Worker{}, err
	}
	items, err := t.readWorkers(ctx, append(holders, freest...))
	if err != nil {
		return worker.Worker{}, err
	}
	sticky, others := partitionWorkers(items, holders)
	w, ok := worker.Choose(sticky, others)
	if !ok {
		return w, noWorker()
	}
	return w, nil
}

// readWorkers reads workers by id, each once; one alone by the cheaper call.
func (t *Table) readWorkers(ctx context.Context, ids []string) ([]item, error) {
	keys := workerKeys(ids)
	if len(keys) != 1 {
		return t.batch(ctx, keys, true)
	}
	i, ok, err := t.get(ctx, keys[0])
	if !ok {
		return nil, err
	}
	return []item{i}, nil
}

func partitionWorkers(items []item, holders []string) (sticky, others []worker.Worker) {
	for _, i := range items {
		w := decodeWorker(i)
		if contains(holders, w.ID) {
			sticky = append(sticky, w)
		} else {
			others = append(others, w)
		}
	}
	return sticky, others
}

func contains(ids []string, id string) bool {
	for _, i := range ids {
		if i == id {
			return true
		}
	}
	return false
}

// workerKeys names each worker once.
func workerKeys(ids []string) []key {
	var keys []key
	for n, id := range ids {
		if !contains(ids[:n], id) {
			keys = append(keys, key{workerPK(id), skWorker})
		}
	}
	return keys
}

// How many workers a choice looks at: of the holders of a context, and of the
// freest in each partition.
const (
	maxHolders = 8
	maxFreest  = 2
)

// holders lists workers that hold an active lease of the context.
func (t *Table) holders(ctx context.Context, contextID string) ([]string, error) {
	c := contextHash(contextID)
	keys, err := t.query(ctx, query{index: indexGroups, pk: attrGroupPK, sk: attrGroupSK,
		partition: t.spreadKey("ACTIVE", c), prefix: c + "#", limit: maxHolders})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, i := range keys {
		parts := strings.SplitN(i.str(attrGroupSK), "#", 3)
		if len(parts) == 3 && !contains(ids, parts[2]) {
			ids = append(ids, parts[2])
		}
	}
	return ids, nil
}

// freest lists the online workers with the most free capacity.
func (t *Table) freest(ctx context.Context) ([]string, error) {
	var ids []string
	for _, p := range t.spread("FREE") {
		keys, err := t.query(ctx, query{index: indexCapacity, pk: attrCapacityPK, sk: attrFree,
			partition: p, atLeast: num(1), newestFirst: true, limit: maxFreest})
		if err != nil {
			return nil, err
		}
		for _, i := range keys {
			ids = append(ids, idOf(i.str(attrPK)))
		}
	}
	return ids, nil
}

// Held reads the active leases of a worker, newest first.
func (t *Table) Held(ctx context.Context, w worker.Worker) ([]task.Lease, error) {
	keys := make([]key, 0, len(w.Leases))
	for _, taskID := range w.Leases {
		keys = append(keys, key{taskPK(taskID), skTask})
	}
	items, err := t.batch(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	leases := []task.Lease{}
	for _, i := range items {
		if l, ok := decodeTask(i).CurrentLease(); ok && l.WorkerID == w.ID {
			leases = append(leases, l)
		}
	}
	sort.Slice(leases, func(a, b int) bool { return leases[a].ID > leases[b].ID })
	return leases, nil
}
