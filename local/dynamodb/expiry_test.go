package dynamodb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/cockroachdb/pebble/v2"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// never is a pace at which the server does not sweep by itself during a test.
const never = time.Hour

func setTTL(t testing.TB, c *sdk.Client, table, attr string, on bool) {
	t.Helper()
	if err := tryTTL(c, table, attr, on); err != nil {
		t.Fatal(err)
	}
}

func tryTTL(c *sdk.Client, table, attr string, on bool) error {
	_, err := c.UpdateTimeToLive(context.Background(), &sdk.UpdateTimeToLiveInput{TableName: &table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attr, Enabled: &on}})
	return err
}

func ttlStatus(t testing.TB, c *sdk.Client, table string) types.TimeToLiveStatus {
	t.Helper()
	out, err := c.DescribeTimeToLive(context.Background(), &sdk.DescribeTimeToLiveInput{TableName: &table})
	if err != nil {
		t.Fatal(err)
	}
	return out.TimeToLiveDescription.TimeToLiveStatus
}

// sweep does all that there is to do.
func sweep(t testing.TB, s *Server) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.sweepOnce(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// partitions lists the partition keys of a table's items.
func partitions(t testing.TB, c *sdk.Client, table string) []string {
	t.Helper()
	list := []string{}
	pages := sdk.NewScanPaginator(c, &sdk.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		out, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range out.Items {
			list = append(list, plainValue(it["PK"]))
		}
	}
	slices.Sort(list)
	return list
}

// checkExpiries holds a table's expiries against its items: one for each item
// that has the attribute, no other. It returns their number.
func checkExpiries(t testing.TB, s *Server, name string) int {
	t.Helper()
	view := s.store.View()
	defer view.Release()
	tab := s.catalog.Load().tables[name]
	want, got := map[string]bool{}, map[string]bool{}
	each := func(kind byte, f func(key, stored []byte)) {
		prefix := tablePrefix(nil, kind, tab.ID)
		it, err := view.Iter(prefix, after(prefix))
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			f(it.Key(), it.Value())
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	each(kindItem, func(key, stored []byte) {
		item, err := value.DecodeStored(stored)
		if err != nil {
			t.Fatal(err)
		}
		if sec, ok := expiresAt(item, tab.TTL); ok {
			want[string(expiryKey(nil, tab.ID, sec, key))] = true
		}
	})
	each(kindExpiry, func(key, _ []byte) { got[string(key)] = true })
	if !maps.Equal(want, got) {
		t.Fatalf("%d expiries, want %d", len(got), len(want))
	}
	return len(got)
}

func at(clk *clock, d time.Duration) types.AttributeValue {
	return num(fmt.Sprint(clk.now().Add(d).Unix()))
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now, sweepEvery: never})
	c := client(s)
	table := createMain(t, c)
	setTTL(t, c, table, "ttl", true)
	past := clk.now().Add(-time.Minute).Unix()
	for name, ttl := range map[string]types.AttributeValue{
		"gone past":      num(fmt.Sprint(past)),
		"gone fraction":  num(fmt.Sprintf("%d.75", past)),
		"gone just now":  at(clk, -time.Second),
		"gone years ago": at(clk, -4*365*24*time.Hour),
		"stays now":      at(clk, 0),
		"stays future":   at(clk, time.Hour),
		"stays string":   str(fmt.Sprint(past)),
		"stays list":     &types.AttributeValueMemberL{Value: []types.AttributeValue{num(fmt.Sprint(past))}},
		"stays ancient":  at(clk, -(5*365+1)*24*time.Hour),
		"stays ms":       num(fmt.Sprint(clk.now().UnixMilli())),
		"stays huge":     num("1e100"),
		"stays negative": num("-1"),
	} {
		put(t, c, table, item{"PK": str(name), "SK": str("s"), "ttl": ttl, "G1PK": str("g"), "G1SK": num("1"), "n": num("7")})
	}
	put(t, c, table, item{"PK": str("stays without"), "SK": str("s")})
	sweep(t, s)
	for _, name := range partitions(t, c, table) {
		if !strings.HasPrefix(name, "stays ") {
			t.Errorf("%s stayed", name)
		}
	}
	if n := checkExpiries(t, s, table); n != 4 { // now, future, ancient, ms
		t.Errorf("%d expiries are left", n)
	}
	out, err := c.Query(context.Background(), &sdk.QueryInput{TableName: &table, IndexName: aws.String("G1all"),
		KeyConditionExpression: aws.String("G1PK = :g"), ExpressionAttributeValues: item{":g": str("g")}})
	if err != nil || out.Count != 8 {
		t.Errorf("the index has %d items, %v", out.Count, err)
	}
	r := newReader(t, s, table)
	records, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 1000)
	removed := 0
	for _, rec := range records {
		if rec.EventName != streamtypes.OperationTypeRemove {
			if rec.UserIdentity != nil {
				t.Errorf("%s has an identity", rec.EventName)
			}
			continue
		}
		removed++
		if id := rec.UserIdentity; id == nil || aws.ToString(id.Type) != "Service" || aws.ToString(id.PrincipalId) != "dynamodb.amazonaws.com" {
			t.Errorf("got identity %+v", id)
		}
		if len(rec.Dynamodb.OldImage) != 6 || len(rec.Dynamodb.NewImage) != 0 {
			t.Errorf("got %+v", rec.Dynamodb)
		}
	}
	if removed != 4 {
		t.Errorf("%d records of removal", removed)
	}
	// What a client deletes has no identity.
	if _, err := c.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: &table, Key: pksk("stays future", "s")}); err != nil {
		t.Fatal(err)
	}
	records, _ = r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 1000)
	if last := records[len(records)-1]; last.EventName != streamtypes.OperationTypeRemove || last.UserIdentity != nil {
		t.Errorf("got %+v", last)
	}
	clk.advance(time.Second)
	sweep(t, s)
	if slices.Contains(partitions(t, c, table), "stays now") {
		t.Error("an item stayed a second after its time")
	}
	checkExpiries(t, s, table)
}

