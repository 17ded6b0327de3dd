package dynamo

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// query is one Query on a partition of the table or of an index. At most one of
// prefix, before, after, atMost, atLeast narrows the sort key.
type query struct {
	index       string // "" = the table itself, strongly consistent
	pk, sk      string // names of the key attributes
	partition   string
	prefix      string               // sort key begins with it
	before      string               // sort key < before
	after       string               // sort key > after
	atMost      string               // sort key ≤ atMost
	atLeast     types.AttributeValue // sort key ≥ atLeast
	newestFirst bool
	limit       int
}

func (q query) condition(u *update) string {
	c := u.name(q.pk) + " = " + u.value(str(q.partition))
	switch {
	case q.prefix != "":
		return fmt.Sprintf("%s AND begins_with(%s, %s)", c, u.name(q.sk), u.value(str(q.prefix)))
	case q.before != "":
		return fmt.Sprintf("%s AND %s < %s", c, u.name(q.sk), u.value(str(q.before)))
	case q.after != "":
		return fmt.Sprintf("%s AND %s > %s", c, u.name(q.sk), u.value(str(q.after)))
	case q.atMost != "":
		return fmt.Sprintf("%s AND %s <= %s", c, u.name(q.sk), u.value(str(q.atMost)))
	case q.atLeast != nil:
		return fmt.Sprintf("%s AND %s >= %s", c, u.name(q.sk), u.value(q.atLeast))
	default:
		return c
	}
}

// query reads the first q.limit items. DynamoDB may end a page before; reading goes
// on behind it. What is read is bounded by limit, since no filter is involved.
func (t *Table) query(ctx context.Context, q query) ([]item, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	u := newUpdate()
	in := &dynamodb.QueryInput{
		TableName: &t.name, KeyConditionExpression: aws.String(q.condition(u)),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ScanIndexForward: aws.Bool(!q.newestFirst), Limit: aws.Int32(int32(q.limit)), ReturnConsumedCapacity: t.units(),
	}
	if q.index != "" {
		in.IndexName = &q.index
	} else {
		in.ConsistentRead = aws.Bool(true)
	}
	items := []item{}
	for {
		out, err := t.db.Query(ctx, in)
		if err != nil {
			return nil, t.fail("query", err)
		}
		t.sawRead(one(out.ConsumedCapacity)...)
		items = slices.Grow(items, len(out.Items))
		for _, i := range out.Items {
			items = append(items, i)
		}
		left := q.limit - len(items)
		if out.LastEvaluatedKey == nil || left <= 0 {
			return items, nil
		}
		in.ExclusiveStartKey, in.Limit = out.LastEvaluatedKey, aws.Int32(int32(left))
	}
}
