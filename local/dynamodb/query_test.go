package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// queryAll runs a query to its end and returns the attribute of each item.
func queryAll(t testing.TB, c *sdk.Client, in *sdk.QueryInput, attr string) []string {
	t.Helper()
	var got []string
	for pages := 0; ; pages++ {
		out, err := c.Query(context.Background(), in)
		if err != nil {
			t.Fatalf("Query: %v", err)
		}
		for _, it := range out.Items {
			got = append(got, plainValue(it[attr]))
		}
		if out.LastEvaluatedKey == nil {
			return got
		}
		if pages > 1000 {
			t.Fatal("a query without an end")
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func TestQueryRanges(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	for _, sk := range []string{"a", "b", "b1", "b2", "c"} {
		put(t, c, table, pksk("p", sk))
		put(t, c, table, pksk("other", sk))
		put(t, c, table, pksk("p\x00", sk)) // must not leak into p
	}
	cases := []struct {
		cond string
		want []string
	}{
		{"PK = :p", []string{"a", "b", "b1", "b2", "c"}},
		{"PK = :p AND SK = :b", []string{"b"}},
		{"PK = :p AND SK < :b", []string{"a"}},
		{"PK = :p AND SK <= :b", []string{"a", "b"}},
		{"PK = :p AND SK > :b", []string{"b1", "b2", "c"}},
		{"PK = :p AND SK >= :b", []string{"b", "b1", "b2", "c"}},
		{"PK = :p AND SK BETWEEN :b AND :c", []string{"b", "b1", "b2", "c"}},
		{"PK = :p AND begins_with(SK, :b)", []string{"b", "b1", "b2"}},
	}
	for _, tc := range cases {
		for _, limit := range []*int32{nil, aws.Int32(1), aws.Int32(2)} {
			for _, forward := range []bool{true, false} {
				values := item{":p": str("p"), ":b": str("b"), ":c": str("c")}
				for name := range values {
					if !strings.Contains(tc.cond, name) {
						delete(values, name)
					}
				}
				want := slices.Clone(tc.want)
				if !forward {
					slices.Reverse(want)
				}
				got := queryAll(t, c, &sdk.QueryInput{TableName: &table, KeyConditionExpression: &tc.cond,
					ExpressionAttributeValues: values, Limit: limit, ScanIndexForward: &forward}, "SK")
				if !slices.Equal(got, want) {
					t.Errorf("%s, limit %v, forward %v: got %v, want %v", tc.cond, limit, forward, got, want)
				}
			}
		}
	}
}

func TestQueryIndex(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	// Numbers sort by value; those without a key of the index are not in it;
	// equal index keys are told apart by the table's.
	for i, n := range []string{"10", "9", "-1", "100", "1.5", "9"} {
		put(t, c, table, item{"PK": str(fmt.Sprint("item", i)), "SK": str("s"), "G1PK": str("q"), "G1SK": num(n), "x": str("x")})
	}
	put(t, c, table, item{"PK": str("sparse"), "SK": str("s"), "G1PK": str("q")})
	put(t, c, table, item{"PK": str("sparse2"), "SK": str("s"), "G1SK": num("1")})
	for _, limit := range []*int32{nil, aws.Int32(1), aws.Int32(4)} {
		for _, forward := range []bool{true, false} {
			want := []string{"item2", "item4", "item1", "item5", "item0", "item3"}
			if !forward {
				slices.Reverse(want)
			}
			got := queryAll(t, c, &sdk.QueryInput{TableName: &table, IndexName: aws.String("G1all"), KeyConditionExpression: aws.String("G1PK = :q"),
				ExpressionAttributeValues: item{":q": str("q")}, Limit: limit, ScanIndexForward: &forward}, "PK")
			if !slices.Equal(got, want) {
				t.Errorf("limit %v, forward %v: got %v", limit, forward, got)
			}
		}
	}
}

func TestIndexFollowsItem(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	in := func(index, cond string, v types.AttributeValue) []map[string]string {
		out, err := c.Query(ctx, &sdk.QueryInput{TableName: &table, IndexName: &index, KeyConditionExpression: &cond, ExpressionAttributeValues: item{":v": v}})
		if err != nil {
			t.Fatal(err)
		}
		var list []map[string]string
		for _, it := range out.Items {
			list = append(list, plain(it))
		}
		return list
	}
	check := func(step string, g1, g1b, g2, g3 []map[string]string) {
		t.Helper()
		for _, w := range []struct {
			got, want []map[string]string
			name      string
		}{
			{in("G1all", "G1PK = :v", str("one")), g1, "G1=one"}, {in("G1all", "G1PK = :v", str("two")), g1b, "G1=two"},
			{in("G2keys", "G2PK = :v", str("g2")), g2, "G2"}, {in("G3some", "G3PK = :v", &types.AttributeValueMemberB{Value: []byte{1}}), g3, "G3"},
		} {
			if fmt.Sprint(w.got) != fmt.Sprint(w.want) {
				t.Errorf("%s: %s has %v, want %v", step, w.name, w.got, w.want)
			}
		}
	}
	update := func(expr string, values item) {
		t.Helper()
		if _, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk("p", "s"), UpdateExpression: &expr, ExpressionAttributeValues: values}); err != nil {
			t.Fatal(err)
		}
	}
	type list = []map[string]string
	put(t, c, table, item{"PK": str("p"), "SK": str("s"), "G1PK": str("one"), "G1SK": num("1"), "G2PK": str("g2"),
		"G3PK": &types.AttributeValueMemberB{Value: []byte{1}}, "shown": str("yes"), "hidden": str("no")})
	all := map[string]string{"PK": "p", "SK": "s", "G1PK": "one", "G1SK": "#1", "G2PK": "g2", "G3PK": "0x01", "shown": "yes", "hidden": "no"}
	g2 := map[string]string{"PK": "p", "SK": "s", "G1SK": "#1", "G2PK": "g2"}
	g3 := map[string]string{"PK": "p", "SK": "s", "G3PK": "0x01", "shown": "yes"}
	check("put", list{all}, nil, list{g2}, list{g3})

	update("SET G1PK = :two, shown = :later", item{":two": str("two"), ":later": str("later")})
	all["G1PK"], all["shown"], g3["shown"] = "two", "later", "later"
	check("index key changed", nil, list{all}, list{g2}, list{g3})

	update("SET G1SK = :n REMOVE G2PK", item{":n": num("2")})
	all["G1SK"] = "#2"
	delete(all, "G2PK")
	check("left one index", nil, list{all}, nil, list{g3})

	if _, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk("p", "s")}); err != nil {
		t.Fatal(err)
	}
	check("deleted", nil, nil, nil, nil)
}

