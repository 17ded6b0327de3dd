package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/provision"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/jobs"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// TestSweepMovesOnWhatLapsed runs the scheduled function with a deadline that
// leaves time for one look.
func TestSweepMovesOnWhatLapsed(t *testing.T) {
	t.Parallel()
	store, err := dynamodb.Open(t.TempDir(), dynamodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	cfg := awsconf.Build("us-east-1", "http://dynamodb.local", "", "", "", store.HTTPClient())
	stack, err := template.Load("../../template.yaml", template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := provision.Table(t.Context(), cfg, stack.Tables[0]); err != nil {
		t.Fatal(err)
	}
	now := clock.System()
	table := dynamo.Open(cfg, dynamo.Settings{Name: stack.Tables[0].Name, Partitions: 2, Now: func() clock.Millis { return now }})
	if _, _, err := table.RegisterWorker(t.Context(), worker.Registration{Name: "w", Status: worker.Online,
		Capabilities: worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1}}, "tester"); err != nil {
		t.Fatal(err)
	}
	s := task.New(dynamo.NewID(), task.Spec{ContextID: "c", AgentSlug: "a", Prompt: "p", MaxAttempts: 3}, now)
	if err := table.CreateTask(t.Context(), s, "tester"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := table.Lease(t.Context(), dynamo.LeaseRequest{TaskID: s.To.ID, TTL: time.Second}, "tester"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := jobs.Sweep(table)(ctx); err != nil {
		t.Fatal(err)
	}
	k, err := table.Task(t.Context(), s.To.ID)
	if err != nil || k.Status != task.Queued {
		t.Errorf("%+v %v", k, err)
	}
}
