package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// reader reads one stream of one server.
type reader struct {
	t     testing.TB
	c     *dynamodbstreams.Client
	arn   string
	shard string
}

func newReader(t testing.TB, s *Server, table string) *reader {
	t.Helper()
	return newReaderOf(t, streamsClient(s), table)
}

func newReaderOf(t testing.TB, c *dynamodbstreams.Client, table string) *reader {
	t.Helper()
	ctx := context.Background()
	list, err := c.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: &table})
	if err != nil || len(list.Streams) != 1 {
		t.Fatalf("ListStreams: %v, %v", list, err)
	}
	d, err := c.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: list.Streams[0].StreamArn})
	if err != nil {
		t.Fatal(err)
	}
	id := *d.StreamDescription.Shards[len(d.StreamDescription.Shards)-1].ShardId
	if !strings.HasPrefix(id, "shardId-") || len(id) < 28 {
		t.Errorf("shard id %q", id)
	}
	return &reader{t: t, c: c, arn: *list.Streams[0].StreamArn, shard: id}
}

func (r *reader) iterator(kind streamtypes.ShardIteratorType, seq *string) *string {
	r.t.Helper()
	out, err := r.c.GetShardIterator(context.Background(), &dynamodbstreams.GetShardIteratorInput{StreamArn: &r.arn, ShardId: &r.shard, ShardIteratorType: kind, SequenceNumber: seq})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.ShardIterator
}

func (r *reader) get(it *string, limit int32) ([]streamtypes.Record, *string) {
	r.t.Helper()
	out, err := r.c.GetRecords(context.Background(), &dynamodbstreams.GetRecordsInput{ShardIterator: it, Limit: &limit})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Records, out.NextShardIterator
}

// events shows records as event:key(old->new), by the attribute n.
func events(records []streamtypes.Record) []string {
	list := []string{}
	n := func(image map[string]streamtypes.AttributeValue) string {
		if v, ok := image["n"].(*streamtypes.AttributeValueMemberN); ok {
			return v.Value
		}
		return "-"
	}
	for _, r := range records {
		pk := r.Dynamodb.Keys["PK"].(*streamtypes.AttributeValueMemberS).Value
		list = append(list, fmt.Sprintf("%s:%s(%s->%s)", r.EventName, pk, n(r.Dynamodb.OldImage), n(r.Dynamodb.NewImage)))
	}
	return list
}

