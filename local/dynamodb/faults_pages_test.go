package dynamodb

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// walkPages reads pages to the end and returns the sort keys, and how many pages were
// short and how many of them empty. limit 0: none.
func walkPages(t *testing.T, c *sdk.Client, in *sdk.QueryInput, limit int) (keys []string, short, empty int) {
	t.Helper()
	if limit > 0 {
		in.Limit = aws.Int32(int32(limit))
	}
	for {
		out, err := c.Query(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Items {
			keys = append(keys, plain(it)["SK"])
		}
		if int(out.Count) != len(out.Items) || limit > 0 && len(out.Items) > limit {
			t.Fatalf("a page of %d items says %d, limit %d", len(out.Items), out.Count, limit)
		}
		if out.LastEvaluatedKey == nil {
			return keys, short, empty
		}
		if limit == 0 || len(out.Items) < limit {
			short++
		}
		if len(out.Items) == 0 {
			empty++
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func TestShortPages(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 0.9} {
		c, _ := clientWith(t, Faults{Seed: 3, ShortPages: rate})
		table := createMain(t, c)
		var want []string
		for n := range 60 {
			want = append(want, fmt.Sprintf("%02d", n))
			put(t, c, table, item{"PK": str("p"), "SK": str(want[n]), "G1PK": str("g"), "G1SK": num(fmt.Sprint(n))})
		}
		backwards := slices.Clone(want)
		slices.Reverse(backwards)
		for _, forward := range []bool{true, false} {
			for _, index := range []string{"", "G1all"} {
				in := sdk.QueryInput{TableName: &table, KeyConditionExpression: aws.String("PK = :p"),
					ExpressionAttributeValues: item{":p": str("p")}, ScanIndexForward: &forward}
				if index != "" {
					in.IndexName, in.KeyConditionExpression = &index, aws.String("G1PK = :p")
					in.ExpressionAttributeValues = item{":p": str("g")}
				}
				for _, limit := range []int{0, 5} {
					again := in
					got, short, empty := walkPages(t, c, &again, limit)
					if expected := map[bool][]string{true: want, false: backwards}[forward]; !slices.Equal(got, expected) {
						t.Errorf("index %q, forward %v, limit %d: %v", index, forward, limit, got)
					}
					if (rate > 0) != (short > 0) {
						t.Errorf("rate %v, index %q, limit %d: %d short pages, %d empty", rate, index, limit, short, empty)
					}
				}
			}
		}
	}
}

func TestEmptyPagesComeAndGoOn(t *testing.T) {
	t.Parallel()
	c, _ := clientWith(t, Faults{ShortPages: 1})
	table := createMain(t, c)
	for n := range 30 {
		put(t, c, table, pksk("p", fmt.Sprintf("%02d", n)))
	}
	seen, empty := map[string]bool{}, 0
	in := &sdk.ScanInput{TableName: &table, Limit: aws.Int32(2)}
	for {
		out, err := c.Scan(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Items {
			seen[plain(it)["SK"]] = true
		}
		if out.LastEvaluatedKey == nil {
			break
		}
		if len(out.Items) == 0 {
			if in.ExclusiveStartKey == nil {
				t.Fatal("the first page must have an item: nothing else has a key")
			}
			empty++
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	if len(seen) != 30 || empty == 0 {
		t.Errorf("%d of 30 items, %d empty pages", len(seen), empty)
	}
}

func TestUnprocessed(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 0.5, 1} {
		c, _ := clientWith(t, Faults{Seed: 2, Unprocessed: rate})
		table := createMain(t, c)
		var writes []types.WriteRequest
		for n := range 20 {
			writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{
				Item: item{"PK": str("p"), "SK": str(fmt.Sprint(n)), "a": str("shown"), "b": str("hidden")}}})
		}
		rounds := 0
		for left := writes; len(left) > 0; rounds++ {
			out, err := c.BatchWriteItem(t.Context(), &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: left}})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.UnprocessedItems[table]) >= len(left) {
				t.Fatalf("none of %d were processed", len(left))
			}
			left = out.UnprocessedItems[table]
		}
		read := readBatch(t, c, table)
		if (rate > 0) != (rounds > 1) || rate == 1 && rounds != len(writes) {
			t.Errorf("rate %v: written in %d calls, read in %d", rate, rounds, read)
		}
		if (rate > 0) != (read > 1) {
			t.Errorf("rate %v: written in %d calls, read in %d", rate, rounds, read)
		}
	}
}

// readBatch reads the 20 items and returns the number of calls that took.
func readBatch(t *testing.T, c *sdk.Client, table string) (rounds int) {
	t.Helper()
	want := types.KeysAndAttributes{ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("SK, #a"),
		ExpressionAttributeNames: map[string]string{"#a": "a"}}
	for n := range 20 {
		want.Keys = append(want.Keys, pksk("p", fmt.Sprint(n)))
	}
	seen := map[string]int{}
	for ; len(want.Keys) > 0; rounds++ {
		out, err := c.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{table: want}})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Responses[table] {
			got := plain(it)
			if len(got) != 2 || got["a"] != "shown" {
				t.Errorf("item %v: the projection must hold in each round", got)
			}
			seen[got["SK"]]++
		}
		want = out.UnprocessedKeys[table]
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 items", len(seen))
	}
	return rounds
}
