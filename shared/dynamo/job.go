package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// Job is the right to do a job that only one may do at a time. It ends by itself at Until, and with the next TakeJob of the
// same job, whoever calls it: a write that is fenced with it is refused from then on.
type Job struct {
	Name  string
	Fence int64 // grows with every TakeJob
	Until clock.Millis
}

// ErrJobTaken means that somebody else has the job.
var ErrJobTaken = errors.New("another one does this job")

// TakeJob takes the job for ttl, or takes it on for its owner. With ErrJobTaken, Until says when the other one's right ends at
// the latest.
//
//	key JOB#<name>; on: there is none, or it has ended, or it is owner's
func (t *Table) TakeJob(ctx context.Context, name, owner string, ttl time.Duration) (Job, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	now, u := t.now(), newUpdate()
	until, by := u.name("until"), u.name("owner")
	u.set = append(u.set, until+" = "+u.value(num(now.Add(ttl))), by+" = "+u.value(str(owner)))
	u.add = append(u.add, u.name("fence")+" "+u.value(num(1)))
	condition := fmt.Sprintf("attribute_not_exists(PK) OR %s <= %s OR %s = %s", until, u.value(num(now)), by, u.value(str(owner)))
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: jobKey(name).item(), UpdateExpression: aws.String(u.expression()), ConditionExpression: &condition,
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnValues: types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld, ReturnConsumedCapacity: t.units(),
	})
	if taken, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		return Job{Name: name, Until: item(taken.Item).millis("until")}, ErrJobTaken
	}
	if err != nil {
		return Job{}, t.fail("take job", err)
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	i := item(out.Attributes)
	return Job{Name: name, Fence: i.num("fence"), Until: i.millis("until")}, nil
}

// LeaveJob ends the owner's right before its time, also one that it does not know to have got. Somebody else's is left alone.
func (t *Table) LeaveJob(ctx context.Context, name, owner string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := newUpdate()
	u.setTo("until", num(0))
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: jobKey(name).item(), UpdateExpression: aws.String(u.expression()),
		ConditionExpression:      aws.String(u.name("owner") + " = " + u.value(str(owner))),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values, ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		if err = t.lostRaceOr("leave job", err); errors.Is(err, ErrLostRace) {
			return nil
		}
		return err
	}
	t.sawWrite(one(out.ConsumedCapacity)...)
	return nil
}

// fenced is a part of a transaction: the job is still this one's.
func (t *Table) fenced(j Job) types.TransactWriteItem {
	u := newUpdate()
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &t.name, Key: jobKey(j.Name).item(),
		ConditionExpression:      aws.String(u.name("fence") + " = " + u.value(num(j.Fence))),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values}}
}
