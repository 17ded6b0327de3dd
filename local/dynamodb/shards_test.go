package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// shards describes all shards of the reader's stream, limit a page.
func (r *reader) shards(limit int32) []streamtypes.Shard {
	r.t.Helper()
	var list []streamtypes.Shard
	in := &dynamodbstreams.DescribeStreamInput{StreamArn: &r.arn, Limit: &limit}
	for {
		out, err := r.c.DescribeStream(context.Background(), in)
		if err != nil {
			r.t.Fatal(err)
		}
		d := out.StreamDescription
		if len(d.Shards) > int(limit) {
			r.t.Fatalf("%d shards in a page of %d", len(d.Shards), limit)
		}
		list = append(list, d.Shards...)
		if d.LastEvaluatedShardId == nil {
			return list
		}
		in.ExclusiveStartShardId = d.LastEvaluatedShardId
	}
}

func (r *reader) in(shard streamtypes.Shard) *reader {
	other := *r
	other.shard = *shard.ShardId
	return &other
}

// readShard reads a shard from its oldest record to its end, or to where there
// is nothing now.
func (r *reader) readShard() (records []streamtypes.Record, ended bool) {
	r.t.Helper()
	it := r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	for {
		var page []streamtypes.Record
		page, it = r.get(it, 1000)
		records = append(records, page...)
		if it == nil {
			return records, true
		}
		if len(page) == 0 {
			return records, false
		}
	}
}

