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

func putRequest(it item) types.WriteRequest {
	return types.WriteRequest{PutRequest: &types.PutRequest{Item: it}}
}

func batchWrite(c *sdk.Client, table string, reqs ...types.WriteRequest) error {
	_, err := c.BatchWriteItem(context.Background(), &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: reqs}})
	return err
}

func TestBatch(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	put(t, c, table, pksk("gone", "s"))
	var writes []types.WriteRequest
	var wanted []map[string]types.AttributeValue
	for i := range 24 {
		writes = append(writes, putRequest(pksk(fmt.Sprint(i), "s")))
		wanted = append(wanted, pksk(fmt.Sprint(i), "s"))
	}
	writes = append(writes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: pksk("gone", "s")}})
	if err := batchWrite(c, table, writes...); err != nil {
		t.Fatal(err)
	}
	wanted = append(wanted, pksk("gone", "s"))
	out, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		table: {Keys: wanted, ProjectionExpression: aws.String("PK")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := out.Responses[table]; len(got) != 24 || len(out.UnprocessedKeys) != 0 || len(got[0]) != 1 {
		t.Errorf("got %d items and %d unprocessed, the first %v", len(got), len(out.UnprocessedKeys), plain(got[0]))
	}
}

func TestBadBatches(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	var writes []types.WriteRequest
	var wanted []map[string]types.AttributeValue
	for i := range 101 {
		writes = append(writes, putRequest(pksk(fmt.Sprint(i), "s")))
		wanted = append(wanted, pksk(fmt.Sprint(i), "s"))
	}
	wantError(t, batchWrite(c, table, writes[:26]...), "ValidationException", "Member must have length less than or equal to 25")
	wantError(t, batchWrite(c, table, writes[0], writes[0]), "ValidationException", "Provided list of item keys contains duplicates")
	wantError(t, batchWrite(c, "nowhere", writes[0]), "ResourceNotFoundException", "")
	read := func(table string, keys ...map[string]types.AttributeValue) error {
		_, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys}}})
		return err
	}
	wantError(t, read(table, wanted...), "ValidationException", "Member must have length less than or equal to 100")
	wantError(t, read(table, wanted[0], wanted[0]), "ValidationException", "Provided list of item keys contains duplicates")
	wantError(t, read("nowhere", wanted[0]), "ResourceNotFoundException", "")
	_, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{}})
	wantError(t, err, "ValidationException", "The requestItems parameter is required for BatchGetItem")
}

// TestBatchGetLeavesTheRest reads more than 16 MB: what is left out comes back as
// a request that goes on.
func TestBatchGetLeavesTheRest(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	const items = 45
	big := str(strings.Repeat("x", 390<<10))
	var wanted []map[string]types.AttributeValue
	for i := range items {
		it := pksk(fmt.Sprint(i), "s")
		wanted = append(wanted, pksk(fmt.Sprint(i), "s"))
		it["x"] = big
		put(t, c, table, it)
	}
	request := map[string]types.KeysAndAttributes{table: {Keys: wanted, ConsistentRead: aws.Bool(true),
		ProjectionExpression: aws.String("#k"), ExpressionAttributeNames: map[string]string{"#k": "PK"}}}
	got, rounds := map[string]bool{}, 0
	for len(request) > 0 {
		out, err := c.BatchGetItem(ctx, &sdk.BatchGetItemInput{RequestItems: request})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Responses[table] {
			got[plainValue(it["PK"])] = true
		}
		request = out.UnprocessedKeys
		rounds++
	}
	if len(got) != items || rounds != 2 {
		t.Errorf("got %d items in %d rounds", len(got), rounds)
	}
}
