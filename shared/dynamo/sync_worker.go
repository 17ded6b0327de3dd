package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/worker"
)

// maxFleet bounds how many workers one look at all of them reads.
const maxFleet = 10_000

// Fleet reads all workers, at most maxFleet, eventually consistent: what is decided on it must be written with SyncWorker.
func (t *Table) Fleet(ctx context.Context) ([]worker.Worker, error) {
	var all []worker.Worker
	for p := (Page{Limit: MaxLimit}); len(all) < maxFleet; {
		page, next, err := t.Workers(ctx, p)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if p.Cursor = next; next == "" {
			break
		}
	}
	return all, nil
}

// SyncWorker writes what a sync decided for one worker: from is as it was read, nil for a new one. What it holds stays as it is.
// detail says why, for the audit log; "" = not worth an entry.
//
//	tx: the job's fence; put or update worker, on: it is not there, or its status, its last heartbeat and its concurrency are
//	as read. Outcomes: nil; ErrLostRace, the worker has changed since; ErrJobTaken.
func (t *Table) SyncWorker(ctx context.Context, j Job, from *worker.Worker, to worker.Worker, actor, detail string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	write := types.TransactWriteItem{}
	if from == nil {
		write.Put = t.putListed(to, AuditEntry{Action: "worker_registered", Actor: actor, Detail: detail})
	} else {
		write.Update = t.updateListed(*from, to, AuditEntry{Action: "worker_updated", Actor: actor, Detail: detail})
	}
	reasons, err := t.transact(ctx, []types.TransactWriteItem{t.fenced(j), write})
	switch {
	case err != nil:
		return err
	case reasons == nil:
		return nil
	case failedCondition(reasons, 0):
		return ErrJobTaken
	default:
		return ErrLostRace
	}
}

func (t *Table) putListed(w worker.Worker, e AuditEntry) *types.Put {
	i := t.encodeWorker(w)
	i["leases"] = &types.AttributeValueMemberM{Value: item{}}
	i["held"], i[attrFree] = num(0), num(w.Capabilities.MaxConcurrency)
	i["change"] = encodeChange(e.dated(t.now()))
	return &types.Put{TableName: &t.name, Item: i, ConditionExpression: aws.String("attribute_not_exists(PK)")}
}

func (t *Table) updateListed(from, to worker.Worker, e AuditEntry) *types.Update {
	u := diff(t.encodeWorker(from), t.encodeWorker(to))
	if from.Capabilities.MaxConcurrency != to.Capabilities.MaxConcurrency {
		u.set = append(u.set, fmt.Sprintf("%s = %s - %s", u.name(attrFree), u.value(num(to.Capabilities.MaxConcurrency)), u.name("held")))
	}
	if e.Detail != "" {
		u.setTo("change", encodeChange(e.dated(t.now())))
	}
	condition := fmt.Sprintf("%s = %s AND %s = %s AND %s = %s",
		u.name("status"), u.value(str(string(from.Status))), u.name("heartbeat_at"), u.value(num(from.LastHeartbeat)),
		u.name("max_concurrency"), u.value(num(from.Capabilities.MaxConcurrency)))
	return &types.Update{TableName: &t.name, Key: key{workerPK(to.ID), skWorker}.item(),
		UpdateExpression: aws.String(u.expression()), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values}
}

// NodeHeard notes that a node of that name is alive, if there is such a worker: one that went silent is online again. It is for
// the built-in Membridge, whose nodes send heartbeats and never claim.
func (t *Table) NodeHeard(ctx context.Context, name string) error {
	i, ok, err := t.get(ctx, key{workerPK(name), skWorker})
	if err != nil || !ok {
		return err
	}
	w := decodeWorker(i)
	if !w.Stale(t.now()) {
		return nil
	}
	return t.Hear(ctx, name)
}
