package dynamodb

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// shown is a ConsumedCapacity in short: total, table, indexes by name.
func shown(c *types.ConsumedCapacity) string {
	if c == nil {
		return "none"
	}
	s := fmt.Sprint(*c.CapacityUnits)
	if c.Table != nil {
		s += fmt.Sprintf(" = table %v", *c.Table.CapacityUnits)
	}
	for _, name := range sortedKeys(c.GlobalSecondaryIndexes) {
		s += fmt.Sprintf(" + %s %v", name, *c.GlobalSecondaryIndexes[name].CapacityUnits)
	}
	return s
}

func TestWriteUnits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	big := func(kb int) types.AttributeValue { return str(strings.Repeat("x", kb<<10)) }
	indexed := item{"G1PK": str("q"), "G1SK": num("1"), "G2PK": str("g")}
	update := func(expr string, values item) string {
		out, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk("a", "b"), UpdateExpression: &expr,
			ExpressionAttributeValues: values, ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
		if err != nil {
			t.Fatal(err)
		}
		return shown(out.ConsumedCapacity)
	}
	write := func(attrs ...item) string {
		it := pksk("a", "b")
		for _, a := range attrs {
			for name, v := range a {
				it[name] = v
			}
		}
		out, err := c.PutItem(ctx, &sdk.PutItemInput{TableName: &table, Item: it, ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
		if err != nil {
			t.Fatal(err)
		}
		return shown(out.ConsumedCapacity)
	}
	steps := []struct {
		name string
		do   func() string
		want string
	}{
		{"delete nothing", func() string {
			out, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("a", "b"), ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
			if err != nil {
				t.Fatal(err)
			}
			return shown(out.ConsumedCapacity)
		}, "1 = table 1"},
		{"insert with half of an index's key", func() string { return write(item{"G2PK": str("g"), "G1PK": str("q")}) }, "1 = table 1"},
		{"the other half alone", func() string { return write(item{"G1SK": num("1")}) }, "1 = table 1"},
		{"insert, not indexed", func() string { return write() }, "1 = table 1"},
		{"grow over 2 KB", func() string { return write(item{"x": big(2)}) }, "3 = table 3"},
		{"shrink", func() string { return write() }, "3 = table 3"},
		{"into two indexes", func() string { return write(indexed) }, "3 = table 1 + G1all 1 + G2keys 1"},
		{"the same again", func() string { return write(indexed) }, "1 = table 1"},
		{"an attribute that one projects", func() string { return update("SET x = :x", item{":x": big(3)}) }, "8 = table 4 + G1all 4"},
		{"the sort key of both", func() string { return update("SET G1SK = :n", item{":n": num("2")}) }, "14 = table 4 + G1all 8 + G2keys 2"},
		{"out of one", func() string { return update("REMOVE G2PK", nil) }, "9 = table 4 + G1all 4 + G2keys 1"},
		{"shrink within one", func() string { return update("REMOVE x", nil) }, "8 = table 4 + G1all 4"},
		{"a write in a transaction", func() string {
			out, err := c.TransactWriteItems(ctx, &sdk.TransactWriteItemsInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes,
				TransactItems: []types.TransactWriteItem{addAction(table, pksk("a", "b"), 1, "", nil), {ConditionCheck: &types.ConditionCheck{
					TableName: &table, Key: pksk("c", "d"), ConditionExpression: aws.String("attribute_not_exists(PK)")}}}})
			if err != nil {
				t.Fatal(err)
			}
			return shown(&out.ConsumedCapacity[0])
		}, "5 = table 4 + G1all 1"},
		{"batch write", func() string {
			out, err := c.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes,
				RequestItems: map[string][]types.WriteRequest{table: {putRequest(pksk("a", "b")), putRequest(pksk("c", "d"))}}})
			if err != nil {
				t.Fatal(err)
			}
			return shown(&out.ConsumedCapacity[0])
		}, "3 = table 2 + G1all 1"},
		{"batch delete of nothing", func() string {
			out, err := c.BatchWriteItem(ctx, &sdk.BatchWriteItemInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes,
				RequestItems: map[string][]types.WriteRequest{table: {{DeleteRequest: &types.DeleteRequest{Key: pksk("none", "b")}}}}})
			if err != nil {
				t.Fatal(err)
			}
			return shown(&out.ConsumedCapacity[0])
		}, "1 = table 1"},
	}
	for _, s := range steps {
		agree(t, s.name, s.do(), s.want)
	}
}

