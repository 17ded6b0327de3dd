package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/bloom-runtime/bloom/local/stacktest"
	"golang.org/x/sync/errgroup"
)

const (
	tasks   = "/api/runtime/llm-tasks"
	workers = "/api/runtime/workers"
)

var (
	prompt = strings.Repeat("p", 256)
	output = strings.Repeat("o", 1024)
	create = fmt.Sprintf(`{"context_id":"bench","agent_slug":"default","prompt":"%s"}`, prompt)
)

// lifecycle registers a worker for each of n clients and returns the unit of
// work: create → lease → heartbeat → complete.
func lifecycle(ctx context.Context, c *stacktest.Client, n int) (func(context.Context, int) error, error) {
	for i := range n {
		body := fmt.Sprintf(`{"name":"%s","status":"online","capabilities":{"max_concurrency":4}}`, worker(i))
		if resp, err := c.Do(ctx, "POST", workers, body); err != nil || resp.Status >= 300 {
			return nil, fmt.Errorf("register: %w %s", err, resp)
		}
	}
	return func(ctx context.Context, client int) error {
		var task stacktest.Task
		if err := post(ctx, c, tasks, create, http.StatusCreated, &task); err != nil {
			return err
		}
		var got stacktest.Granted
		if err := post(ctx, c, tasks+"/"+task.ID+"/lease", `{"worker_id":"`+worker(client)+`"}`, http.StatusCreated, &got); err != nil {
			return err
		}
		var beat stacktest.Beat
		if err := post(ctx, c, tasks+"/"+task.ID+"/heartbeat", `{"lease_id":"`+got.Lease.ID+`"}`, http.StatusOK, &beat); err != nil {
			return err
		}
		var done stacktest.Completed
		body := `{"lease_id":"` + got.Lease.ID + `","status":"success","output":"` + output + `","metrics":{"duration_ms":1000,"tokens_used":300}}`
		return post(ctx, c, tasks+"/"+task.ID+"/complete", body, http.StatusOK, &done)
	}, nil
}

func worker(client int) string { return fmt.Sprintf("bench-%d", client) }

// post sends a request, demands a status and decodes the answer.
func post(ctx context.Context, c *stacktest.Client, path, body string, status int, into any) error {
	resp, err := c.Do(ctx, "POST", path, body)
	if err != nil {
		return err
	}
	if resp.Status != status {
		return fmt.Errorf("POST %s: want %d, got %s", path, status, resp)
	}
	return resp.Decode(into)
}

// store creates n tasks that stay queued.
func store(ctx context.Context, c *stacktest.Client, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(32)
	for range n {
		g.Go(func() error {
			var task stacktest.Task
			return post(ctx, c, tasks, create, http.StatusCreated, &task)
		})
	}
	return g.Wait()
}