func trim(t testing.TB, s *Server) {
	t.Helper()
	if err := s.trim(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// TestShardsRollByTime walks through a day and more of a stream.
func TestShardsRollByTime(t *testing.T) {
	t.Parallel()
	clk := newClock()
	dir := t.TempDir()
	s, err := Open(dir, Options{Now: clk.now})
	if err != nil {
		t.Fatal(err)
	}
	c := client(s)
	table := createMain(t, c)
	add(t, c, table, "a")
	clk.advance(2 * time.Hour)
	add(t, c, table, "a")
	r := newReader(t, s, table)
	if list := r.shards(100); len(list) != 1 || list[0].SequenceNumberRange.EndingSequenceNumber != nil || list[0].ParentShardId != nil {
		t.Fatalf("after 2 h: %+v", list)
	}
	clk.advance(2*time.Hour + time.Second)
	add(t, c, table, "a")
	clk.advance(4*time.Hour + time.Second)
	trim(t, s) // an idle stream rolls, too
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openServer(t, dir, Options{Now: clk.now})
	c = client(s)
	add(t, c, table, "a")
	r = newReader(t, s, table)
	list := r.shards(1)
	if len(list) != 3 {
		t.Fatalf("got %d shards", len(list))
	}
	want := [][]string{{"INSERT:a(-->1)", "MODIFY:a(1->2)"}, {"MODIFY:a(2->3)"}, {"MODIFY:a(3->4)"}}
	for i, sh := range list {
		span := sh.SequenceNumberRange
		records, ended := r.in(sh).readShard()
		if !slices.Equal(events(records), want[i]) || ended != (i < 2) || (span.EndingSequenceNumber != nil) != ended {
			t.Errorf("shard %d: %v, ended %v", i, events(records), ended)
		}
		for _, rec := range records {
			n := *rec.Dynamodb.SequenceNumber
			if n < *span.StartingSequenceNumber || ended && n > *span.EndingSequenceNumber {
				t.Errorf("shard %d: number %s is not between %s and %s", i, n, *span.StartingSequenceNumber, aws.ToString(span.EndingSequenceNumber))
			}
		}
		if i == 0 {
			continue
		}
		if parent := list[i-1]; aws.ToString(sh.ParentShardId) != *parent.ShardId || *span.StartingSequenceNumber <= *parent.SequenceNumberRange.EndingSequenceNumber {
			t.Errorf("shard %d: %+v after %+v", i, sh, parent)
		}
	}
	checkClosedShard(t, r.in(list[0]))
	checkFilter(t, r, list)
	// A stream that ends soon after it rolled has all its shards.
	clk.advance(4*time.Hour + time.Second)
	add(t, c, table, "a")
	if _, err := c.DeleteTable(context.Background(), &sdk.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
	list = r.shards(100)
	if len(list) != 4 {
		t.Fatalf("%d shards after the table's deletion", len(list))
	}
	for i, sh := range list {
		if _, ended := r.in(sh).readShard(); !ended {
			t.Errorf("shard %d is open", i)
		}
	}
}

// checkClosedShard asks for each type of iterator on a closed shard of two records.
func checkClosedShard(t *testing.T, r *reader) {
	t.Helper()
	records, _ := r.readShard()
	first, last := records[0].Dynamodb.SequenceNumber, records[1].Dynamodb.SequenceNumber
	for _, tt := range []struct {
		kind   streamtypes.ShardIteratorType
		number *string
		want   int
	}{
		{streamtypes.ShardIteratorTypeTrimHorizon, nil, 2}, {streamtypes.ShardIteratorTypeLatest, nil, 0},
		{streamtypes.ShardIteratorTypeAtSequenceNumber, first, 2}, {streamtypes.ShardIteratorTypeAfterSequenceNumber, first, 1},
		{streamtypes.ShardIteratorTypeAtSequenceNumber, last, 1}, {streamtypes.ShardIteratorTypeAfterSequenceNumber, last, 0},
	} {
		if got, next := r.get(r.iterator(tt.kind, tt.number), 1000); len(got) != tt.want || next != nil {
			t.Errorf("%s: %d records, want %d; next %v", tt.kind, len(got), tt.want, aws.ToString(next))
		}
	}
	// A page that ends with the last record tells that there is no more.
	page, next := r.get(r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil), 1)
	if len(page) != 1 || next == nil {
		t.Fatalf("a page: %v, next %v", events(page), next)
	}
	if page, next = r.get(next, 1); len(page) != 1 || next != nil {
		t.Errorf("the last page: %v, next %v", events(page), next)
	}
	_, err := r.c.GetShardIterator(context.Background(), &dynamodbstreams.GetShardIteratorInput{StreamArn: &r.arn, ShardId: aws.String("shardId-00000001000000000000-00000000"),
		ShardIteratorType: streamtypes.ShardIteratorTypeLatest})
	wantError(t, err, "ResourceNotFoundException", "")
}

func checkFilter(t *testing.T, r *reader, list []streamtypes.Shard) {
	t.Helper()
	children := func(id *string) []streamtypes.Shard {
		out, err := r.c.DescribeStream(context.Background(), &dynamodbstreams.DescribeStreamInput{StreamArn: &r.arn,
			ShardFilter: &streamtypes.ShardFilter{Type: streamtypes.ShardFilterTypeChildShards, ShardId: id}})
		if err != nil {
			t.Fatal(err)
		}
		return out.StreamDescription.Shards
	}
	if got := children(list[0].ShardId); len(got) != 1 || *got[0].ShardId != *list[1].ShardId {
		t.Errorf("children of the first: %+v", got)
	}
	if got := children(list[2].ShardId); len(got) != 0 {
		t.Errorf("children of the open one: %+v", got)
	}
	_, err := r.c.DescribeStream(context.Background(), &dynamodbstreams.DescribeStreamInput{StreamArn: &r.arn, ShardFilter: &streamtypes.ShardFilter{Type: "OTHER"}})
	wantError(t, err, "ValidationException", "Member must satisfy enum value set: [CHILD_SHARDS]")
}

// TestShardsTrimmed lets records, then shards, then a stream grow old.
func TestShardsTrimmed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now})
	c := client(s)
	table := createMain(t, c)
	add(t, c, table, "a")
	clk.advance(3 * time.Hour)
	add(t, c, table, "a")
	clk.advance(2 * time.Hour)
	trim(t, s) // closes the shard
	clk.advance(10 * time.Minute)
	add(t, c, table, "a")
	r := newReader(t, s, table)
	list := r.shards(100)
	first := r.in(list[0])
	records, _ := first.readShard()
	clk.advance(19*time.Hour + time.Minute)
	held := first.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	trim(t, s)
	// The oldest record has gone, the one behind it in its shard is there.
	_, err := r.c.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: held})
	wantError(t, err, "TrimmedDataAccessException", "The data you are trying to access has been trimmed")
	for _, it := range []*string{
		first.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil),
		first.iterator(streamtypes.ShardIteratorTypeAfterSequenceNumber, records[0].Dynamodb.SequenceNumber),
	} {
		if got, next := r.get(it, 10); !slices.Equal(events(got), []string{"MODIFY:a(1->2)"}) || next != nil {
			t.Errorf("got %v, next %v", events(got), next)
		}
	}
	if got := r.shards(100); *got[0].ShardId != first.shard {
		t.Errorf("a shard with a record that is kept has gone: %+v", got)
	}
	clk.advance(4*time.Hour + 55*time.Minute)
	add(t, c, table, "a") // 23 hours and 56 minutes after the one before it
	held = first.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	trim(t, s)
	got := r.shards(100)
	if *got[0].ShardId != *list[1].ShardId || aws.ToString(got[0].ParentShardId) != first.shard {
		t.Errorf("after a day: %+v", got)
	}
	_, err = r.c.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: held})
	wantError(t, err, "TrimmedDataAccessException", "")
	_, err = r.c.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{StreamArn: &r.arn, ShardId: &first.shard, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon})
	wantError(t, err, "ResourceNotFoundException", "")
	// A place that has gone is one all the same.
	out, err := r.c.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &r.arn, ExclusiveStartShardId: &first.shard})
	if err != nil || len(out.StreamDescription.Shards) != len(got) {
		t.Errorf("behind a shard that has gone: %+v, %v", out, err)
	}
	all := []string{}
	for _, sh := range got {
		records, _ := r.in(sh).readShard()
		all = append(all, events(records)...)
	}
	if want := []string{"MODIFY:a(2->3)", "MODIFY:a(3->4)"}; !slices.Equal(all, want) {
		t.Errorf("got %v", all)
	}
	// The stream of a deleted table is read for a day.
	if _, err := c.DeleteTable(ctx, &sdk.DeleteTableInput{TableName: &table}); err != nil {
		t.Fatal(err)
	}
	clk.advance(23 * time.Hour)
	trim(t, s)
	got = r.shards(100)
	records, ended := r.in(got[len(got)-1]).readShard()
	if !slices.Equal(events(records), []string{"MODIFY:a(3->4)"}) || !ended {
		t.Errorf("after the table: %v, ended %v", events(records), ended)
	}
	clk.advance(2 * time.Hour)
	trim(t, s)
	_, err = r.c.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: &r.arn})
	wantError(t, err, "ResourceNotFoundException", "")
}