func TestRepeatedTransactionCostsReads(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	for _, step := range []struct{ use, want string }{{"first", "write 2"}, {"second", "read 2"}} {
		out, err := c.TransactWriteItems(context.Background(), &sdk.TransactWriteItemsInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
			ClientRequestToken: aws.String("again"), TransactItems: []types.TransactWriteItem{putAction(table, pksk("a", "b"), "")}})
		if err != nil {
			t.Fatal(err)
		}
		used := out.ConsumedCapacity[0]
		got := fmt.Sprint("write ", aws.ToFloat64(used.WriteCapacityUnits))
		if used.WriteCapacityUnits == nil {
			got = fmt.Sprint("read ", aws.ToFloat64(used.ReadCapacityUnits))
		}
		agree(t, "a transaction's "+step.use+" use of a token", got, step.want)
	}
}

func TestReadUnits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	for i := range 3 {
		put(t, c, table, item{"PK": str("p"), "SK": str(fmt.Sprint(i)), "G2PK": str("g"), "G1SK": num("1"), "x": str(strings.Repeat("x", 5<<10))})
	}
	getItem := func(sk string, consistent bool) string {
		out, err := c.GetItem(ctx, &sdk.GetItemInput{TableName: &table, Key: pksk("p", sk), ConsistentRead: &consistent, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
		if err != nil {
			t.Fatal(err)
		}
		return shown(out.ConsumedCapacity)
	}
	query := func(index *string, cond, v string, consistent bool) string {
		out, err := c.Query(ctx, &sdk.QueryInput{TableName: &table, IndexName: index, KeyConditionExpression: &cond,
			ExpressionAttributeValues: item{":v": str(v)}, ConsistentRead: &consistent, ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
		if err != nil {
			t.Fatal(err)
		}
		return shown(out.ConsumedCapacity)
	}
	cases := []struct{ name, got, want string }{
		{"eventual", getItem("0", false), "1"},
		{"consistent", getItem("0", true), "2"},
		{"nothing, eventual", getItem("none", false), "0.5"},
		{"nothing, consistent", getItem("none", true), "1"},
		{"query: the sum of sizes", query(nil, "PK = :v", "p", true), "4 = table 4"},
		{"query, eventual", query(nil, "PK = :v", "p", false), "2 = table 2"},
		{"query nothing", query(nil, "PK = :v", "none", false), "0.5 = table 0.5"},
		{"query an index of keys", query(aws.String("G2keys"), "G2PK = :v", "g", false), "0.5 = table 0 + G2keys 0.5"},
		{"transaction", func() string {
			out, err := c.TransactGetItems(ctx, &sdk.TransactGetItemsInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
				TransactItems: []types.TransactGetItem{{Get: &types.Get{TableName: &table, Key: pksk("p", "0")}}, {Get: &types.Get{TableName: &table, Key: pksk("p", "none")}}}})
			if err != nil {
				t.Fatal(err)
			}
			return shown(&out.ConsumedCapacity[0])
		}(), "6"},
		{"batch read", func() string {
			out, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
				RequestItems: map[string]types.KeysAndAttributes{table: {Keys: []map[string]types.AttributeValue{pksk("p", "0"), pksk("p", "none")}}}})
			if err != nil {
				t.Fatal(err)
			}
			return shown(&out.ConsumedCapacity[0])
		}(), "1.5"},
	}
	for _, tc := range cases {
		agree(t, tc.name, tc.got, tc.want)
	}
}
