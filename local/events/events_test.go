package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/awsconf"
)

// world is a table with a stream in the embedded server, and a folder for places.
type world struct {
	t   *testing.T
	cfg aws.Config
	db  *sdk.Client
	dir string
	// ahead is how far the server's clock is ahead of the machine's, in ns.
	ahead *atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ahead := &atomic.Int64{}
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	server, err := dynamodb.Open(filepath.Join(t.TempDir(), "table"), dynamodb.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	cfg := awsconf.Build(awsconf.DefaultRegion, "http://dynamodb.internal", "local", "local", "", server.HTTPClient())
	w := &world{t: t, cfg: cfg, db: sdk.NewFromConfig(cfg), dir: t.TempDir(), ahead: ahead}
	w.createTable()
	return w
}

func (w *world) createTable() {
	w.t.Helper()
	_, err := w.db.CreateTable(w.t.Context(), &sdk.CreateTableInput{
		TableName: aws.String("the-table"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("PK"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("PK"), KeyType: types.KeyTypeHash}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) put(keys ...string) {
	w.t.Helper()
	for _, k := range keys {
		_, err := w.db.PutItem(w.t.Context(), &sdk.PutItemInput{TableName: aws.String("the-table"), Item: map[string]types.AttributeValue{
			"PK": &types.AttributeValueMemberS{Value: k}, "n": &types.AttributeValueMemberN{Value: "1"},
			"text": &types.AttributeValueMemberS{Value: "quote \" backslash \\ Ї"},
		}})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) options(s template.Stream, h any) Options {
	if s.Name == "" {
		s.Name = "Changes"
	}
	if s.BatchSize == 0 {
		s.BatchSize = 100
	}
	s.TableLogicalID, s.StartingPosition = "Table", "TRIM_HORIZON"
	if s.Retries == 0 {
		s.Retries = -1
	}
	return Options{
		Stack: &template.Stack{
			Tables:    []template.Table{{LogicalID: "Table", Name: "the-table", StreamView: "NEW_AND_OLD_IMAGES"}},
			Functions: []template.Function{{Name: "follow", Timeout: 5 * time.Second, Streams: []template.Stream{s}}},
		},
		Functions: map[string]lambda.Handler{"follow": lambda.NewHandler(h)},
		Streams:   w.cfg, Dir: w.dir, Log: slog.New(slog.DiscardHandler),
	}
}

func (w *world) start(o Options) *Runner {
	w.t.Helper()
	r, err := Start(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(r.Stop)
	return r
}

// seen collects the keys that a function has taken.
type seen struct {
	mu   sync.Mutex
	keys []string
}

func (s *seen) add(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, keys...)
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.keys)
}

func (s *seen) wait(t *testing.T, want ...string) {
	t.Helper()
	within(t, func() bool { return slices.Equal(s.all(), want) }, func() string { return fmt.Sprintf("got %v, want %v", s.all(), want) })
}

func within(t *testing.T, ok func() bool, say func() string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(say())
		}
	}
}

func keysOf(e lambdaevents.DynamoDBEvent) []string {
	var keys []string
	for _, r := range e.Records {
		keys = append(keys, r.Change.Keys["PK"].String())
	}
	return keys
}

func numbered(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%03d", i)
	}
	return keys
}

func TestRecordsReachTheFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan lambdaevents.DynamoDBEvent, 10)
	w.start(w.options(template.Stream{}, func(ctx context.Context, e lambdaevents.DynamoDBEvent) error {
		lc, ok := lambdacontext.FromContext(ctx)
		if _, bounded := ctx.Deadline(); !ok || !bounded || lc.AwsRequestID == "" {
			return errors.New("no Lambda context")
		}
		got <- e
		return nil
	}))
	start := time.Now()
	w.put("a")
	e := <-got
	if took := time.Since(start); took > time.Second {
		t.Errorf("a record took %v", took)
	}
	if len(e.Records) != 1 {
		t.Fatalf("got %d records", len(e.Records))
	}
	r := e.Records[0]
	if r.EventName != "INSERT" || r.EventSource != "aws:dynamodb" || r.EventID == "" || r.AWSRegion == "" ||
		!strings.HasPrefix(r.EventSourceArn, "arn:aws:dynamodb:") || r.Change.SequenceNumber == "" ||
		r.Change.NewImage["text"].String() != "quote \" backslash \\ Ї" || r.Change.NewImage["n"].Number() != "1" ||
		time.Since(r.Change.ApproximateCreationDateTime.Time) > time.Minute {
		t.Errorf("got %+v", r)
	}
}

func TestOrderAndBatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := numbered(250)
	w.put(keys...)
	var s seen
	w.start(w.options(template.Stream{BatchSize: 40}, func(e lambdaevents.DynamoDBEvent) error {
		if len(e.Records) > 40 {
			return fmt.Errorf("a batch of %d", len(e.Records))
		}
		s.add(keysOf(e)...)
		return nil
	}))
	s.wait(t, keys...)
}

