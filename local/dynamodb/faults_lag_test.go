package dynamodb

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestLag: reads that are not consistent show for a while what was, and then no more;
// those that are never do.
func TestLag(t *testing.T) {
	t.Parallel()
	const span = 80 * time.Millisecond
	for _, tc := range []struct {
		name         string
		on           Faults
		index, table bool // which lag
	}{
		{"none", Faults{Latency: 1}, false, false},
		{"index", Faults{IndexLag: span}, true, false},
		{"table", Faults{TableLag: span}, false, true},
		{"both", Faults{IndexLag: span, TableLag: span}, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, s := clientWith(t, tc.on)
			table := createMain(t, c)
			reads := staleReads(table)
			late := map[string]int{}
			for n := range 40 {
				put(t, c, table, item{"PK": str("p"), "SK": str("s"), "G1PK": str("g"), "G1SK": num(fmt.Sprint(n))})
				written := time.Now()
				for _, r := range reads {
					if got := r.read(t, c); got != fmt.Sprint("#", n) {
						late[r.name]++
					}
				}
				time.Sleep(time.Until(written.Add(span / 8)))
			}
			for _, r := range reads {
				if want := r.index && tc.index || r.eventual && tc.table; want != (late[r.name] > 0) {
					t.Errorf("%s: %d of 40 reads showed what was", r.name, late[r.name])
				}
			}
			time.Sleep(span) // what may lag is bounded
			for _, r := range reads {
				for range 20 {
					if got := r.read(t, c); got != "#39" {
						t.Fatalf("%s showed %s longer than %v after", r.name, got, span)
					}
				}
			}
			if s.faults.lag == nil {
				return
			}
			s.faults.lag.mu.Lock()
			defer s.faults.lag.mu.Unlock()
			if n := len(s.faults.lag.views); n > lagSteps {
				t.Errorf("%d views are kept", n)
			}
		})
	}
}

type staleRead struct {
	name            string
	index, eventual bool
	read            func(*testing.T, *sdk.Client) string // the number in the item
}

func staleReads(table string) []staleRead {
	key := pksk("p", "s")
	get := func(consistent bool) func(*testing.T, *sdk.Client) string {
		return func(t *testing.T, c *sdk.Client) string {
			out, err := c.GetItem(t.Context(), &sdk.GetItemInput{TableName: &table, Key: key, ConsistentRead: &consistent})
			if err != nil {
				t.Fatal(err)
			}
			return plain(out.Item)["G1SK"]
		}
	}
	batch := func(consistent bool) func(*testing.T, *sdk.Client) string {
		return func(t *testing.T, c *sdk.Client) string {
			out, err := c.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
				table: {Keys: []item{key}, ConsistentRead: &consistent}}})
			if err != nil {
				t.Fatal(err)
			}
			return lastOf(out.Responses[table])
		}
	}
	query := func(index *string, consistent bool) func(*testing.T, *sdk.Client) string {
		return func(t *testing.T, c *sdk.Client) string {
			in := &sdk.QueryInput{TableName: &table, IndexName: index, KeyConditionExpression: aws.String("PK = :p"),
				ExpressionAttributeValues: item{":p": str("p")}, ConsistentRead: &consistent}
			if index != nil {
				in.KeyConditionExpression, in.ExpressionAttributeValues = aws.String("G1PK = :p"), item{":p": str("g")}
			}
			out, err := c.Query(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			return lastOf(out.Items)
		}
	}
	transact := func(t *testing.T, c *sdk.Client) string {
		out, err := c.TransactGetItems(t.Context(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
			{Get: &types.Get{TableName: &table, Key: key}}}})
		if err != nil {
			t.Fatal(err)
		}
		return plain(out.Responses[0].Item)["G1SK"]
	}
	return []staleRead{
		{"a query of the index", true, false, query(aws.String("G1all"), false)},
		{"a get", false, true, get(false)},
		{"a batch", false, true, batch(false)},
		{"a query", false, true, query(nil, false)},
		{"a consistent get", false, false, get(true)},
		{"a consistent batch", false, false, batch(true)},
		{"a consistent query", false, false, query(nil, true)},
		{"a transaction", false, false, transact},
	}
}

func lastOf(items []item) string {
	if len(items) == 0 {
		return ""
	}
	return plain(items[len(items)-1])["G1SK"]
}