func TestQueryFilterCountProjection(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	for i := range 10 {
		put(t, c, table, item{"PK": str("p"), "SK": str(fmt.Sprint(i)), "n": num(fmt.Sprint(i)), "x": str("x")})
	}
	in := func() *sdk.QueryInput {
		return &sdk.QueryInput{TableName: &table, KeyConditionExpression: aws.String("PK = :p"), FilterExpression: aws.String("n >= :n"),
			ExpressionAttributeValues: item{":p": str("p"), ":n": num("4")}, Limit: aws.Int32(6)}
	}
	count := in()
	count.Select = types.SelectCount
	out, err := c.Query(ctx, count)
	if err != nil {
		t.Fatal(err)
	}
	if out.Count != 2 || out.ScannedCount != 6 || out.Items != nil {
		t.Errorf("count: got %d of %d and %d items", out.Count, out.ScannedCount, len(out.Items))
	}
	wantItem(t, out.LastEvaluatedKey, map[string]string{"PK": "p", "SK": "5"})
	some := in()
	some.ProjectionExpression = aws.String("n")
	if out, err = c.Query(ctx, some); err != nil {
		t.Fatal(err)
	}
	if len(out.Items) != 2 {
		t.Fatalf("got %v", out.Items)
	}
	wantItem(t, out.Items[0], map[string]string{"n": "#4"})
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	cases := []struct {
		name   string
		change func(*sdk.QueryInput)
		text   string
	}{
		{"no index", func(in *sdk.QueryInput) { in.IndexName = aws.String("nope") }, "The table does not have the specified index: nope"},
		{"consistent index", func(in *sdk.QueryInput) {
			in.IndexName, in.ConsistentRead, in.KeyConditionExpression = aws.String("G1all"), aws.Bool(true), aws.String("G1PK = :p")
		}, "Consistent reads are not supported on global secondary indexes"},
		{"zero limit", func(in *sdk.QueryInput) { in.Limit = aws.Int32(0) }, "Value at 'Limit' failed"},
		{"filter on key", func(in *sdk.QueryInput) { in.FilterExpression = aws.String("SK = :p") }, "Primary key attribute: SK"},
		{"wrong type", func(in *sdk.QueryInput) { in.ExpressionAttributeValues[":p"] = num("1") }, "Condition parameter type does not match schema type"},
		{"no condition", func(in *sdk.QueryInput) { in.KeyConditionExpression, in.ExpressionAttributeValues = nil, nil }, "must be specified in the request"},
		{"missed key", func(in *sdk.QueryInput) { in.KeyConditionExpression = aws.String("SK = :p") }, "Query condition missed key schema element: PK"},
		{"not projected", func(in *sdk.QueryInput) {
			in.IndexName, in.KeyConditionExpression, in.ProjectionExpression = aws.String("G2keys"), aws.String("G2PK = :p"), aws.String("x")
		}, "Global secondary index G2keys does not project [x]"},
		{"filter not projected", func(in *sdk.QueryInput) {
			in.IndexName, in.KeyConditionExpression, in.FilterExpression = aws.String("G2keys"), aws.String("G2PK = :p"), aws.String("attribute_exists(x)")
		}, "Secondary index G2keys does not project one or more filter attributes: [x]"},
		{"all of keys only", func(in *sdk.QueryInput) {
			in.IndexName, in.KeyConditionExpression, in.Select = aws.String("G2keys"), aws.String("G2PK = :p"), types.SelectAllAttributes
		}, "Select type ALL_ATTRIBUTES is not supported"},
		{"start elsewhere", func(in *sdk.QueryInput) { in.ExclusiveStartKey = pksk("q", "s") }, "outside query boundaries"},
		{"start invalid", func(in *sdk.QueryInput) { in.ExclusiveStartKey = item{"PK": str("p")} }, "The provided starting key is invalid"},
	}
	for _, tc := range cases {
		in := &sdk.QueryInput{TableName: &table, KeyConditionExpression: aws.String("PK = :p"), ExpressionAttributeValues: item{":p": str("p")}}
		tc.change(in)
		_, err := c.Query(context.Background(), in)
		t.Run(tc.name, func(t *testing.T) { wantError(t, err, "ValidationException", tc.text) })
	}
}

