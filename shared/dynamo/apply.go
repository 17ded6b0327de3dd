package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
)

// Lost races are ordinary results, not failures.
var (
	// ErrLostRace means that the task is not what was read any more: read and
	// decide again.
	ErrLostRace = errors.New("the task changed meanwhile")
	// errNoSlot means that the worker is full, not online, or gone.
	errNoSlot = errors.New("the worker has no free slot")
)

// maxTries bounds how often a call reads and decides again after a lost race.
const maxTries = 12

// maxCollisions bounds how often a transaction is sent again that collided with
// another one: some four seconds, within callTimeout.
const maxCollisions = 45

// write is a step and what else belongs to its transaction.
type write struct {
	task.Step
	actor    string
	artifact *task.Artifact // stored with the step
	handover bool           // the granted lease waits for its worker to fetch it
}

// apply writes a step: the task if it is still what the step leaves (by rev), its
// lease, its worker's slot and its artifact, together or not at all. See alone for
// what is one plain conditional write.
//
// Outcomes: nil; ErrLostRace; errNoSlot; unavailable. A step whose answer was
// lost is recognised by the id of its change and counts as done.
func (t *Table) apply(ctx context.Context, w write) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	change := w.change()
	put, upd := t.taskWrite(w, change)
	if w.alone() {
		return t.applyAlone(ctx, put, upd, change.ID)
	}
	items := []types.TransactWriteItem{{Put: put, Update: upd}}
	if w.Lease != nil {
		items = append(items, t.putItem(t.encodeLease(*w.Lease)), t.slotWrite(w))
	}
	if w.artifact != nil {
		items = append(items, t.putItem(t.encodeArtifact(*w.artifact)))
	}
	reasons, err := t.transact(ctx, items)
	if err != nil || reasons == nil {
		return err
	}
	if failedCondition(reasons, 0) {
		return t.lostOrDone(reasons[0].Item, change.ID)
	}
	return errNoSlot
}

// alone says that one plain write will do: of the task alone, and either its
// creation, which only its own creator can have written, or what nobody waits for.
// Any other step that touches the task alone is a transaction too: its token tells
// that it was done when the answer was lost and the task has moved on since.
func (w write) alone() bool {
	return w.Lease == nil && w.artifact == nil && (w.From.Rev == 0 || w.actor == "")
}

// change is the audit entry of the step, of the moment it was decided for.
func (w write) change() AuditEntry {
	return AuditEntry{Action: w.Action, Actor: w.actor, Detail: w.Detail}.dated(w.To.UpdatedAt)
}

// taskWrite is the conditional write of the task: a put at its creation, later
// an update of what changed.
func (t *Table) taskWrite(w write, change AuditEntry) (*types.Put, *types.Update) {
	to := t.encodeTask(w.To)
	if w.From.Rev == 0 {
		to["change"] = encodeChange(change)
		return &types.Put{TableName: &t.name, Item: to,
			ConditionExpression:                 aws.String("attribute_not_exists(PK)"),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}, nil
	}
	u := diff(t.encodeTask(w.From), to)
	if w.Action != "" {
		u.setTo("change", encodeChange(change))
	}
	condition := fmt.Sprintf("%s = %s", u.name("rev"), u.value(num(w.From.Rev)))
	return nil, &types.Update{TableName: &t.name, Key: key{taskPK(w.To.ID), skTask}.item(),
		UpdateExpression: aws.String(u.expression()), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld}
}

func (t *Table) putItem(i item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: i}}
}

// slotWrite takes or frees the worker's slot. A slot is taken only from an
// online worker that has one free; it is freed whatever became of the worker's
// status.
func (t *Table) slotWrite(w write) types.TransactWriteItem {
	u := newUpdate()
	lease := u.name("leases") + "." + u.name(w.Lease.ID)
	free, held, one := u.name(attrFree), u.name("held"), u.value(num(1))
	var condition string
	if w.Takes() {
		u.set = append(u.set, lease+" = "+u.value(str(w.Lease.TaskID)), free+" = "+free+" - "+one, held+" = "+held+" + "+one)
		u.setTo("heartbeat_at", num(w.To.UpdatedAt))
		if w.handover {
			u.add = append(u.add, u.name("handover")+" "+u.value(&types.AttributeValueMemberSS{Value: []string{w.Lease.ID}}))
		}
		condition = fmt.Sprintf("%s >= %s AND attribute_exists(%s)", free, one, u.name(attrCapacityPK))
	} else {
		u.set = append(u.set, free+" = "+free+" + "+one, held+" = "+held+" - "+one)
		u.remove = append(u.remove, lease)
		u.del = append(u.del, u.name("handover")+" "+u.value(&types.AttributeValueMemberSS{Value: []string{w.Lease.ID}}))
		if w.Lease.Status == task.LeaseReleased {
			u.setTo("heartbeat_at", num(w.To.UpdatedAt))
		}
		condition = fmt.Sprintf("attribute_exists(%s)", lease)
	}
	return types.TransactWriteItem{Update: &types.Update{TableName: &t.name, Key: key{workerPK(w.Lease.WorkerID), skWorker}.item(),
		UpdateExpression: aws.String(u.expression()), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values}}
}

