package dynamo_test

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/provision"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// The tests run against the embedded store, or against the server that
// AWS_ENDPOINT_URL_DYNAMODB names: AWS's DynamoDB Local, in CI. BLOOM_FAULTS turns
// on faults of the embedded store; those that make reads lag are not for them.

// hands is a clock that a test sets.
type hands struct{ ms atomic.Int64 }

func (h *hands) now() clock.Millis       { return clock.Millis(h.ms.Load()) }
func (h *hands) advance(d time.Duration) { h.ms.Add(d.Milliseconds()) }

// rig is a table of its own, and its clock.
type rig struct {
	*dynamo.Table
	clock *hands
	cfg   aws.Config
	name  string
	t     testing.TB
}

func open(t testing.TB) *rig {
	t.Helper()
	return openOn(t, server(t))
}

func openOn(t testing.TB, server aws.Config) *rig {
	t.Helper()
	r := &rig{clock: &hands{}, cfg: server, name: "bloom-" + dynamo.NewID(), t: t}
	r.clock.ms.Store(1_800_000_000_000)
	stack, err := template.Load("../../template.yaml", template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	model := stack.Tables[0]
	model.Name = r.name
	db := awsdynamodb.NewFromConfig(r.cfg)
	if err := provision.Table(t.Context(), r.cfg, model); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if _, err := db.DeleteTable(ctx, &awsdynamodb.DeleteTableInput{TableName: &r.name}); err != nil {
			t.Errorf("delete the table: %v", err)
		}
	})
	r.Table = r.another(2)
	return r
}

// another is a second client of the same table.
func (r *rig) another(partitions int) *dynamo.Table {
	return dynamo.Open(r.cfg, dynamo.Settings{Name: r.name, Partitions: partitions,
		Retention: 24 * time.Hour, Now: r.clock.now})
}

func server(t testing.TB) aws.Config {
	t.Helper()
	if url := os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"); url != "" {
		return awsconf.Build("us-east-1", url, "test", "test", "", nil)
	}
	faults, err := dynamodb.ParseFaults(os.Getenv("BLOOM_FAULTS"))
	if err != nil {
		t.Fatal(err)
	}
	return embedded(t, faults)
}

func embedded(t testing.TB, faults dynamodb.Faults) aws.Config {
	t.Helper()
	s, err := dynamodb.Open(t.TempDir(), dynamodb.Options{Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return awsconf.Build("us-east-1", "http://dynamodb.local", "", "", "", s.HTTPClient())
}

// create stores a queued task.
func (r *rig) create(contextID string) task.Task {
	r.t.Helper()
	s := task.New(dynamo.NewID(), task.Spec{ContextID: contextID, AgentSlug: "agent", Prompt: "hello", MaxAttempts: 3,
		DesiredFormat: task.Text, Policy: task.Policy{TimeoutSec: 120}}, r.clock.now())
	if err := r.CreateTask(r.t.Context(), s, "tester"); err != nil {
		r.t.Fatal(err)
	}
	return s.To
}

func (r *rig) register(name string, limit int) worker.Worker {
	r.t.Helper()
	w, _, err := r.RegisterWorker(r.t.Context(), worker.Registration{Name: name, Status: worker.Online,
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: limit, Labels: []string{}}, IPAddrs: []string{}}, "tester")
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *rig) lease(taskID, workerID string) task.Lease {
	r.t.Helper()
	l, _, err := r.Lease(r.t.Context(), dynamo.LeaseRequest{TaskID: taskID, WorkerID: workerID, TTL: time.Minute}, "tester")
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// complete reports success for a lease.
func (r *rig) complete(l task.Lease) error {
	k, err := r.Task(r.t.Context(), l.TaskID)
	if err != nil {
		return err
	}
	s, err := task.Complete(k, l.ID, r.clock.now())
	if err != nil {
		return err
	}
	return r.Report(r.t.Context(), s, artifact(s), l.WorkerID)
}

func artifact(s task.Step) task.Artifact {
	return task.Artifact{TaskID: s.Lease.TaskID, LeaseID: s.Lease.ID, N: s.Lease.N, WorkerID: s.Lease.WorkerID,
		Type: "LLM_RESULT", CreatedAt: s.To.UpdatedAt, URL: "artifacts/" + s.Lease.TaskID + ".1." + sha256OfNothing,
		SHA256: sha256OfNothing, Size: 1024, ResultID: dynamo.NewID(), Outcome: task.Success,
		Metrics: task.Metrics{DurationMS: 12}, RequestHash: sha256OfNothing, After: task.StateAfter(s.To)}
}

const sha256OfNothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func (r *rig) task(id string) task.Task {
	r.t.Helper()
	k, err := r.Task(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return k
}

func (r *rig) worker(id string) worker.Worker {
	r.t.Helper()
	w, err := r.Worker(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("got %v, want %s", err, code)
	}
}
