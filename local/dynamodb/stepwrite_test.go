package dynamodb

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// answer is what came back from one step.
type answer struct {
	text  string
	units string // the consumed capacity; "" of an error
}

// sequenceStep is one request, drawn once and sent to every server.
type sequenceStep interface {
	send(c *sdk.Client, table string) answer
	foretell(m *model) answer
}

// failed is the name of an error and what it shows of items.
func failed(err error) answer {
	text := errorName(err)
	if refused := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &refused) && refused.Item != nil {
		text += " " + shownItem(fromAWSItem(refused.Item))
	}
	if cancelled := (*types.TransactionCanceledException)(nil); errors.As(err, &cancelled) {
		reasons := make([]string, len(cancelled.CancellationReasons))
		for i, r := range cancelled.CancellationReasons {
			reasons[i] = *r.Code
			if r.Item != nil {
				reasons[i] += " " + shownItem(fromAWSItem(r.Item))
			}
		}
		text += fmt.Sprintf(" %q", reasons)
	}
	return answer{text: text}
}

func wrote(attributes item, used *types.ConsumedCapacity, err error) answer {
	if err != nil {
		return failed(err)
	}
	text := "ok none"
	if attributes != nil {
		text = "ok " + shownItem(fromAWSItem(attributes))
	}
	return answer{text: text, units: shown(used)}
}

const wantUnits = types.ReturnConsumedCapacityIndexes

// expressions renders the write's expressions.
func (w *modelWrite) expressions() (cond, update *string, s *scope) {
	s = &scope{}
	if w.update != nil {
		text := w.update.text(s)
		update = &text
	}
	if w.cond != nil {
		text := w.cond.text(s)
		cond = &text
	}
	return cond, update, s
}

func (w *modelWrite) onFailure() types.ReturnValuesOnConditionCheckFailure {
	if w.showItem {
		return types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return ""
}

func (w *modelWrite) foretell(m *model) answer { return m.one(w) }

func (w *modelWrite) send(c *sdk.Client, table string) answer {
	ctx := context.Background()
	cond, update, s := w.expressions()
	returns := types.ReturnValue(w.returns)
	switch w.verb {
	case "put":
		out, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: toAWSItem(w.item), ConditionExpression: cond, ReturnValues: returns,
			ExpressionAttributeNames: s.names, ExpressionAttributeValues: s.values, ReturnValuesOnConditionCheckFailure: w.onFailure(), ReturnConsumedCapacity: wantUnits})
		if err != nil {
			return failed(err)
		}
		return wrote(out.Attributes, out.ConsumedCapacity, nil)
	case "update":
		out, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: toAWSItem(w.item), UpdateExpression: update, ConditionExpression: cond, ReturnValues: returns,
			ExpressionAttributeNames: s.names, ExpressionAttributeValues: s.values, ReturnValuesOnConditionCheckFailure: w.onFailure(), ReturnConsumedCapacity: wantUnits})
		if err != nil {
			return failed(err)
		}
		return wrote(out.Attributes, out.ConsumedCapacity, nil)
	}
	out, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: toAWSItem(w.item), ConditionExpression: cond, ReturnValues: returns,
		ExpressionAttributeNames: s.names, ExpressionAttributeValues: s.values, ReturnValuesOnConditionCheckFailure: w.onFailure(), ReturnConsumedCapacity: wantUnits})
	if err != nil {
		return failed(err)
	}
	return wrote(out.Attributes, out.ConsumedCapacity, nil)
}

func (w *modelWrite) action(table string) types.TransactWriteItem {
	cond, update, s := w.expressions()
	it := toAWSItem(w.item)
	switch w.verb {
	case "put":
		return types.TransactWriteItem{Put: &types.Put{TableName: &table, Item: it, ConditionExpression: cond,
			ExpressionAttributeNames: s.names, ExpressionAttributeValues: s.values, ReturnValuesOnConditionCheckFailure: w.onFailure()}}
	case "update":
		return types.TransactWriteItem{Update: &types.Update{TableName: &table, Key: it, UpdateExpression: update, ConditionExpression: cond,
			ExpressionAttributeNames: s.names, ExpressionAttributeValues: s.values, ReturnValuesOnConditionCheckFailure: w.onFailure()}}
	case "delete":
		return types.TransactWriteItem{Delete: &types.Delete{TableName: &table, Key: it, ConditionExpression: cond,
			ExpressionAttributeNames: s.names, ExpressionAttributeValues: s.values, ReturnValuesOnConditionCheckFailure: w.onFailure()}}
	}
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: &table, Key: it, ConditionExpression: cond,
		ExpressionAttributeNames: s.names, ExpressionAttributeValues: s.values, ReturnValuesOnConditionCheckFailure: w.onFailure()}}
}

// transactionStep is a TransactWriteItems.
type transactionStep []*modelWrite

func (t transactionStep) foretell(m *model) answer { return m.together(t) }

func (t transactionStep) send(c *sdk.Client, table string) answer {
	in := &sdk.TransactWriteItemsInput{ReturnConsumedCapacity: wantUnits}
	for _, w := range t {
		in.TransactItems = append(in.TransactItems, w.action(table))
	}
	out, err := c.TransactWriteItems(context.Background(), in)
	if err != nil {
		return failed(err)
	}
	return answer{text: "ok", units: shown(&out.ConsumedCapacity[0])}
}

// batchStep is a BatchWriteItem: puts and deletes.
type batchStep []*modelWrite

func (b batchStep) foretell(m *model) answer {
	seen := map[[2]string]bool{}
	for _, w := range b {
		if seen[key(w.item)] {
			return answer{text: "ValidationException"}
		}
		seen[key(w.item)] = true
	}
	var used modelUnits
	for _, w := range b {
		was := m.items[key(w.item)]
		m.one(w)
		used.write(was, m.items[key(w.item)], 1)
	}
	return answer{"ok", used.String()}
}

func (b batchStep) send(c *sdk.Client, table string) answer {
	var list []types.WriteRequest
	for _, w := range b {
		if w.verb == "put" {
			list = append(list, putRequest(toAWSItem(w.item)))
		} else {
			list = append(list, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: toAWSItem(w.item)}})
		}
	}
	out, err := c.BatchWriteItem(context.Background(), &sdk.BatchWriteItemInput{ReturnConsumedCapacity: wantUnits,
		RequestItems: map[string][]types.WriteRequest{table: list}})
	if err != nil {
		return failed(err)
	}
	if len(out.UnprocessedItems) > 0 {
		return answer{text: "unprocessed items"}
	}
	return answer{text: "ok", units: shown(&out.ConsumedCapacity[0])}
}