// applyAlone is apply for a step that touches the task alone.
func (t *Table) applyAlone(ctx context.Context, put *types.Put, upd *types.Update, changeID string) error {
	var failed *types.ConditionalCheckFailedException
	var units *types.ConsumedCapacity
	var err error
	if put != nil {
		var out *dynamodb.PutItemOutput
		out, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: put.TableName, Item: put.Item,
			ConditionExpression:                 put.ConditionExpression,
			ReturnValuesOnConditionCheckFailure: put.ReturnValuesOnConditionCheckFailure, ReturnConsumedCapacity: t.units()})
		if err == nil {
			units = out.ConsumedCapacity
		}
	} else {
		var out *dynamodb.UpdateItemOutput
		out, err = t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: upd.TableName, Key: upd.Key,
			UpdateExpression: upd.UpdateExpression, ConditionExpression: upd.ConditionExpression,
			ExpressionAttributeNames: upd.ExpressionAttributeNames, ExpressionAttributeValues: upd.ExpressionAttributeValues,
			ReturnValuesOnConditionCheckFailure: upd.ReturnValuesOnConditionCheckFailure, ReturnConsumedCapacity: t.units()})
		if err == nil {
			units = out.ConsumedCapacity
		}
	}
	switch {
	case errors.As(err, &failed) && put != nil:
		return nil // by this call, whose first answer was lost: nobody else knows the id
	case errors.As(err, &failed):
		return t.lostOrDone(failed.Item, changeID)
	case err != nil:
		return t.fail("write task", err)
	default:
		t.sawWrite(one(units)...)
		return nil
	}
}

// lostOrDone tells a lost race from a write of ours whose answer was lost: then
// the item carries our change.
func (t *Table) lostOrDone(current item, changeID string) error {
	if current.sub("change").str("id") == changeID {
		return nil
	}
	return ErrLostRace
}

// transact writes items together. It tries again, with the same token, what
// collided with another transaction; a failed condition comes back as reasons.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
func (t *Table) transact(ctx context.Context, items []types.TransactWriteItem) ([]types.CancellationReason, error) {
	token := NewID()
	for try := 0; ; try++ {
		out, err := t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{
			TransactItems: items, ClientRequestToken: &token, ReturnConsumedCapacity: t.units(),
		})
		if err == nil {
			t.sawWrite(out.ConsumedCapacity...)
			return nil, nil
		}
		var cancelled *types.TransactionCanceledException
		var busy *types.TransactionInProgressException
		collided := errors.As(err, &busy)
		if errors.As(err, &cancelled) {
			for i := range cancelled.CancellationReasons {
				if failedCondition(cancelled.CancellationReasons, i) {
					return cancelled.CancellationReasons, nil
				}
			}
			collided = collidedOnly(cancelled.CancellationReasons)
		}
		if !collided {
			return nil, t.fail("transaction", err)
		}
		if try >= maxCollisions {
			return nil, fault.New(fault.Unavailable, "Too many calls change the same task or worker; try again").Because(err)
		}
		if err := pause(ctx, try); err != nil {
			return nil, t.fail("transaction", err)
		}
	}
}

func failedCondition(reasons []types.CancellationReason, i int) bool {
	return i < len(reasons) && aws.ToString(reasons[i].Code) == "ConditionalCheckFailed"
}

// collidedOnly reports whether a transaction was cancelled for reasons that pass:
// a conflict with another one, or throttling.
func collidedOnly(reasons []types.CancellationReason) bool {
	for _, r := range reasons {
		switch aws.ToString(r.Code) {
		case "None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":
		default:
			return false
		}
	}
	return true
}
