package dynamodb

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// limited is a server with partition limits and a clock that stands still.
type limited struct {
	*sdk.Client
	table string
	ms    *atomic.Int64
	s     *Server
}

func openLimited(t testing.TB, make *sdk.CreateTableInput) limited {
	t.Helper()
	l := limited{ms: &atomic.Int64{}, table: *make.TableName}
	l.ms.Store(1_800_000_000_000)
	l.s = openServer(t, t.TempDir(), Options{Faults: Faults{PartitionLimits: true},
		Now: func() time.Time { return time.UnixMilli(l.ms.Load()) }})
	l.Client = client(l.s)
	if _, err := l.CreateTable(t.Context(), make); err != nil {
		t.Fatal(err)
	}
	return l
}

// big has so many units of write.
func big(pk, sk string, units int) item {
	return item{"PK": str(pk), "SK": str(sk), "v": str(strings.Repeat("x", units<<10-200))}
}

func (l limited) putItem(t testing.TB, it item) error {
	t.Helper()
	_, err := l.PutItem(t.Context(), &sdk.PutItemInput{TableName: &l.table, Item: it})
	return err
}

// fill uses up a partition's units of write.
func (l limited) fill(t testing.TB, pk string, more item) {
	t.Helper()
	for n := range 10 {
		it := big(pk, fmt.Sprint(n), 100)
		for name, v := range more {
			it[name] = v
		}
		if err := l.putItem(t, it); err != nil {
			t.Fatalf("after %d units: %v", n*100, err)
		}
	}
}

func TestWritesOfAPartitionAreLimited(t *testing.T) {
	t.Parallel()
	l := openLimited(t, mainTable("limited-table"))
	l.fill(t, "hot", nil)
	err := l.putItem(t, pksk("hot", "more"))
	wantError(t, err, "ThrottlingException", textOnDemand)
	var throttled *types.ThrottlingException
	if !errors.As(err, &throttled) || len(throttled.ThrottlingReasons) != 1 ||
		aws.ToString(throttled.ThrottlingReasons[0].Reason) != "TableWriteKeyRangeThroughputExceeded" ||
		aws.ToString(throttled.ThrottlingReasons[0].Resource) != "arn:aws:dynamodb:us-east-1:000000000000:table/limited-table" {
		t.Errorf("%+v", throttled)
	}
	if fetch(t, l.Client, l.table, pksk("hot", "more")) != nil {
		t.Error("a throttled write was carried out")
	}
	if err := l.putItem(t, pksk("cool", "1")); err != nil {
		t.Errorf("another partition: %v", err)
	}
	l.ms.Add(100) // a tenth of a second is worth 100 units
	if err := l.putItem(t, big("hot", "large", 300)); err != nil {
		t.Errorf("a large one gets its turn: %v", err)
	}
	l.ms.Add(100)
	wantError(t, l.putItem(t, pksk("hot", "more")), "ThrottlingException", textOnDemand)
	l.ms.Add(101)
	if err := l.putItem(t, pksk("hot", "more")); err != nil {
		t.Errorf("once what was overdrawn is paid: %v", err)
	}
}

// TestAnIndexHoldsBackItsTable: many partitions of the table, one of the index.
func TestAnIndexHoldsBackItsTable(t *testing.T) {
	t.Parallel()
	l := openLimited(t, mainTable("limited-table"))
	entry := func(pk string) item {
		it := big(pk, "1", 250)
		it["G1PK"], it["G1SK"] = str("one"), num("1")
		return it
	}
	for n := range 4 {
		if err := l.putItem(t, entry(fmt.Sprint("p", n))); err != nil {
			t.Fatal(err)
		}
	}
	err := l.putItem(t, entry("p4"))
	wantError(t, err, "ThrottlingException", textOnDemandIndex)
	var throttled *types.ThrottlingException
	if !errors.As(err, &throttled) || aws.ToString(throttled.ThrottlingReasons[0].Reason) != "IndexWriteKeyRangeThroughputExceeded" ||
		!strings.HasSuffix(aws.ToString(throttled.ThrottlingReasons[0].Resource), "table/limited-table/index/G1all") {
		t.Errorf("%+v", throttled)
	}
	if err := l.putItem(t, pksk("p4", "1")); err != nil {
		t.Errorf("without an entry in the index: %v", err)
	}
	_, err = l.DeleteItem(t.Context(), &sdk.DeleteItemInput{TableName: &l.table, Key: pksk("p0", "1")})
	wantError(t, err, "ThrottlingException", textOnDemandIndex)
	l.ms.Add(1000)
	if _, err = l.DeleteItem(t.Context(), &sdk.DeleteItemInput{TableName: &l.table, Key: pksk("p0", "1")}); err != nil {
		t.Error(err)
	}
}

