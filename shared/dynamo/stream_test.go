package dynamo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

// records reads the whole stream of the table, as the events that Lambda gives.
func (r *rig) records() []dynamo.Record {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	table, err := awsdynamodb.NewFromConfig(r.cfg).DescribeTable(ctx, &awsdynamodb.DescribeTableInput{TableName: &r.name})
	if err != nil {
		r.t.Fatal(err)
	}
	streams := dynamodbstreams.NewFromConfig(r.cfg)
	d, err := streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: table.Table.LatestStreamArn})
	if err != nil {
		r.t.Fatal(err)
	}
	var records []dynamo.Record
	for _, shard := range d.StreamDescription.Shards {
		it, err := streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{StreamArn: table.Table.LatestStreamArn,
			ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon})
		if err != nil {
			r.t.Fatal(err)
		}
		for next := it.ShardIterator; next != nil; {
			out, err := streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: next})
			if err != nil {
				r.t.Fatal(err)
			}
			if len(out.Records) == 0 {
				break
			}
			for _, rec := range out.Records {
				records = append(records, r.read(rec))
			}
			next = out.NextShardIterator
		}
	}
	return records
}

// read takes a record through the JSON in which Lambda gets it.
func (r *rig) read(rec streamtypes.Record) dynamo.Record {
	r.t.Helper()
	change := map[string]any{"Keys": wire(rec.Dynamodb.Keys), "SequenceNumber": rec.Dynamodb.SequenceNumber}
	if rec.Dynamodb.OldImage != nil {
		change["OldImage"] = wire(rec.Dynamodb.OldImage)
	}
	if rec.Dynamodb.NewImage != nil {
		change["NewImage"] = wire(rec.Dynamodb.NewImage)
	}
	text, err := json.Marshal(map[string]any{"shardId": "shard", "Records": []any{
		map[string]any{"eventID": rec.EventID, "eventName": rec.EventName, "dynamodb": change}}})
	if err != nil {
		r.t.Fatal(err)
	}
	e, err := dynamo.ReadStreamEvent(text)
	if err != nil || len(e.Records) != 1 || e.ShardID != "shard" {
		r.t.Fatalf("%+v, %v", e, err)
	}
	return e.Records[0]
}

func wire(i map[string]streamtypes.AttributeValue) map[string]any {
	out := map[string]any{}
	for n, v := range i {
		out[n] = wireValue(v)
	}
	return out
}

func wireValue(v streamtypes.AttributeValue) any {
	switch v := v.(type) {
	case *streamtypes.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *streamtypes.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *streamtypes.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *streamtypes.AttributeValueMemberSS:
		return map[string]any{"SS": v.Value}
	case *streamtypes.AttributeValueMemberM:
		return map[string]any{"M": wire(v.Value)}
	case *streamtypes.AttributeValueMemberL:
		l := make([]any, len(v.Value))
		for n, e := range v.Value {
			l[n] = wireValue(e)
		}
		return map[string]any{"L": l}
	default:
		panic(fmt.Sprintf("the table has no attribute of type %T", v))
	}
}

func TestCountersAndAuditFollowTheStreamExactlyOnce(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 3)
	r.register("w", 4)
	done, running := r.create("x"), r.create("x")
	r.create("x")
	if err := r.complete(r.lease(done.ID, "w")); err != nil {
		t.Fatal(err)
	}
	l := r.lease(running.ID, "w")
	for range 3 {
		if _, err := r.Heartbeat(t.Context(), running.ID, l.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.SaveConfig(t.Context(), "http://membridge", "abcd****wxyz", "tester"); err != nil {
		t.Fatal(err)
	}
	all := r.records()
	for _, batch := range [][]dynamo.Record{all[:3], all[:7], all[5:], all, all[2:4]} { // as an at-least-once delivery may
		if err := r.Follow(t.Context(), "shard-1", batch); err != nil {
			t.Fatal(err)
		}
	}
	s, err := r.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := dynamo.Stats{Tasks: 3, Leases: 2, ActiveLeases: 1, Workers: 1, OnlineWorkers: 1}
	for status, n := range map[task.Status]int64{task.Queued: 1, task.Running: 1, task.Completed: 1, task.Leased: 0} {
		if s.TasksByStatus[status] != n {
			t.Errorf("%d tasks are %s, want %d", s.TasksByStatus[status], status, n)
		}
	}
	if s.TasksByStatus = nil; fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("stats %+v, want %+v", s, want)
	}
	actions := map[string]int{}
	for _, e := range walk(t, 3, r.Audit) {
		actions[e.Action]++
		if e.Action == "task_completed" && (e.Actor != "w" || e.EntityType != "llm_task" || e.EntityID != done.ID) {
			t.Errorf("entry %+v", e)
		}
	}
	for action, n := range map[string]int{"task_created": 3, "task_leased": 2, "task_completed": 1, "worker_registered": 1,
		"worker_updated": 1, "config_updated": 1} {
		if actions[action] != n {
			t.Errorf("%d entries %s, want %d", actions[action], action, n)
		}
	}
	if len(actions) != 6 {
		t.Errorf("entries %v", actions)
	}
}

