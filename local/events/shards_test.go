package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/bloom-runtime/bloom/local/template"
)

// roll makes the stream's next record go to a new shard.
func (w *world) roll() { w.ahead.Add(int64(4*time.Hour + time.Second)) }

func (w *world) shards() []string {
	w.t.Helper()
	c := newClient(w.cfg)
	arn, err := c.find(w.t.Context(), "the-table")
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := c.shards(w.t.Context(), arn)
	if err != nil {
		w.t.Fatal(err)
	}
	ids := make([]string, len(list))
	for i, sh := range list {
		ids[i] = sh.id
		if i > 0 && sh.parent != ids[i-1] {
			w.t.Fatalf("shard %d has the parent %q", i, sh.parent)
		}
	}
	return ids
}

func (w *world) saved() placesFile {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, "follow-Changes.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	var f placesFile
	if err := json.Unmarshal(b, &f); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// A reader follows shards as they close, one after the other, and goes on in any of them after a stop.
func TestShardsInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var s seen
	calls := 0
	o := w.options(template.Stream{BatchSize: 4}, func(e lambdaevents.DynamoDBEvent) error {
		if calls++; calls%3 == 0 {
			return errors.New("not now")
		}
		s.add(keysOf(e)...)
		return nil
	})
	keys := numbered(60)
	next := 0
	some := func() {
		w.put(keys[next : next+10]...)
		next += 10
	}
	some()
	w.roll()
	some() // two shards when the reader starts
	r := w.start(o)
	s.wait(t, keys[:next]...)
	w.roll()
	some() // a third while it reads
	s.wait(t, keys[:next]...)
	r.Stop()
	some()
	w.roll()
	some() // the rest of the third and a fourth while it is away
	r = w.start(o)
	s.wait(t, keys[:next]...)
	w.roll()
	some()
	s.wait(t, keys...)
	ids := w.shards()
	r.Stop()
	if len(ids) != 5 {
		t.Fatalf("%d shards", len(ids))
	}
	saved := w.saved().Shards
	for i, id := range ids {
		if at := saved[id]; at.Sequence == "" || at.Done != (i < 4) {
			t.Errorf("the place in shard %d is %+v", i, at)
		}
	}
}

// A shard waits for its parent, whatever keeps that from its end.
func TestParentFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("parent")
	w.roll()
	w.put("child")
	tried := make(chan []string, 100)
	var good atomic.Bool
	var s seen
	w.start(w.options(template.Stream{}, func(e lambdaevents.DynamoDBEvent) error {
		tried <- keysOf(e)
		if !good.Load() {
			return errors.New("not now")
		}
		s.add(keysOf(e)...)
		return nil
	}))
	for range 3 { // times out only if nothing is tried again
		if got := <-tried; !slices.Equal(got, []string{"parent"}) {
			t.Fatalf("tried %v", got)
		}
	}
	good.Store(true)
	s.wait(t, "parent", "child")
}

// Places of shards that have gone do not pile up.
func TestPlacesOfGoneShards(t *testing.T) {
	t.Parallel()
	p, err := openPlaces(filepath.Join(t.TempDir(), "places.json"))
	if err != nil {
		t.Fatal(err)
	}
	p.follow("arn", []shard{{id: "s0"}})
	for i := range 100 {
		p.set(fmt.Sprint("s", i), place{Sequence: "1", Done: true})
		p.follow("arn", []shard{{id: fmt.Sprint("s", i)}, {id: fmt.Sprint("s", i+1)}})
	}
	if err := p.save(); err != nil {
		t.Fatal(err)
	}
	again, err := openPlaces(p.path)
	if err != nil || len(again.file.Shards) != 1 || !again.get("s99").Done {
		t.Errorf("got %+v, %v", again.file, err)
	}
}

// A window goes on after a restart, with its state, and ends with its shard; the next shard begins anew.
func TestWindowAcrossRestartAndShards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan lambdaevents.DynamoDBTimeWindowEvent, 100)
	o := w.options(template.Stream{TumblingWindow: 24 * time.Hour}, func(e lambdaevents.DynamoDBTimeWindowEvent) (lambdaevents.DynamoDBTimeWindowEventResponse, error) {
		got <- e
		state := map[string]string{"calls": e.State["calls"] + "x"}
		return lambdaevents.DynamoDBTimeWindowEventResponse{TimeWindowEventResponseProperties: lambdaevents.TimeWindowEventResponseProperties{State: state}}, nil
	})
	want := func(key, state string, final bool) lambdaevents.DynamoDBTimeWindowEvent {
		t.Helper()
		e := <-got
		keys := strings.Join(keysOf(e.DynamoDBEvent), " ")
		if keys != key || e.State["calls"] != state || e.IsFinalInvokeForWindow != final {
			t.Fatalf("got %q, state %v, final %v; want %q, %q, %v", keys, e.State, e.IsFinalInvokeForWindow, key, state, final)
		}
		return e
	}
	r := w.start(o)
	w.put("a")
	first := want("a", "", false)
	r.Stop()
	if at := w.saved().Shards[first.ShardID]; at.Window == nil || at.Sequence == "" {
		t.Fatalf("the place is %+v", at)
	}
	w.put("b")
	r = w.start(o)
	if e := want("b", "x", false); e.ShardID != first.ShardID || !e.Window.Start.Equal(first.Window.Start.Time) {
		t.Errorf("after the restart: %+v", e)
	}
	w.roll()
	w.put("c")
	if e := want("", "xx", true); e.ShardID != first.ShardID || !e.IsWindowTerminatedEarly {
		t.Errorf("at the shard's end: %+v", e)
	}
	if e := want("c", "", false); e.ShardID == first.ShardID {
		t.Errorf("in the next shard: %+v", e)
	}
	r.Stop()
	if at := w.saved().Shards[first.ShardID]; at.Window != nil || !at.Done {
		t.Errorf("the place in the first shard is %+v", at)
	}
}

// goneClient answers one GetRecords with ResourceNotFoundException: the second.
type goneClient struct {
	aws.HTTPClient
	calls atomic.Int64
}

func (g *goneClient) Do(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetRecords") && g.calls.Add(1) == 2 {
		r = r.Clone(r.Context())
		r.Header.Set("X-Amz-Target", "DynamoDBStreams_20120810.DescribeStream")
		body := `{"StreamArn":"arn:aws:dynamodb:us-east-1:000000000000:table/none/stream/2020-01-01T00:00:00.000"}`
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	return g.HTTPClient.Do(r)
}

// What was read of a shard that goes away is delivered, once.
func TestShardGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a")
	gone := &goneClient{HTTPClient: w.cfg.HTTPClient}
	var s seen
	// By its window the record would wait for others.
	o := w.options(template.Stream{Window: time.Minute}, func(e lambdaevents.DynamoDBEvent) error { s.add(keysOf(e)...); return nil })
	o.Streams.HTTPClient = gone
	w.start(o)
	s.wait(t, "a")
	if n := gone.calls.Load(); n < 2 {
		t.Errorf("%d reads", n)
	}
}