func TestReadsOfAPartitionAreLimited(t *testing.T) {
	t.Parallel()
	l := openLimited(t, mainTable("limited-table"))
	l.fill(t, "hot", nil) // about 250 units of read
	query := func() error {
		_, err := l.Query(t.Context(), &sdk.QueryInput{TableName: &l.table, ConsistentRead: aws.Bool(true),
			KeyConditionExpression: aws.String("PK = :p"), ExpressionAttributeValues: item{":p": str("hot")}})
		return err
	}
	calls := 0
	var err error
	for err == nil && calls < 100 {
		err = query()
		calls++
	}
	wantError(t, err, "ThrottlingException", textOnDemand)
	if calls != 14 {
		t.Errorf("query number %d of 249 units was throttled, want the 14th", calls)
	}
	var throttled *types.ThrottlingException
	if !errors.As(err, &throttled) || aws.ToString(throttled.ThrottlingReasons[0].Reason) != "TableReadKeyRangeThroughputExceeded" {
		t.Errorf("%+v", throttled)
	}
	_, err = l.GetItem(t.Context(), &sdk.GetItemInput{TableName: &l.table, Key: pksk("hot", "1")})
	wantError(t, err, "ThrottlingException", textOnDemand)
	_, err = l.Scan(t.Context(), &sdk.ScanInput{TableName: &l.table})
	wantError(t, err, "ThrottlingException", textOnDemand)
	_, err = l.TransactGetItems(t.Context(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
		{Get: &types.Get{TableName: &l.table, Key: pksk("cool", "1")}}, {Get: &types.Get{TableName: &l.table, Key: pksk("hot", "1")}}}})
	wantError(t, err, "TransactionCanceledException", "[None, ThrottlingError]")
	out, err := l.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		l.table: {Keys: []item{pksk("hot", "1"), pksk("cool", "1")}}}})
	if err != nil || len(out.UnprocessedKeys[l.table].Keys) != 1 || len(out.Responses[l.table]) != 0 {
		t.Errorf("%+v %v, want the hot key unprocessed", out, err)
	}
	_, err = l.BatchGetItem(t.Context(), &sdk.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		l.table: {Keys: []item{pksk("hot", "1"), pksk("hot", "2")}}}})
	wantError(t, err, "ThrottlingException", textOnDemand)
}