func add(t testing.TB, c *sdk.Client, table, pk string) {
	t.Helper()
	_, err := c.UpdateItem(context.Background(), &sdk.UpdateItemInput{TableName: &table, Key: pksk(pk, "s"),
		UpdateExpression: aws.String("ADD n :n"), ExpressionAttributeValues: item{":n": num("1")}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStreamRecords(t *testing.T) {
	t.Parallel()
	c, streams := newSubject(t)
	table := createMain(t, c)
	r := newReaderOf(t, streams, table)
	latest := r.iterator(streamtypes.ShardIteratorTypeLatest, nil)
	add(t, c, table, "a")
	add(t, c, table, "a")
	put(t, c, table, item{"PK": str("a"), "SK": str("s"), "n": num("2")}) // changes nothing
	err := transact(c, nil, addAction(table, pksk("b", "s"), 5, "", nil), types.TransactWriteItem{Delete: &types.Delete{TableName: &table, Key: pksk("a", "s")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteItem(context.Background(), &sdk.DeleteItemInput{TableName: &table, Key: pksk("nothing", "s")}); err != nil {
		t.Fatal(err)
	}
	want := []string{"INSERT:a(-->1)", "MODIFY:a(1->2)", "INSERT:b(-->5)", "REMOVE:a(2->-)"}
	records, next := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 1000)
	if got := events(records); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if more, again := r.get(next, 1000); len(more) != 0 || again == nil {
		t.Errorf("got %v behind the end", events(more))
	}
	if fromLatest, _ := r.get(latest, 1000); !slices.Equal(events(fromLatest), want) {
		t.Errorf("from latest: got %v", events(fromLatest))
	}
	rec := records[1]
	agree(t, "a record's members", fmt.Sprint(*rec.EventVersion, " ", *rec.EventSource, " ", *rec.AwsRegion, " ", rec.Dynamodb.StreamViewType),
		"1.1 aws:dynamodb us-east-1 NEW_AND_OLD_IMAGES")
	agree(t, "a record's size", fmt.Sprint(*rec.Dynamodb.SizeBytes), fmt.Sprint(6+9+9))
	agree(t, "a sequence number's length", fmt.Sprint(len(*rec.Dynamodb.SequenceNumber) >= 21), "true")
	if *rec.EventID == "" || time.Since(*rec.Dynamodb.ApproximateCreationDateTime) > time.Minute {
		t.Errorf("got record %+v", rec)
	}
	// Places by number, and by pages.
	second := records[1].Dynamodb.SequenceNumber
	if got, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeAtSequenceNumber, second), 2); !slices.Equal(events(got), want[1:3]) {
		t.Errorf("at: got %v", events(got))
	}
	if got, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeAfterSequenceNumber, second), 1000); !slices.Equal(events(got), want[2:]) {
		t.Errorf("after: got %v", events(got))
	}
	var paged []string
	it := r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	for range want {
		var page []streamtypes.Record
		page, it = r.get(it, 1)
		paged = append(paged, events(page)...)
	}
	if !slices.Equal(paged, want) {
		t.Errorf("paged: got %v", paged)
	}
}

func TestStreamOrderPerItem(t *testing.T) {
	t.Parallel()
	c, streams := newSubject(t)
	table := createMain(t, c)
	const writers, each = 4, 30
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				add(t, c, table, fmt.Sprint("item", i%2))
			}
		})
	}
	wg.Wait()
	r := newReaderOf(t, streams, table)
	records, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 1000)
	if len(records) != writers*each {
		t.Fatalf("got %d records", len(records))
	}
	last := map[string]int{}
	sequence := ""
	for i, e := range events(records) {
		var pk string
		var from, to int
		if strings.HasPrefix(e, "INSERT") {
			_, _ = fmt.Sscanf(strings.NewReplacer(":", " ", "(-->", " ", ")", "").Replace(e), "INSERT %s %d", &pk, &to)
		} else {
			_, _ = fmt.Sscanf(strings.NewReplacer(":", " ", "(", " ", "->", " ", ")", "").Replace(e), "MODIFY %s %d %d", &pk, &from, &to)
		}
		if last[pk] != from || to != from+1 {
			t.Fatalf("record %d is %s after %d", i, e, last[pk])
		}
		last[pk] = to
		if seq := *records[i].Dynamodb.SequenceNumber; seq <= sequence {
			t.Fatalf("sequence number %s after %s", seq, sequence)
		} else {
			sequence = seq
		}
	}
}

func TestStreamAcrossRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clk := newClock()
	s, err := Open(dir, Options{Now: clk.now})
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	table := createMain(t, c)
	add(t, c, table, "a")
	r := newReader(t, s, table)
	first, next := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 1000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// The clock went back: numbers grow all the same.
	clk.advance(-time.Hour)
	s = openServer(t, dir, Options{Now: clk.now})
	c = client(s)
	add(t, c, table, "a")
	r = newReader(t, s, table)
	want := []string{"MODIFY:a(1->2)"}
	got, _ := r.get(next, 1000)
	if !slices.Equal(events(got), want) {
		t.Fatalf("the iterator of before found %v", events(got))
	}
	if *got[0].Dynamodb.SequenceNumber <= *first[0].Dynamodb.SequenceNumber {
		t.Errorf("numbers went back: %s, then %s", *first[0].Dynamodb.SequenceNumber, *got[0].Dynamodb.SequenceNumber)
	}
	after, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeAfterSequenceNumber, first[0].Dynamodb.SequenceNumber), 1000)
	if !slices.Equal(events(after), want) {
		t.Errorf("after the number of before: %v", events(after))
	}
}