func TestRemovalIsAudited(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("w", 1)
	r.lease(r.create("x").ID, "w")
	if err := r.RemoveWorker(t.Context(), "w", "tester"); err != nil {
		t.Fatal(err)
	}
	if err := r.Follow(t.Context(), "shard-1", r.records()); err != nil {
		t.Fatal(err)
	}
	s, err := r.Stats(t.Context())
	if err != nil || s.Workers != 0 || s.OnlineWorkers != 0 || s.ActiveLeases != 0 || s.TasksByStatus[task.Queued] != 1 {
		t.Errorf("stats %+v %v", s, err)
	}
	found := map[string]bool{}
	for _, e := range walk(t, 50, r.Audit) {
		found[e.Action+" by "+e.Actor] = true
	}
	for _, want := range []string{"worker_removed by tester", "task_requeued by tester"} {
		if !found[want] {
			t.Errorf("no entry %q among %v", want, found)
		}
	}
}

// TestUnits measures what one lifecycle costs and holds the budget of
// infra/docs/access-patterns.md. DynamoDB Local does not count transactions as
// AWS does, so that only the embedded server's figures are held.
func TestUnits(t *testing.T) {
	t.Parallel()
	r := open(t)
	r.register("worker-01", 1)
	meter := r.meter()
	prompt := make([]byte, 256)
	for n := range prompt {
		prompt[n] = 'p'
	}
	s := task.New(dynamo.NewID(), task.Spec{ContextID: dynamo.NewID(), AgentSlug: "researcher", Prompt: string(prompt),
		MaxAttempts: 3, DesiredFormat: task.Text, Policy: task.Policy{TimeoutSec: 120}}, r.clock.now())
	if err := r.CreateTask(t.Context(), s, "admin"); err != nil {
		t.Fatal(err)
	}
	meter.step("create")
	l := r.lease(s.To.ID, "")
	meter.step("lease")
	if _, err := r.Heartbeat(t.Context(), s.To.ID, l.ID); err != nil {
		t.Fatal(err)
	}
	meter.step("heartbeat")
	if err := r.complete(l); err != nil {
		t.Fatal(err)
	}
	meter.step("complete")
	if err := r.Follow(t.Context(), "shard-1", r.records()[1:]); err != nil { // without the registration
		t.Fatal(err)
	}
	meter.step("audit and counters")
	t.Logf("\n%s", meter)
	sum := meter.total()
	r.claim("worker-01", 1)
	idle := meter.step("idle claim")
	if os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") != "" {
		return
	}
	if sum.WriteBase+sum.WriteIndex > 36 || sum.Read > 10 {
		t.Errorf("a lifecycle costs %+v, budget 36 write and 10 read units", sum)
	}
	if idle.WriteBase > 0 || idle.Read > 4 {
		t.Errorf("an idle claim costs %+v, budget 4 read units", idle)
	}
}

// An event that is not whole is refused wherever it ends.
func TestBrokenStreamEvent(t *testing.T) {
	t.Parallel()
	const image = `{"PK":{"S":"T#1"},"status":{"S":"que\"ued"},"n":{"N":"1"},"change":{"M":{"id":{"S":"c"},"at":{"N":"5"}}}}`
	const whole = `{"Records":[{"eventID":"1","dynamodb":{"Keys":{"PK":{"S":"T#1"},"SK":{"S":"T"}},"NewImage":` + image + `,"SequenceNumber":"7"}}],"shardId":"s","state":{"a":1}}`
	e, err := dynamo.ReadStreamEvent([]byte(whole))
	if err != nil || len(e.Records) != 1 || string(e.State) != `{"a":1}` || e.ShardID != "s" {
		t.Fatalf("%+v, %v", e, err)
	}
	if a, ok := e.Records[0].Audit(); !ok || a.ID != "c" || a.Timestamp != 5 || a.EntityType != "llm_task" || a.EntityID != "1" {
		t.Errorf("audit %+v, %v", a, ok)
	}
	for n := range len(whole) {
		if _, err := dynamo.ReadStreamEvent([]byte(whole[:n])); err == nil {
			t.Errorf("%s: no error", whole[:n])
		}
	}
	for _, bad := range []string{
		`[]`, `null`, `{"Records":{}}`, `{"Records":[1]}`, `{"Records":[{}]}`, `{"Records":[{"dynamodb":{"SequenceNumber":"1"}}]}`,
		`{"Records":[{"dynamodb":{"Keys":{"PK":{"S":"T#1"},"SK":{"S":"T"}}}}]}`, `{"Records":[{"dynamodb":{"Keys":3}}]}`,
	} {
		if _, err := dynamo.ReadStreamEvent([]byte(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}