// TestSweeper holds that the server looks by itself, and often enough.
func TestSweeper(t *testing.T) {
	t.Parallel()
	if sweepEvery > 20*time.Second {
		t.Errorf("expired items are looked for every %v", sweepEvery)
	}
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now, sweepEvery: 5 * time.Millisecond})
	c := client(s)
	table := createMain(t, c)
	setTTL(t, c, table, "ttl", true)
	const items = 3*sweepBatch + 1
	for i := range items {
		put(t, c, table, item{"PK": str(fmt.Sprintf("%04d", i)), "SK": str("s"), "ttl": at(clk, time.Minute)})
	}
	if n := len(partitions(t, c, table)); n != items {
		t.Fatalf("%d items before their time", n)
	}
	clk.advance(time.Minute + time.Second)
	for deadline := time.Now().Add(30 * time.Second); len(partitions(t, c, table)) > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("expired items stay")
		}
	}
}

// TestSweepOfLargeItems holds that a batch is bounded by bytes, too.
func TestSweepOfLargeItems(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now, sweepEvery: never})
	c := client(s)
	table := createMain(t, c)
	setTTL(t, c, table, "ttl", true)
	for i := range 7 {
		put(t, c, table, item{"PK": str(fmt.Sprint(i)), "SK": str("s"), "ttl": at(clk, -time.Minute), "v": str(strings.Repeat("v", 350<<10))})
	}
	if due, more, err := s.due(s.catalog.Load().tables[table].ID); len(due) != 3 || !more || err != nil {
		t.Errorf("%d are due, more is %v, %v", len(due), more, err)
	}
	sweep(t, s)
	if left := partitions(t, c, table); len(left) != 0 {
		t.Errorf("%v are left", left)
	}
}