func TestStreamTrimmedAndExpired(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now})
	c := client(s)
	table := createMain(t, c)
	add(t, c, table, "old")
	r := newReader(t, s, table)
	old := r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	records, _ := r.get(old, 10)
	number := records[0].Dynamodb.SequenceNumber

	clk.advance(16 * time.Minute)
	_, err := r.c.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: old})
	wantError(t, err, "ExpiredIteratorException", "The provided iterator exceeds the maximum age allowed")
	_, err = r.c.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: aws.String("nonsense")})
	wantError(t, err, "ValidationException", "Invalid ShardIterator")

	clk.advance(24*time.Hour - 17*time.Minute)
	add(t, c, table, "young")
	if err := s.trim(ctx); err != nil {
		t.Fatal(err)
	}
	held := r.iterator(streamtypes.ShardIteratorTypeAtSequenceNumber, number)
	clk.advance(2 * time.Minute)
	first := *r
	r = newReader(t, s, table) // the young record is in a shard of its own
	if err := s.trim(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = r.c.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: held})
	wantError(t, err, "TrimmedDataAccessException", "")
	_, err = r.c.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{StreamArn: &r.arn, ShardId: &first.shard,
		ShardIteratorType: streamtypes.ShardIteratorTypeAtSequenceNumber, SequenceNumber: number})
	wantError(t, err, "TrimmedDataAccessException", "The data you are trying to access has been trimmed")
	// The place behind the last record that is gone is a good one.
	for _, it := range []*string{first.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), first.iterator(streamtypes.ShardIteratorTypeAfterSequenceNumber, number)} {
		if got, next := r.get(it, 10); len(got) != 0 || next != nil {
			t.Errorf("got %v, next %v", events(got), next)
		}
	}
	if got, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 10); !slices.Equal(events(got), []string{"INSERT:young(-->1)"}) {
		t.Errorf("got %v", events(got))
	}
	// A deleted table's stream is read to its end, then goes.
	if _, err := c.DeleteTable(ctx, &sdk.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
	if got, next := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 10); len(got) != 1 || next != nil {
		t.Errorf("got %v, next %v", events(got), next)
	}
	clk.advance(25 * time.Hour)
	if err := s.trim(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = r.c.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &r.arn})
	wantError(t, err, "ResourceNotFoundException", "")
}

func TestStreamViews(t *testing.T) {
	t.Parallel()
	c, streams := newSubject(t)
	for view, want := range map[types.StreamViewType]string{
		types.StreamViewTypeKeysOnly: "old 0 new 0", types.StreamViewTypeNewImage: "old 0 new 3",
		types.StreamViewTypeOldImage: "old 3 new 0", types.StreamViewTypeNewAndOldImages: "old 3 new 3",
	} {
		in := mainTable(string(view))
		in.StreamSpecification.StreamViewType = view
		if _, err := c.CreateTable(context.Background(), in); err != nil {
			t.Fatal(err)
		}
		add(t, c, string(view), "a")
		add(t, c, string(view), "a")
		r := newReaderOf(t, streams, string(view))
		records, _ := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 10)
		d := records[1].Dynamodb
		if got := fmt.Sprintf("old %d new %d", len(d.OldImage), len(d.NewImage)); got != want || len(d.Keys) != 2 {
			t.Errorf("%s: got %s", view, got)
		}
	}
}

// TestTrimTokens holds that tokens that no longer count are removed, and only those.
func TestTrimTokens(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now})
	c := client(s)
	table := createMain(t, c)
	count := func() int {
		view := s.store.View()
		defer view.Release()
		it, err := view.Iter([]byte{kindToken}, []byte{kindToken + 1})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ok := it.First(); ok; ok = it.Next() {
			n++
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 3 {
		if err := transact(c, nil, putAction(table, pksk(fmt.Sprint(i), "s"), "")); err != nil {
			t.Fatal(err)
		}
		clk.advance(10 * time.Minute)
	}
	if err := s.trim(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d tokens are left, want 1", n)
	}
}