// A batch waits for its window, but not when it is full.
func TestWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	batches := make(chan int, 10)
	w.start(w.options(template.Stream{BatchSize: 5, Window: 600 * time.Millisecond}, func(e lambdaevents.DynamoDBEvent) error {
		batches <- len(e.Records)
		return nil
	}))
	start := time.Now()
	w.put("a", "b")
	time.Sleep(250 * time.Millisecond)
	w.put("c")
	if n := <-batches; n != 3 || time.Since(start) < 500*time.Millisecond {
		t.Errorf("%d records after %v", n, time.Since(start))
	}
	w.put(numbered(5)...)
	if n := <-batches; n != 5 {
		t.Errorf("%d records in a full batch", n)
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var s seen
	w.start(w.options(template.Stream{Filters: []string{
		`{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"T#"}]}}},"eventName":["INSERT"]}`,
		`{"dynamodb":{"Keys":{"PK":{"S":["CONFIG"]}}}}`,
	}}, func(e lambdaevents.DynamoDBEvent) error { s.add(keysOf(e)...); return nil }))
	w.put("W#1", "T#1", "CONFIG", "CONFIG2", "T#2")
	_, err := w.db.DeleteItem(t.Context(), &sdk.DeleteItemInput{TableName: aws.String("the-table"), Key: map[string]types.AttributeValue{
		"PK": &types.AttributeValueMemberS{Value: "T#1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.put("T#3")
	s.wait(t, "T#1", "CONFIG", "T#2", "T#3")
}

// What a function failed on comes again, before anything after it.
func TestRedelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := numbered(30)
	w.put(keys...)
	var s seen
	calls := 0
	w.start(w.options(template.Stream{BatchSize: 10}, func(e lambdaevents.DynamoDBEvent) error {
		if calls++; calls == 2 {
			return errors.New("not now")
		}
		if calls == 4 {
			panic("not now either")
		}
		s.add(keysOf(e)...)
		return nil
	}))
	s.wait(t, keys...)
}

func TestPartialFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := numbered(10)
	w.put(keys...)
	var s seen
	failed := map[string]bool{}
	w.start(w.options(template.Stream{ReportBatchItemFailures: true}, func(e lambdaevents.DynamoDBEvent) (lambdaevents.DynamoDBEventResponse, error) {
		var out lambdaevents.DynamoDBEventResponse
		for _, r := range e.Records {
			k := r.Change.Keys["PK"].String()
			if (k == "k003" || k == "k007") && !failed[k] {
				failed[k] = true
				out.BatchItemFailures = append(out.BatchItemFailures, lambdaevents.DynamoDBBatchItemFailure{ItemIdentifier: r.Change.SequenceNumber})
				return out, nil
			}
			s.add(k)
		}
		return out, nil
	}))
	s.wait(t, keys...)
}

// A name that is none of the batch's fails all of it, as in Lambda.
func TestPartialFailureOfNothingKnown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a", "b")
	var s seen
	calls := 0
	w.start(w.options(template.Stream{ReportBatchItemFailures: true}, func(e lambdaevents.DynamoDBEvent) (map[string]any, error) {
		s.add(keysOf(e)...)
		if calls++; calls == 1 {
			return map[string]any{"batchItemFailures": []any{map[string]any{"itemIdentifier": ""}}}, nil
		}
		return nil, nil
	}))
	s.wait(t, "a", "b", "a", "b")
}

// One bad record is found by halving, given up after its retries and stored; the others arrive in order.
func TestBisectAndGiveUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys := numbered(8)
	w.put(keys...)
	var s seen
	o := w.options(template.Stream{BisectOnError: true, Retries: 4, OnFailure: "bucket"}, func(e lambdaevents.DynamoDBEvent) error {
		if slices.Contains(keysOf(e), "k005") {
			return errors.New("poison")
		}
		s.add(keysOf(e)...)
		return nil
	})
	type object struct {
		key  string
		body []byte
	}
	stored := make(chan object, 1)
	tries := 0
	o.Failed = func(_ context.Context, key string, body []byte) error {
		if tries++; tries == 1 {
			return errors.New("the bucket is away")
		}
		stored <- object{key, body}
		return nil
	}
	w.start(o)
	s.wait(t, slices.DeleteFunc(keys, func(k string) bool { return k == "k005" })...)
	got := <-stored
	var body struct {
		RequestContext     struct{ Condition string }
		DDBStreamBatchInfo struct{ BatchSize int }
		Payload            string
	}
	var e lambdaevents.DynamoDBEvent
	if err := json.Unmarshal(got.body, &body); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(body.Payload), &e); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.key, "aws/lambda/follow-Changes/shardId-") || body.RequestContext.Condition != "RetryAttemptsExhausted" ||
		body.DDBStreamBatchInfo.BatchSize != 1 || !slices.Equal(keysOf(e), []string{"k005"}) {
		t.Errorf("stored %s: %s", got.key, got.body)
	}
}