// TestShardsBetweenCommits reads a shard as it closes: when the catalog has not
// heard of that yet, and when it has before the records can be seen.
func TestShardsBetweenCommits(t *testing.T) {
	t.Parallel()
	clk := newClock()
	s := openServer(t, t.TempDir(), Options{Now: clk.now})
	c := client(s)
	table := createMain(t, c)
	add(t, c, table, "a")
	r := newReader(t, s, table)
	it := r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	open := s.catalog.Load()
	closed := open.clone()
	for id, st := range open.streams {
		early := *st
		early.text, early.Shards = "", slices.Clone(st.Shards)
		early.Shards[0].End = early.Shards[0].Start + 1<<40
		closed.streams[id] = &early
	}
	s.catalog.Store(closed)
	if got, next := r.get(it, 10); len(got) != 1 || next == nil {
		t.Errorf("a shard that is open: %v, next %v", events(got), next)
	}
	s.catalog.Store(open)
	clk.advance(4*time.Hour + time.Second)
	add(t, c, table, "a")
	s.catalog.Store(open)
	it = r.iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
	if got, next := r.get(it, 10); !slices.Equal(events(got), []string{"INSERT:a(-->1)"}) || next != nil {
		t.Errorf("a shard that has closed: %v, next %v", events(got), next)
	}
}

// TestShardsUnderLoad rolls shards all the time while a reader follows, parents
// before children: it sees every change once, in the order of each item.
func TestShardsUnderLoad(t *testing.T) {
	t.Parallel()
	s := openServer(t, t.TempDir(), Options{maxShard: 20})
	c := client(s)
	table := createMain(t, c)
	const writers, each, items = 6, 100, 4
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				add(t, c, table, fmt.Sprint("item", i%items))
			}
		})
	}
	r := newReader(t, s, table)
	seen := map[string][]string{} // by item
	n, done, at := 0, map[string]bool{}, map[string]*string{}
	deadline := time.Now().Add(time.Minute)
	for n < writers*each {
		if time.Now().After(deadline) {
			t.Fatalf("got %d of %d records", n, writers*each)
		}
		n += r.follow(done, at, seen)
	}
	wg.Wait()
	if more := r.follow(done, at, seen); more != 0 {
		t.Errorf("%d records too many", more)
	}
	if len(at) < 5 {
		t.Errorf("%d shards", len(at))
	}
	t.Logf("%d shards", len(at))
	for pk, list := range seen {
		for i, e := range list {
			want := fmt.Sprintf("MODIFY:%s(%d->%d)", pk, i, i+1)
			if i == 0 {
				want = fmt.Sprintf("INSERT:%s(-->1)", pk)
			}
			if e != want {
				t.Fatalf("change %d of %s: %s", i+1, pk, e)
			}
		}
	}
}

// follow reads on in each shard that is not done and whose parent is, and returns
// the number of records. at has the iterators of open shards.
func (r *reader) follow(done map[string]bool, at map[string]*string, seen map[string][]string) (n int) {
	r.t.Helper()
	for _, sh := range r.shards(3) {
		id := *sh.ShardId
		if done[id] || sh.ParentShardId != nil && !done[*sh.ParentShardId] {
			continue
		}
		if at[id] == nil {
			at[id] = r.in(sh).iterator(streamtypes.ShardIteratorTypeTrimHorizon, nil)
		}
		for more := true; more; {
			var page []streamtypes.Record
			page, at[id] = r.get(at[id], 7)
			n += len(page)
			for _, rec := range page {
				pk := rec.Dynamodb.Keys["PK"].(*streamtypes.AttributeValueMemberS).Value
				seen[pk] = append(seen[pk], events([]streamtypes.Record{rec})...)
			}
			done[id] = at[id] == nil
			more = len(page) > 0 && !done[id]
		}
	}
	return n
}
