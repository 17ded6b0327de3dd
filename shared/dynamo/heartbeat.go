package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// Heartbeat renews a lease, in one write: on the condition that it is the one that
// counts and has not run out. Now and then it also notes on the worker that it
// is alive.
//
// Errors: not_found when the task is unknown or never had a lease; lease_lost.
func (t *Table) Heartbeat(ctx context.Context, id, leaseID string) (task.Lease, error) {
	for try := 0; try < maxTries; try++ {
		now := t.now()
		before, err := t.renew(ctx, id, leaseID, now)
		if errors.Is(err, ErrLostRace) {
			if before, err = t.Task(ctx, id); err == nil {
				// The domain says why it was refused; if it sees no reason, the
				// task has changed since: try again.
				if _, err = task.Heartbeat(before, leaseID, now); err == nil {
					continue
				}
			}
		}
		if err != nil {
			return task.Lease{}, err
		}
		return t.renewed(ctx, before, leaseID, now)
	}
	return task.Lease{}, tooManyRaces(id)
}

// renew writes the heartbeat and returns the task as it was before. ErrLostRace
// when the lease does not count.
func (t *Table) renew(ctx context.Context, id, leaseID string, now clock.Millis) (task.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := newUpdate()
	at, step, rev, expires, status := u.value(num(now)), u.value(num(1)), u.name("rev"), u.name("expires_at"), u.name("status")
	running := u.value(str(string(task.Running)))
	u.set = append(u.set,
		status+" = "+running, u.name("updated_at")+" = "+at, u.name("heartbeat_at")+" = "+at,
		fmt.Sprintf("%s = %s + %s", expires, at, u.name("ttl_ms")), fmt.Sprintf("%s = %s + %s", rev, rev, step))
	condition := fmt.Sprintf("%s = %s AND %s > %s AND %s IN (%s, %s)", u.name("lease_id"), u.value(str(leaseID)), expires, at,
		status, u.value(str(string(task.Leased))), running)
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: key{taskPK(id), skTask}.item(),
		UpdateExpression: aws.String(u.expression()), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValues: types.ReturnValueAllOld, ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		return task.Task{}, t.lostRaceOr("heartbeat", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return decodeTask(out.Attributes), nil
}

// renewed is the lease after a heartbeat, as the domain makes it of the task
// before. A worker whose heartbeats pass a mark of the clock is noted as alive,
// so that this takes a write every HeardEvery at most. A running task that was
// renewed at this very moment was so by this call, whose first answer was lost.
func (t *Table) renewed(ctx context.Context, before task.Task, leaseID string, now clock.Millis) (task.Lease, error) {
	s, err := task.Heartbeat(before, leaseID, now)
	if err != nil {
		return task.Lease{}, err
	}
	every := clock.Millis(worker.HeardEvery.Milliseconds())
	last := before.Lease.LastHeartbeat
	if last/every != now/every || last == now && before.Status == task.Running {
		if err := t.Hear(ctx, before.WorkerID); err != nil {
			return task.Lease{}, err
		}
	}
	l, _ := s.To.CurrentLease()
	return l, nil
}
