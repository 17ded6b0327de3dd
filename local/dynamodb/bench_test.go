package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The benchmarks run through the SDK, in process, from 8 goroutines: durable
// writes of 500-byte values into a table with one index and a stream.
const benchClients = 8

func benchTable(b *testing.B) (*sdk.Client, string) {
	c, _ := newClient(b)
	in := mainTable("bench")
	in.AttributeDefinitions = in.AttributeDefinitions[:4]
	in.GlobalSecondaryIndexes = in.GlobalSecondaryIndexes[:1]
	if _, err := c.CreateTable(context.Background(), in); err != nil {
		b.Fatal(err)
	}
	return c, "bench"
}

var benchValue = str(strings.Repeat("v", 500))

func benchItem(n int64) item {
	return item{
		"PK": str(fmt.Sprintf("task#%d", n)), "SK": str("task"), "G1PK": str("queue"), "G1SK": num(fmt.Sprint(n)), "value": benchValue,
	}
}

// run shares b.N calls between the clients.
func run(b *testing.B, call func(n int64) error) {
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchClients {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := call(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

func BenchmarkPutItem(b *testing.B) {
	c, table := benchTable(b)
	run(b, func(n int64) error {
		_, err := c.PutItem(context.Background(), &sdk.PutItemInput{TableName: &table, Item: benchItem(n)})
		return err
	})
}

func fill(b *testing.B, c *sdk.Client, table string, items int64) {
	b.Helper()
	for n := int64(0); n < items; n += 25 {
		var reqs []types.WriteRequest
		for i := n; i < n+25; i++ {
			reqs = append(reqs, types.WriteRequest{PutRequest: &types.PutRequest{Item: benchItem(i)}})
		}
		_, err := c.BatchWriteItem(context.Background(), &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: reqs}})
		if err != nil {
			b.Fatal(err)
		}
	}
}

const benchFilled = 10000

func BenchmarkGetItem(b *testing.B) {
	c, table := benchTable(b)
	fill(b, c, table, benchFilled)
	run(b, func(n int64) error {
		out, err := c.GetItem(context.Background(), &sdk.GetItemInput{TableName: &table, Key: pksk(fmt.Sprintf("task#%d", n%benchFilled), "task")})
		if err == nil && out.Item == nil {
			return fmt.Errorf("no item %d", n)
		}
		return err
	})
}

func BenchmarkUpdateItem(b *testing.B) {
	c, table := benchTable(b)
	fill(b, c, table, benchFilled)
	run(b, func(n int64) error {
		_, err := c.UpdateItem(context.Background(), &sdk.UpdateItemInput{
			TableName: &table, Key: pksk(fmt.Sprintf("task#%d", n%benchFilled), "task"),
			UpdateExpression:          aws.String("SET #e = :e ADD beats :one"),
			ConditionExpression:       aws.String("attribute_exists(PK)"),
			ExpressionAttributeNames:  map[string]string{"#e": "expires"},
			ExpressionAttributeValues: item{":e": num(fmt.Sprint(n)), ":one": num("1")},
		})
		return err
	})
}

func BenchmarkTransactWriteItems(b *testing.B) {
	c, table := benchTable(b)
	fill(b, c, table, benchFilled)
	run(b, func(n int64) error {
		update := func(key string) types.TransactWriteItem {
			return types.TransactWriteItem{Update: &types.Update{
				TableName: &table, Key: pksk(key, "task"),
				UpdateExpression:          aws.String("ADD beats :one"),
				ConditionExpression:       aws.String("attribute_exists(PK)"),
				ExpressionAttributeValues: item{":one": num("1")},
			}}
		}
		put := types.TransactWriteItem{Put: &types.Put{TableName: &table, Item: benchItem(n + benchFilled)}}
		_, err := c.TransactWriteItems(context.Background(), &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
			update(fmt.Sprintf("task#%d", n%benchFilled)), update(fmt.Sprintf("task#%d", (n+benchFilled/2)%benchFilled)), put,
		}})
		return err
	})
}

// BenchmarkQueue is a queue in an index: each step puts an item in at its end,
// asks for the first three and takes the first out. What was taken out must not
// make the next question dearer.
func BenchmarkQueue(b *testing.B) {
	c, table := benchTable(b)
	fill(b, c, table, 1000)
	ctx := context.Background()
	var asked atomic.Int64
	run(b, func(n int64) error {
		if _, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: benchItem(n + 1000)}); err != nil {
			return err
		}
		began := time.Now()
		out, err := c.Query(ctx, &sdk.QueryInput{TableName: &table, IndexName: aws.String("G1all"), KeyConditionExpression: aws.String("G1PK = :q"),
			ExpressionAttributeValues: item{":q": str("queue")}, Limit: aws.Int32(3)})
		asked.Add(int64(time.Since(began)))
		if err != nil || len(out.Items) == 0 {
			return fmt.Errorf("query: %v, %w", out, err)
		}
		first := out.Items[n%int64(len(out.Items))]
		_, err = c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: item{"PK": first["PK"], "SK": first["SK"]}, UpdateExpression: aws.String("REMOVE G1PK")})
		return err
	})
	b.ReportMetric(float64(asked.Load())/float64(b.N)/1000, "µs/query")
}
