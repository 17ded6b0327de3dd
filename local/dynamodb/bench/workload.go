package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

const (
	clients    = 8
	fewItems   = 10_000
	valueBytes = 500
	batchSize  = 25 // the most a BatchWriteItem takes
)

var (
	table = aws.String("bench")
	value = &types.AttributeValueMemberS{Value: strings.Repeat("v", valueBytes)}
)

// workload is what is measured on one server: items are numbered, and their keys
// spread, so that neighbours in time are none in the table.
type workload struct {
	db    *dynamodb.Client
	items int64        // that are there from the start
	next  atomic.Int64 // number of the next new item
}

func newWorkload(db *dynamodb.Client, items int64) *workload {
	w := &workload{db: db, items: items}
	w.next.Store(items)
	return w
}

// createTable makes the table: one index that projects all, a stream with both images.
func createTable(ctx context.Context, db *dynamodb.Client) error {
	key := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{
			{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange},
		}
	}
	attr := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	_, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: table, BillingMode: types.BillingModePayPerRequest, KeySchema: key("PK", "SK"),
		AttributeDefinitions: []types.AttributeDefinition{attr("PK", "S"), attr("SK", "S"), attr("QPK", "S"), attr("QSK", "N")},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("queue"), KeySchema: key("QPK", "QSK"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	})
	return err
}

func keyOf(n int64) map[string]types.AttributeValue {
	h := fnv.New64a()
	_, _ = h.Write(strconv.AppendInt(nil, n, 10)) // a hash takes everything
	return map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: fmt.Sprintf("task#%016x", h.Sum64())},
		"SK": &types.AttributeValueMemberS{Value: "task"},
	}
}

func itemOf(n int64) map[string]types.AttributeValue {
	i := keyOf(n)
	i["QPK"] = &types.AttributeValueMemberS{Value: "queue"}
	i["QSK"] = &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
	i["value"] = value
	return i
}

// fill writes the items from first to before last.
func (w *workload) fill(ctx context.Context, first, last int64) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(clients)
	for n := first; n < last && ctx.Err() == nil; n += batchSize {
		g.Go(func() error { return w.batch(ctx, n, min(n+batchSize, last)) })
	}
	return g.Wait()
}

func (w *workload) batch(ctx context.Context, first, last int64) error {
	var writes []types.WriteRequest
	for n := first; n < last; n++ {
		writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: itemOf(n)}})
	}
	left := map[string][]types.WriteRequest{*table: writes}
	for len(left) > 0 {
		out, err := w.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
		if err != nil {
			return err
		}
		left = out.UnprocessedItems
	}
	return nil
}

func (w *workload) put(ctx context.Context) error {
	_, err := w.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: itemOf(w.next.Add(1))})
	return err
}

func (w *workload) get(ctx context.Context) error {
	out, err := w.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: table, Key: keyOf(rand.Int64N(w.items)), ConsistentRead: aws.Bool(true)})
	if err == nil && out.Item == nil {
		err = errors.New("an item is missing")
	}
	return err
}

// transact updates two items that are there and puts a new one.
func (w *workload) transact(ctx context.Context) error {
	first := rand.Int64N(w.items)
	second := (first + 1 + rand.Int64N(w.items-1)) % w.items // another one
	var actions []types.TransactWriteItem
	for _, n := range []int64{first, second} {
		actions = append(actions, types.TransactWriteItem{Update: &types.Update{
			TableName: table, Key: keyOf(n), UpdateExpression: aws.String("ADD beats :one"), ConditionExpression: aws.String("attribute_exists(PK)"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
		}})
	}
	actions = append(actions, types.TransactWriteItem{Put: &types.Put{TableName: table, Item: itemOf(w.next.Add(1))}})
	for {
		_, err := w.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: actions})
		var conflict *types.TransactionCanceledException
		if !errors.As(err, &conflict) || aws.ToString(conflict.CancellationReasons[0].Code) == "ConditionalCheckFailed" {
			return err
		}
	}
}

// figure is what a call reached.
type figure struct {
	rate float64       // calls a second
	cpu  time.Duration // of this process for each of them, the server's in the same process included
}

// measure measures put, get and transact, each for part.
func (w *workload) measure(ctx context.Context, part time.Duration) ([]figure, error) {
	var all []figure
	for _, call := range []func(context.Context) error{w.put, w.get, w.transact} {
		f, err := measure(ctx, part, call)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// measure has the clients make calls, one after the other each: for a fifth of
// part to warm up, then for part, which counts.
func measure(ctx context.Context, part time.Duration, call func(context.Context) error) (figure, error) {
	if err := repeat(ctx, part/5, call, nil); err != nil {
		return figure{}, err
	}
	before, err := stacktest.CPUTime(os.Getpid())
	if err != nil {
		return figure{}, err
	}
	var n atomic.Int64
	if err := repeat(ctx, part, call, &n); err != nil {
		return figure{}, err
	}
	after, err := stacktest.CPUTime(os.Getpid())
	return figure{float64(n.Load()) / part.Seconds(), (after - before) / time.Duration(max(1, n.Load()))}, err
}

// repeat makes calls for a time and counts those that ended within it.
func repeat(ctx context.Context, how time.Duration, call func(context.Context) error, n *atomic.Int64) error {
	end := time.Now().Add(how)
	g, ctx := errgroup.WithContext(ctx)
	for range clients {
		g.Go(func() error {
			for time.Now().Before(end) {
				if err := call(ctx); err != nil {
					return err
				}
				if n != nil && time.Now().Before(end) {
					n.Add(1)
				}
			}
			return nil
		})
	}
	return g.Wait()
}
