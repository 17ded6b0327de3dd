package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"

	ddb "github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/gateway"
	"github.com/bloom-runtime/bloom/local/objects"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/api"
	"github.com/bloom-runtime/bloom/shared/auth"
	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/jobs"
	"github.com/bloom-runtime/bloom/shared/link"
	"github.com/bloom-runtime/bloom/shared/secret"
)

// stores say where the functions find what they keep.
type stores struct {
	dynamodb, s3, secrets aws.Config
	// publicS3 is the URL under which clients reach the bucket; "" = where s3 says.
	publicS3 string
	// table and objects are the embedded servers; nil = elsewhere.
	table   *ddb.Server
	objects *objects.Server
}

// environment is what a function is made from: its variables, as the template gives them, and the stores.
type environment struct {
	variables map[string]string
	stores    stores
}

func (e environment) get(name string) string { return e.variables[name] }

func (e environment) table() (*dynamo.Table, error) {
	s, err := dynamo.ReadSettings(e.get)
	if err != nil {
		return nil, err
	}
	return dynamo.Open(e.stores.dynamodb, s), nil
}

func (e environment) bucket() (*blob.Bucket, error) {
	return blob.Open(blob.Config{Name: e.get("BUCKET_NAME"), AWS: e.stores.s3, PublicEndpoint: e.stores.publicS3})
}

func (e environment) link() link.Link { return link.Open(e.stores.secrets, e.get) }

func (e environment) membridge() api.Membridge { return api.NewMembridge(e.link()) }

// functions makes every function of the template that one machine runs. The keys are the folders of functions/.
var functions = map[string]func(environment) (any, error){
	"authorize": func(e environment) (any, error) {
		secrets, name := secret.Open(e.stores.secrets), e.get("RUNTIME_API_KEY_SECRET")
		return auth.NewAuthorizer(func(ctx context.Context) (string, error) { return secrets.Get(ctx, name) }), nil
	},

	"health":          withTable(func(t *dynamo.Table) any { return api.NewEntry(api.Health(t, clock.System)) }),
	"get-config":      withTable(func(t *dynamo.Table) any { return api.NewEntry(api.GetConfig(t)) }),
	"list-workers":    withTable(func(t *dynamo.Table) any { return api.NewEntry(api.ListWorkers(t)) }),
	"get-worker":      withTable(func(t *dynamo.Table) any { return api.NewEntry(api.GetWorker(t)) }),
	"register-worker": withTable(func(t *dynamo.Table) any { return api.NewEntry(api.RegisterWorker(t)) }),
	"remove-worker":   withTable(func(t *dynamo.Table) any { return api.NewEntry(api.RemoveWorker(t)) }),
	"list-tasks":      withTable(func(t *dynamo.Table) any { return api.NewEntry(api.ListTasks(t)) }),
	"list-runs":       withTable(func(t *dynamo.Table) any { return api.NewEntry(api.ListRuns(t)) }),
	"list-leases":     withTable(func(t *dynamo.Table) any { return api.NewEntry(api.ListLeases(t)) }),
	"list-artifacts":  withTable(func(t *dynamo.Table) any { return api.NewEntry(api.ListArtifacts(t)) }),
	"list-audit":      withTable(func(t *dynamo.Table) any { return api.NewEntry(api.ListAudit(t)) }),
	"get-stats":       withTable(func(t *dynamo.Table) any { return api.NewEntry(api.GetStats(t)) }),
	"lease-task":      withTable(func(t *dynamo.Table) any { return api.NewEntry(api.LeaseTask(t)) }),
	"dispatch-task":   withTable(func(t *dynamo.Table) any { return api.NewEntry(api.DispatchTask(t)) }),
	"heartbeat-task":  withTable(func(t *dynamo.Table) any { return api.NewEntry(api.HeartbeatTask(t)) }),

	"create-task":   withBucket(func(t *dynamo.Table, b *blob.Bucket) any { return api.NewEntry(api.CreateTask(t, b, clock.System)) }),
	"complete-task": withBucket(func(t *dynamo.Table, b *blob.Bucket) any { return api.NewEntry(api.CompleteTask(t, b, clock.System)) }),
	"get-task":      withBucket(func(t *dynamo.Table, b *blob.Bucket) any { return api.NewEntry(api.GetTask(t, b)) }),
	"requeue-task":  withBucket(func(t *dynamo.Table, b *blob.Bucket) any { return api.NewEntry(api.RequeueTask(t, b)) }),
	"claim-tasks":   withBucket(func(t *dynamo.Table, b *blob.Bucket) any { return api.NewEntry(api.ClaimTasks(t, b)) }),
	"get-artifact":  withBucket(func(t *dynamo.Table, b *blob.Bucket) any { return api.NewEntry(api.GetArtifact(t, b)) }),

	"save-config": func(e environment) (any, error) {
		t, err := e.table()
		return api.NewEntry(api.SaveConfig(t, e.membridge())), err
	},
	"test-connection": func(e environment) (any, error) {
		t, err := e.table()
		return api.NewEntry(api.TestConnection(t, e.membridge())), err
	},

	"get-membridge-health": withMembridge(api.GetMembridgeHealth),
	"list-projects":        withMembridge(api.ListProjects),
	"get-leadership":       withMembridge(api.GetLeadership),
	"list-nodes":           withMembridge(api.ListNodes),
	"select-leadership": func(e environment) (any, error) {
		t, err := e.table()
		return api.NewEntry(api.SelectLeadership(t, e.membridge())), err
	},

	"sync-workers": func(e environment) (any, error) {
		t, err := e.table()
		return jobs.SyncWorkers(t, e.link()).Run, err
	},
	"sweep-leases":   withTable(func(t *dynamo.Table) any { return jobs.Sweep(t) }),
	"follow-changes": withTable(func(t *dynamo.Table) any { return jobs.Follow(t) }),
}

// cloudOnly are the functions that serve the stack itself while CloudFormation makes it.
var cloudOnly = map[string]bool{"per-second": true}

func withTable(make func(*dynamo.Table) any) func(environment) (any, error) {
	return func(e environment) (any, error) {
		t, err := e.table()
		if err != nil {
			return nil, err
		}
		return make(t), nil
	}
}

func withMembridge(make func(api.Membridge) http.Handler) func(environment) (any, error) {
	return func(e environment) (any, error) { return api.NewEntry(make(e.membridge())), nil }
}

func withBucket(make func(*dynamo.Table, *blob.Bucket) any) func(environment) (any, error) {
	return func(e environment) (any, error) {
		b, err := e.bucket()
		if err != nil {
			return nil, err
		}
		return withTable(func(t *dynamo.Table) any { return make(t, b) })(e)
	}
}

// buildFunctions makes the handlers of the template's functions, each from its own variables.
func buildFunctions(stack *template.Stack, at stores) (map[string]lambda.Handler, error) {
	handlers := make(map[string]lambda.Handler, len(stack.Functions))
	for _, f := range stack.Functions {
		if cloudOnly[f.Name] {
			continue
		}
		build, ok := functions[f.Name]
		if !ok {
			return nil, fmt.Errorf("the template's function %s is not one this program has", f.Name)
		}
		fn, err := build(environment{f.Env, at})
		if err != nil {
			return nil, fmt.Errorf("the template's function %s cannot be made: %w", f.Name, err)
		}
		handlers[f.Name] = gateway.NewHandler(fn)
	}
	return handlers, nil
}