// TestRenewed renews items between the sweep's look and its deletion.
func TestRenewed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now, sweepEvery: never})
	c := client(s)
	table := createMain(t, c)
	setTTL(t, c, table, "ttl", true)
	all := []string{"deleted", "due", "put anew", "put due", "renewed", "without"}
	for _, name := range all {
		put(t, c, table, item{"PK": str(name), "SK": str("s"), "ttl": at(clk, -time.Hour)})
	}
	id := s.catalog.Load().tables[table].ID
	due, _, err := s.due(id)
	if err != nil || len(due) != len(all) {
		t.Fatalf("%d are due, %v", len(due), err)
	}
	update := func(name, expression string, values item) {
		t.Helper()
		_, err := c.UpdateItem(ctx, &sdk.UpdateItemInput{TableName: &table, Key: pksk(name, "s"), UpdateExpression: &expression,
			ExpressionAttributeNames: map[string]string{"#t": "ttl"}, ExpressionAttributeValues: values})
		if err != nil {
			t.Fatal(err)
		}
	}
	update("renewed", "SET #t = :t", item{":t": at(clk, time.Hour)})
	update("without", "REMOVE #t", nil)
	for name, ttl := range map[string]time.Duration{"deleted": 0, "put anew": time.Hour, "put due": -time.Minute} {
		if _, err := c.DeleteItem(ctx, &sdk.DeleteItemInput{TableName: &table, Key: pksk(name, "s")}); err != nil {
			t.Fatal(err)
		}
		if name != "deleted" {
			put(t, c, table, item{"PK": str(name), "SK": str("s"), "ttl": at(clk, ttl)})
		}
	}
	if err := s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return nil, w.expire(id, due) }}); err != nil {
		t.Fatal(err)
	}
	if got, want := partitions(t, c, table), []string{"put anew", "put due", "renewed", "without"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	checkExpiries(t, s, table)
	sweep(t, s)
	if got, want := partitions(t, c, table), []string{"put anew", "renewed", "without"}; !slices.Equal(got, want) {
		t.Errorf("after the next sweep: got %v", got)
	}
}

// TestRenewRace renews items while they are swept: a renewal that was
// acknowledged keeps its item, and what went has gone once.
func TestRenewRace(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now, sweepEvery: time.Millisecond})
	c := client(s)
	table := createMain(t, c)
	setTTL(t, c, table, "ttl", true)
	const items = 300
	name := func(i int) string { return fmt.Sprintf("%03d", i) }
	for i := range items {
		put(t, c, table, item{"PK": str(name(i)), "SK": str("s"), "ttl": at(clk, time.Second)})
	}
	clk.advance(2 * time.Second)
	renewed := make([]bool, items)
	var wg sync.WaitGroup
	for half := range 2 {
		wg.Go(func() {
			for i := half; i < items; i += 2 {
				_, err := c.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: &table, Key: pksk(name(items-1-i), "s"),
					UpdateExpression: aws.String("SET #t = :t"), ConditionExpression: aws.String("attribute_exists(PK)"),
					ExpressionAttributeNames: map[string]string{"#t": "ttl"}, ExpressionAttributeValues: item{":t": at(clk, time.Hour)}})
				var failed *types.ConditionalCheckFailedException
				if err != nil && !errors.As(err, &failed) {
					t.Error(err)
				}
				renewed[items-1-i] = err == nil
			}
		})
	}
	wg.Wait()
	sweep(t, s)
	var want []string
	for i, ok := range renewed {
		if ok {
			want = append(want, name(i))
		}
	}
	t.Logf("%d of %d were renewed in time", len(want), items)
	if got := partitions(t, c, table); !slices.Equal(got, want) {
		t.Errorf("got %d items, want %d", len(got), len(want))
	}
	checkExpiries(t, s, table)
	r := newReader(t, s, table)
	records, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 1000)
	removed := 0
	for _, rec := range records {
		if rec.EventName == streamtypes.OperationTypeRemove {
			removed++
		}
	}
	if removed != items-len(want) {
		t.Errorf("%d records of removal of %d items", removed, items-len(want))
	}
}

