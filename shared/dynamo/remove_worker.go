package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// RemoveWorker deletes a worker and frees what it holds, in one transaction: its
// leases end failed and their tasks are queued again. With at most 32 leases
// that is at most 66 of the 100 writes that a transaction may have.
func (t *Table) RemoveWorker(ctx context.Context, id, actor string) error {
	for try := 0; try < maxTries; try++ {
		w, err := t.Worker(ctx, id)
		if err != nil {
			return err
		}
		err = t.tryRemove(ctx, w, actor)
		if !errors.Is(err, ErrLostRace) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return t.fail("remove worker", err)
		}
	}
	return fault.New(fault.Unavailable, "Worker %s is too busy to be removed now; try again", id)
}

func (t *Table) tryRemove(ctx context.Context, w worker.Worker, actor string) error {
	writes := []types.TransactWriteItem{t.deleteWorker(w)}
	freed, err := t.abandonAll(ctx, w, actor)
	if err != nil {
		return err
	}
	writes = append(writes, freed...)
	entry := AuditEntry{Action: "worker_removed", EntityType: "worker", EntityID: w.ID,
		Actor: actor, Detail: fmt.Sprintf("leases given up: %d", len(freed)/2)}.dated(t.now())
	writes = append(writes, t.putItem(t.encodeAudit(entry)))
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reasons, err := t.transact(ctx, writes)
	if err != nil || reasons == nil {
		return err
	}
	return ErrLostRace
}

// deleteWorker deletes the worker if it still holds exactly the leases read.
func (t *Table) deleteWorker(w worker.Worker) types.TransactWriteItem {
	u := newUpdate()
	condition := fmt.Sprintf("%s = %s", u.name("held"), u.value(num(len(w.Leases))))
	for id := range w.Leases {
		condition += fmt.Sprintf(" AND attribute_exists(%s.%s)", u.name("leases"), u.name(id))
	}
	return types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: key{workerPK(w.ID), skWorker}.item(),
		ConditionExpression: aws.String(condition), ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values}}
}

// abandonAll gives the writes that take every task from the worker: two a task.
func (t *Table) abandonAll(ctx context.Context, w worker.Worker, actor string) ([]types.TransactWriteItem, error) {
	var keys []key
	for _, taskID := range w.Leases {
		keys = append(keys, key{taskPK(taskID), skTask})
	}
	items, err := t.batch(ctx, keys, true)
	if err != nil {
		return nil, err
	}
	var writes []types.TransactWriteItem
	for _, i := range items {
		s, err := task.Abandon(decodeTask(i), t.now())
		if err != nil { // it ended since the worker was read
			return nil, ErrLostRace
		}
		ww := write{Step: s, actor: actor}
		_, upd := t.taskWrite(ww, ww.change())
		writes = append(writes, types.TransactWriteItem{Update: upd}, t.putItem(t.encodeLease(*s.Lease)))
	}
	if len(writes) != 2*len(w.Leases) {
		return nil, ErrLostRace
	}
	return writes, nil
}
