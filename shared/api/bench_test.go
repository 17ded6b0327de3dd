package api

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/bloom-runtime/bloom/shared/task"
)

// BenchmarkEntry is a function without its stores: the event becomes a request,
// is decoded and checked, and the answer encoded.
func BenchmarkEntry(b *testing.B) {
	t := task.Task{
		ID: "0197c0de-0000-7000-8000-000000000000", ContextID: "ctx", AgentSlug: "default", Prompt: strings.Repeat("p", 256),
		ContextHints: []string{}, Policy: task.Policy{TimeoutSec: 120}, DesiredFormat: task.Text, Status: task.Running,
		CreatedAt: 1_700_000_000_000, UpdatedAt: 1_700_000_000_000, LeaseID: "lease", WorkerID: "worker", MaxAttempts: 3,
	}
	complete := handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		p, err := readReport(in)
		if err != nil {
			return response{}, err
		}
		a := task.Artifact{ID: "artifact", TaskID: r.PathValue("id"), Type: p.Type, Tags: p.Tags, RequestHash: p.hash()}
		return response{http.StatusOK, completeView{viewTask(t), viewArtifact(a), viewResult(a, p.Output)}.fit(viewTask(t)), ""}, nil
	})
	create := handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		if _, err := readSpec(in); err != nil {
			return response{}, err
		}
		return response{http.StatusCreated, viewTask(t), ""}, nil
	})
	b.Run("create", func(b *testing.B) {
		benchEntry(b, create, "/api/runtime/llm-tasks", `{"context_id":"bench","agent_slug":"default","prompt":"`+t.Prompt+`"}`)
	})
	b.Run("complete", func(b *testing.B) {
		benchEntry(b, complete, "/api/runtime/llm-tasks/{id}/complete", `{"lease_id":"0197c0de-0000-7000-8000-000000000000.1","status":"success","output":"`+
			strings.Repeat("o", 1024)+`","metrics":{"duration_ms":1000,"tokens_used":300}}`)
	})
}

func benchEntry(b *testing.B, h http.Handler, resource, body string) {
	entry := NewEntry(h)
	headers := map[string]string{
		"Accept-Encoding": "gzip", "Content-Type": "application/json", "Host": "127.0.0.1:8443", "User-Agent": "Go-http-client/1.1",
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https",
	}
	e := events.APIGatewayProxyRequest{
		Resource: resource, HTTPMethod: "POST", Headers: headers, MultiValueHeaders: map[string][]string{}, Body: body,
		PathParameters: map[string]string{"id": "0197c0de-0000-7000-8000-000000000000"},
	}
	for name, v := range headers {
		e.MultiValueHeaders[name] = []string{v}
	}
	b.ReportAllocs()
	started := cpuTime(b)
	for b.Loop() {
		if resp, err := entry(context.Background(), e); err != nil || resp.StatusCode >= 300 {
			b.Fatal(resp, err)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-started).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// cpuTime is what this process has used so far.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
