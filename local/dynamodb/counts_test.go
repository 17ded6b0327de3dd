package dynamodb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// described returns the counts that DescribeTable shows: the table's, then its indexes'.
func described(t testing.TB, c *sdk.Client, table string) []amount {
	t.Helper()
	out, err := c.DescribeTable(context.Background(), &sdk.DescribeTableInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	all := []amount{{*out.Table.ItemCount, *out.Table.TableSizeBytes}}
	for _, ix := range out.Table.GlobalSecondaryIndexes {
		all = append(all, amount{*ix.ItemCount, *ix.IndexSizeBytes})
	}
	return all
}

// counted counts what lies in the store.
func counted(t testing.TB, s *Server, table string) []amount {
	t.Helper()
	view := s.store.View()
	defer view.Release()
	def := s.catalog.Load().tables[table]
	prefixes := [][]byte{tablePrefix(nil, kindItem, def.ID)}
	for _, ix := range def.Indexes {
		prefixes = append(prefixes, def.indexPrefix(nil, ix))
	}
	var all []amount
	for _, prefix := range prefixes {
		it, err := view.Iter(prefix, after(prefix))
		if err != nil {
			t.Fatal(err)
		}
		var a amount
		for ok := it.First(); ok; ok = it.Next() {
			item, err := value.DecodeStored(it.Value())
			if err != nil {
				t.Fatal(err)
			}
			a.add(1, value.Size(item))
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// churn does random writes of all kinds, some of which are refused.
func churn(t testing.TB, c *sdk.Client, table string, random *rand.Rand, n int) {
	t.Helper()
	ctx := context.Background()
	some := func() item {
		it := pksk(fmt.Sprint("k", random.IntN(40)), "s")
		it["text"] = str(strings.Repeat("x", random.IntN(50)))
		if random.IntN(2) == 0 {
			it["G1PK"], it["G1SK"] = str(fmt.Sprint("g", random.IntN(3))), num(fmt.Sprint(random.IntN(5)))
		}
		return it
	}
	for range n {
		it := some()
		key := item{"PK": it["PK"], "SK": it["SK"]}
		put := types.WriteRequest{PutRequest: &types.PutRequest{Item: it}}
		var err error
		switch random.IntN(6) {
		case 0:
			_, err = c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: it})
		case 1:
			_, err = c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: it, ConditionExpression: aws.String("attribute_not_exists(PK)")})
		case 2:
			_, err = c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: key, UpdateExpression: aws.String("SET #t = :t REMOVE G1PK"),
				ExpressionAttributeNames: map[string]string{"#t": "text"}, ExpressionAttributeValues: item{":t": it["text"]}})
		case 3:
			_, err = c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: key})
		case 4:
			other := some()
			reqs := []types.WriteRequest{put}
			if !reflect.DeepEqual(other["PK"], it["PK"]) {
				reqs = append(reqs, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{"PK": other["PK"], "SK": other["SK"]}}})
			}
			_, err = c.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: reqs}})
		default:
			err = transact(c, nil, addAction(table, key, 1, "", nil),
				types.TransactWriteItem{Delete: &types.Delete{TableName: &table, Key: pksk("none", "s"), ConditionExpression: aws.String("attribute_not_exists(PK)")}})
		}
		if err != nil && !strings.Contains(err.Error(), "ConditionalCheckFailed") {
			t.Fatal(err)
		}
	}
}

// The counts are those of what is stored, after writes of every kind, after a restart, and in data that was not counted.
func TestCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const table = "main-table"
	random := rand.New(rand.NewPCG(rand.Uint64(), 1))
	open := func() (*Server, *sdk.Client) {
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s, client(s)
	}
	same := func(when string, s *Server, c *sdk.Client) {
		t.Helper()
		if got, want := described(t, c, table), counted(t, s, table); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: described %v, stored %v", when, got, want)
		}
	}
	s, c := open()
	if _, err := c.CreateTable(context.Background(), mainTable(table)); err != nil {
		t.Fatal(err)
	}
	if got := described(t, c, table); !reflect.DeepEqual(got, make([]amount, len(got))) {
		t.Errorf("an empty table has %v", got)
	}
	churn(t, c, table, random, 300)
	same("after writes", s, c)
	if got := described(t, c, table); got[0].items == 0 || got[1].items == 0 || got[1].items >= got[0].items {
		t.Errorf("not much of a test: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, c = open()
	same("after a restart", s, c)
	churn(t, c, table, random, 50)
	same("after a restart and writes", s, c)

	forgetCounts(t, s, table)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, c = open()
	churn(t, c, table, random, 100) // while they are counted
	for deadline := time.Now().Add(10 * time.Second); !reflect.DeepEqual(described(t, c, table), counted(t, s, table)); {
		if time.Now().After(deadline) {
			t.Fatalf("described %v, stored %v", described(t, c, table), counted(t, s, table))
		}
		time.Sleep(5 * time.Millisecond)
	}
	churn(t, c, table, random, 50)
	same("once they were counted", s, c)
	if _, err := c.DeleteTable(context.Background(), &sdk.DeleteTableInput{TableName: aws.String(table)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateTable(context.Background(), mainTable(table)); err != nil {
		t.Fatal(err)
	}
	same("anew", s, c)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// forgetCounts makes the data what an older version leaves.
func forgetCounts(t testing.TB, s *Server, table string) {
	t.Helper()
	err := s.submit(context.Background(), &write{exec: func(w *writer) (func(), error) {
		w.batch.Delete(countKey(w.catalog.tables[table].ID))
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}