// TestExpiryWrites holds that a change that leaves the attribute as it was, or
// an item without it, writes no expiry.
func TestExpiryWrites(t *testing.T) {
	t.Parallel()
	s := openServer(t, t.TempDir(), Options{sweepEvery: never})
	a := value.Field{Name: "a", Value: value.Int(1)}
	at := func(v value.Value) value.Field { return value.Field{Name: "t", Value: v} }
	none, five, half, six := value.Item{a}, value.Item{at(value.Int(5))}, value.Item{a, at(value.Int(5))}, value.Item{at(value.Int(6))}
	text := value.Item{at(value.String("5"))}
	for i, tt := range []struct {
		old, new value.Item
		writes   bool
	}{
		{nil, none, false}, {none, nil, false}, {none, text, false}, {five, half, false}, {half, five, false},
		{nil, five, true}, {five, nil, true}, {five, none, true}, {text, five, true}, {five, six, true},
	} {
		w := &writer{server: s, store: s.store, batch: s.store.NewBatch()}
		w.applyExpiry(&table{ID: 1, TTL: "t"}, &change{key: []byte("d0001key"), old: tt.old, new: tt.new})
		if writes := !w.batch.Empty(); writes != tt.writes {
			t.Errorf("case %d: writes is %v", i, writes)
		}
	}
}

// TestSweepCost holds that a look for what is due does not read what is not, nor
// what was deleted before.
func TestSweepCost(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now, sweepEvery: never})
	c := client(s)
	table := createMain(t, c)
	setTTL(t, c, table, "ttl", true)
	id := s.catalog.Load().tables[table].ID
	fillWith(t, c, table, 1000, func(i int) item {
		return item{"PK": str(fmt.Sprint(i)), "SK": str("s"), "ttl": at(clk, -time.Duration(1+i)*time.Second)}
	})
	sweep(t, s)
	fillWith(t, c, table, 3000, func(i int) item {
		return item{"PK": str(fmt.Sprint(i)), "SK": str("s"), "ttl": at(clk, time.Duration(1+i)*time.Hour)}
	})
	if _, _, err := s.due(id); err != nil { // learns where the deleted lie
		t.Fatal(err)
	}
	view := s.store.View()
	defer view.Release()
	from, to := dueBetween(s.now().UnixMilli())
	cur, err := newCursor(view, &s.gaps, expiryFrom(nil, id, from), expiryFrom(nil, id, to), false)
	if err != nil {
		t.Fatal(err)
	}
	for ok := cur.first(); ok; ok = cur.next() {
		t.Errorf("%x is due", cur.it.Key())
	}
	if stats := cur.it.Stats(); stats.ForwardStepCount[pebble.InternalIterCall] > 20 {
		t.Errorf("nothing is due, and a look takes %v", stats.String())
	}
	if err := cur.close(); err != nil {
		t.Fatal(err)
	}
}

// fillWith puts n items in batches.
func fillWith(t testing.TB, c *sdk.Client, table string, n int, make func(i int) item) {
	t.Helper()
	for i := 0; i < n; {
		var reqs []types.WriteRequest
		for ; i < n && len(reqs) < 25; i++ {
			reqs = append(reqs, types.WriteRequest{PutRequest: &types.PutRequest{Item: make(i)}})
		}
		_, err := c.BatchWriteItem(context.Background(), &sdk.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{table: reqs}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestExpiryKeys(t *testing.T) {
	t.Parallel()
	itemKey := append(tablePrefix(nil, kindItem, 7), "the key"...)
	key := expiryKey(nil, 7, 1234, itemKey)
	if sec, back := parseExpiry(7, key); sec != 1234 || !bytes.Equal(back, itemKey) {
		t.Errorf("got %d, %q", sec, back)
	}
	if from, to := dueBetween(500); from != 0 || to != 1 {
		t.Errorf("at the beginning of time: %d, %d", from, to)
	}
}