func TestTransactionsAndBatchesAreLimited(t *testing.T) {
	t.Parallel()
	l := openLimited(t, mainTable("limited-table"))
	l.fill(t, "hot", nil)
	_, err := l.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: &l.table, Item: pksk("cool", "1")}},
		{ConditionCheck: &types.ConditionCheck{TableName: &l.table, Key: pksk("hot", "1"), ConditionExpression: aws.String("attribute_exists(PK)")}},
	}})
	wantError(t, err, "TransactionCanceledException", "[None, ThrottlingError]")
	if fetch(t, l.Client, l.table, pksk("cool", "1")) != nil {
		t.Error("a throttled transaction was carried out in part")
	}
	write := func(keys ...item) (*sdk.BatchWriteItemOutput, error) {
		var requests []types.WriteRequest
		for n, k := range keys {
			r := types.WriteRequest{PutRequest: &types.PutRequest{Item: k}}
			if n == 0 {
				r = types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: k}}
			}
			requests = append(requests, r)
		}
		return l.BatchWriteItem(t.Context(), &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{l.table: requests},
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
	}
	out, err := write(pksk("hot", "1"), pksk("cool", "1"), pksk("hot", "new"))
	if err != nil {
		t.Fatal(err)
	}
	left := out.UnprocessedItems[l.table]
	if len(left) != 2 || left[0].DeleteRequest == nil || plain(left[0].DeleteRequest.Key)["SK"] != "1" ||
		left[1].PutRequest == nil || plain(left[1].PutRequest.Item)["SK"] != "new" {
		t.Errorf("unprocessed: %+v", left)
	}
	if got := aws.ToFloat64(out.ConsumedCapacity[0].CapacityUnits); got != 1 {
		t.Errorf("%v units for the one item that was written", got)
	}
	if fetch(t, l.Client, l.table, pksk("hot", "1")) == nil || fetch(t, l.Client, l.table, pksk("hot", "new")) != nil ||
		fetch(t, l.Client, l.table, pksk("cool", "1")) == nil {
		t.Error("what was unprocessed was done, or what was not is not")
	}
	_, err = write(pksk("hot", "1"), pksk("hot", "new"))
	wantError(t, err, "ThrottlingException", textOnDemand)
	l.ms.Add(1000)
	if out, err := write(pksk("hot", "1"), pksk("hot", "new")); err != nil || len(out.UnprocessedItems) != 0 {
		t.Errorf("a second later: %+v %v", out, err)
	}
}

func TestAProvisionedTableIsThrottledByItsName(t *testing.T) {
	t.Parallel()
	in := mainTable("provisioned-table")
	in.BillingMode = types.BillingModeProvisioned
	in.ProvisionedThroughput = &types.ProvisionedThroughput{ReadCapacityUnits: aws.Int64(40000), WriteCapacityUnits: aws.Int64(40000)}
	for n := range in.GlobalSecondaryIndexes {
		in.GlobalSecondaryIndexes[n].ProvisionedThroughput = in.ProvisionedThroughput
	}
	l := openLimited(t, in)
	l.fill(t, "hot", item{"G1PK": str("one"), "G1SK": num("1")})
	err := l.putItem(t, pksk("hot", "more"))
	wantError(t, err, "ProvisionedThroughputExceededException", textProvisioned)
	var throttled *types.ProvisionedThroughputExceededException
	if !errors.As(err, &throttled) || len(throttled.ThrottlingReasons) != 1 ||
		aws.ToString(throttled.ThrottlingReasons[0].Reason) != "TableWriteKeyRangeThroughputExceeded" {
		t.Errorf("%+v", throttled)
	}
	wantError(t, l.putItem(t, item{"PK": str("cool"), "SK": str("1"), "G1PK": str("one"), "G1SK": num("1")}),
		"ProvisionedThroughputExceededException", textProvisionedIx)
	_, err = l.TransactWriteItems(t.Context(), &sdk.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Delete: &types.Delete{TableName: &l.table, Key: pksk("hot", "1")}}}})
	wantError(t, err, "TransactionCanceledException", "[ProvisionedThroughputExceeded]")
}

// TestBucketsAreBounded: those that are full again go first.
func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(0)
	l := newLimits(func() time.Time { return now })
	use := func(name string, units float64) (short bool) {
		_, short = l.take([]usage{{partition: name, limit: writeLimit, units: units}})
		return short
	}
	use("empty", 10*writeLimit)
	for n := range maxBuckets {
		use(fmt.Sprint(n), 1)
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
	l.buckets = map[string]*bucket{}
	use("empty", 10*writeLimit)
	for n := range maxBuckets - 1 {
		use(fmt.Sprint(n), 1)
	}
	now = now.Add(time.Second)
	if use("new", 1) || len(l.buckets) != 2 || !use("empty", 1) {
		t.Errorf("%d buckets are kept, want the one in debt and the new one", len(l.buckets))
	}
}