func TestScanFiltersWhatIsProjected(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	_, err := c.Scan(context.Background(), &sdk.ScanInput{TableName: &table, IndexName: aws.String("G2keys"), FilterExpression: aws.String("attribute_exists(x)")})
	wantError(t, err, "ValidationException", "Secondary index G2keys does not project one or more filter attributes: [x]")
}

func TestPagesOfOneMegabyte(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	const items, size = 25, 100 << 10
	for i := range items {
		put(t, c, table, item{"PK": str("p"), "SK": str(fmt.Sprintf("%02d", i)), "x": str(strings.Repeat("x", size))})
	}
	out, err := c.Query(ctx, &sdk.QueryInput{TableName: &table, KeyConditionExpression: aws.String("PK = :p"), ExpressionAttributeValues: item{":p": str("p")},
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
	if err != nil {
		t.Fatal(err)
	}
	if out.Count != 11 || out.LastEvaluatedKey == nil || *out.ConsumedCapacity.CapacityUnits != 138 {
		t.Errorf("got %d items for %v units, last %v", out.Count, *out.ConsumedCapacity.CapacityUnits, plain(out.LastEvaluatedKey))
	}
	got := queryAll(t, c, &sdk.QueryInput{TableName: &table, KeyConditionExpression: aws.String("PK = :p"), ExpressionAttributeValues: item{":p": str("p")}}, "SK")
	if len(got) != items || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
}

func scanAll(t testing.TB, c *sdk.Client, in *sdk.ScanInput) []string {
	t.Helper()
	var got []string
	for {
		out, err := c.Scan(context.Background(), in)
		if err != nil {
			t.Fatalf("Scan: %v", err)
		}
		for _, it := range out.Items {
			got = append(got, plainValue(it["PK"]))
		}
		if out.LastEvaluatedKey == nil {
			slices.Sort(got)
			return got
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// Segments of a table of many pages are whole: each page ends where the next may
// begin, though other segments' items fill most of what it reads.
func TestSegmentsOfManyPages(t *testing.T) {
	t.Parallel()
	c, _ := newSubject(t)
	table := createMain(t, c)
	var want, parts []string
	for i := range 40 {
		pk := fmt.Sprintf("p%02d", i)
		want = append(want, pk)
		put(t, c, table, item{"PK": str(pk), "SK": str("s"), "value": str(strings.Repeat("v", 200_000))})
	}
	const segments = 7
	for segment := range int32(segments) {
		parts = append(parts, scanAll(t, c, &sdk.ScanInput{TableName: &table, Segment: &segment, TotalSegments: aws.Int32(segments)})...)
	}
	if slices.Sort(parts); !slices.Equal(parts, want) {
		t.Errorf("got %v", parts)
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, _ := newSubject(t)
	table := createMain(t, c)
	var want []string
	for i := range 30 {
		pk := fmt.Sprintf("p%02d", i)
		want = append(want, pk)
		put(t, c, table, item{"PK": str(pk), "SK": str("s"), "G2PK": str("g"), "G1SK": num(fmt.Sprint(i))})
	}
	if got := scanAll(t, c, &sdk.ScanInput{TableName: &table, Limit: aws.Int32(7)}); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := scanAll(t, c, &sdk.ScanInput{TableName: &table, IndexName: aws.String("G2keys"), Limit: aws.Int32(4)}); !slices.Equal(got, want) {
		t.Errorf("index: got %v", got)
	}
	var parts []string
	for segment := range int32(3) {
		part := scanAll(t, c, &sdk.ScanInput{TableName: &table, Segment: &segment, TotalSegments: aws.Int32(3)})
		if len(part) == 0 || len(part) == len(want) {
			t.Errorf("segment %d has %d items", segment, len(part))
		}
		parts = append(parts, part...)
	}
	if slices.Sort(parts); !slices.Equal(parts, want) {
		t.Errorf("segments: got %v", parts)
	}
	_, err := c.Scan(ctx, &sdk.ScanInput{TableName: &table, Segment: aws.Int32(5), TotalSegments: aws.Int32(5)})
	wantError(t, err, "ValidationException", "Segment: 5 is not less than TotalSegments: 5")
	_, err = c.Scan(ctx, &sdk.ScanInput{TableName: &table, Segment: aws.Int32(0)})
	wantError(t, err, "ValidationException", "The TotalSegments parameter is required")
}