// A start after a stop goes on where the last one was; one after a crash, which saved nothing, repeats and skips nothing.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var s seen
	o := w.options(template.Stream{}, func(e lambdaevents.DynamoDBEvent) error { s.add(keysOf(e)...); return nil })
	r := w.start(o)
	w.put("a", "b")
	s.wait(t, "a", "b")
	r.Stop()
	saved, err := os.ReadFile(filepath.Join(w.dir, "follow-Changes.json"))
	if err != nil {
		t.Fatal(err)
	}
	w.put("c")
	r = w.start(o)
	w.put("d")
	s.wait(t, "a", "b", "c", "d")
	r.Stop()
	if err := os.WriteFile(filepath.Join(w.dir, "follow-Changes.json"), saved, 0o600); err != nil {
		t.Fatal(err)
	}
	w.put("e")
	r = w.start(o)
	s.wait(t, "a", "b", "c", "d", "c", "d", "e")
	r.Stop()
	// The table made anew has another stream, which is read from its beginning.
	if _, err := w.db.DeleteTable(t.Context(), &sdk.DeleteTableInput{TableName: aws.String("the-table")}); err != nil {
		t.Fatal(err)
	}
	w.createTable()
	w.put("f")
	w.start(o)
	s.wait(t, "a", "b", "c", "d", "c", "d", "e", "f")
}

// A stop does not wait for a function's time to run out, and what was under way comes again.
func TestStopWhileWorking(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("a")
	began := make(chan bool, 10)
	o := w.options(template.Stream{}, func(ctx context.Context, _ lambdaevents.DynamoDBEvent) error {
		began <- true
		<-ctx.Done()
		return ctx.Err()
	})
	r := w.start(o)
	<-began
	start := time.Now()
	r.Stop()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the stop took %v", took)
	}
	var s seen
	w.start(w.options(template.Stream{}, func(e lambdaevents.DynamoDBEvent) error { s.add(keysOf(e)...); return nil }))
	s.wait(t, "a")
}

func TestTumblingWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan lambdaevents.DynamoDBTimeWindowEvent, 100)
	w.start(w.options(template.Stream{TumblingWindow: 2 * time.Second}, func(e lambdaevents.DynamoDBTimeWindowEvent) (lambdaevents.DynamoDBTimeWindowEventResponse, error) {
		got <- e
		state := map[string]string{"calls": e.State["calls"] + "x"}
		return lambdaevents.DynamoDBTimeWindowEventResponse{TimeWindowEventResponseProperties: lambdaevents.TimeWindowEventResponseProperties{State: state}}, nil
	}))
	w.put("a")
	calls := ""
	for n := 0; ; n++ {
		e := <-got
		if e.ShardID == "" || !strings.HasPrefix(e.EventSourceARN, "arn:aws:dynamodb:") || e.State["calls"] != calls ||
			e.Window.End.Sub(e.Window.Start.Time) != 2*time.Second || e.IsWindowTerminatedEarly {
			t.Fatalf("call %d: got %+v", n, e)
		}
		calls += "x"
		if e.IsFinalInvokeForWindow {
			if n == 0 || len(e.Records) != 0 {
				t.Errorf("the last call: %+v", e)
			}
			break
		}
	}
	w.put("b")
	if e := <-got; len(e.State) != 0 || e.IsFinalInvokeForWindow {
		t.Errorf("the next window: %+v", e)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handler := func() error { return nil }
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"filter", func(o *Options) { o.Stack.Functions[0].Streams[0].Filters = []string{`{"a":[{"numeric":[">",1]}]}`} }, "is not understood here"},
		{"table", func(o *Options) { o.Stack.Functions[0].Streams[0].TableLogicalID = "Other" }, "Other is not a table"},
		{"no stream", func(o *Options) { o.Stack.Tables[0].StreamView = "" }, "has no stream"},
		{"position", func(o *Options) { o.Stack.Functions[0].Streams[0].StartingPosition = "LATEST" }, "TRIM_HORIZON"},
		{"handler", func(o *Options) { o.Functions = nil }, "has no handler"},
		{"period", func(o *Options) { o.Stack.Functions[0].Schedules = []template.Schedule{{Name: "s"}} }, "no period"},
		{"input", func(o *Options) {
			o.Stack.Functions[0].Schedules = []template.Schedule{{Name: "s", Every: time.Minute, Input: "{"}}
		}, "not JSON"},
		{"places", func(o *Options) {
			if err := os.WriteFile(filepath.Join(o.Dir, "follow-Changes.json"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is damaged"},
	} {
		o := w.options(template.Stream{}, handler)
		o.Dir = t.TempDir()
		tt.change(&o)
		if r, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			if r != nil {
				r.Stop()
			}
		}
	}
}
