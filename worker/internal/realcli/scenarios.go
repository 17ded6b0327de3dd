//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// task is what is submitted, and what must become of it.
type task struct {
	name     string
	prompt   string
	format   string // "" = text
	timeout  int    // seconds; 0 = 60
	attempts int    // max_attempts; 0 = 1

	status string
	tries  int    // attempts at the end; 0 = 1
	output string // of a completed task
	within time.Duration
}

func scenarios() []task {
	long := strings.Repeat("x", 4<<20)
	return []task{
		{name: "a prompt", prompt: "hello, привіт\nsecond line", status: "completed", output: "stand-in: hello, привіт\nsecond line"},
		{name: "JSON", prompt: `messages-api: answer {"ok":true}`, format: "json", status: "completed", output: `{"ok":true}`},
		{name: "an answer of 4 MiB", prompt: fmt.Sprintf("messages-api: bytes %d", len(long)), status: "completed", output: long},
		{name: "an answer over the limit", prompt: "messages-api: bytes 5300000", attempts: 3, status: "failed"},
		{name: "a request that the API refuses", prompt: "messages-api: status 400", attempts: 3, status: "failed"},
		{name: "a busy API", prompt: "messages-api: status 529", attempts: 2, status: "dead", tries: 2},
		{name: "a rate limit", prompt: "messages-api: status 429 1", attempts: 1, status: "dead"},
		{name: "a time limit", prompt: "messages-api: wait 2m", timeout: 2, attempts: 1, status: "dead", within: 15 * time.Second},
		{name: "a run longer than the lease", prompt: "messages-api: wait 13s", status: "completed", output: "stand-in: messages-api: wait 13s"},
	}
}

// scenarios submits all tasks and checks each.
func (r *run) scenarios(ctx context.Context) error {
	all := scenarios()
	ids := make([]string, len(all))
	for n, t := range all {
		id, err := r.submit(ctx, t)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		ids[n] = id
	}
	for n, t := range all {
		if err := r.verify(ctx, ids[n], t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		fmt.Printf("realcli: %s: %s\n", t.name, t.status)
	}
	if r.model.Streams() == 0 {
		return fmt.Errorf("the CLI made %d calls and none as an event stream", r.model.Calls())
	}
	return nil
}

func (r *run) submit(ctx context.Context, t task) (string, error) {
	body := map[string]any{
		"context_id": "realcli", "agent_slug": "realcli", "prompt": t.prompt,
		"desired_format": or(t.format, "text"), "max_attempts": or(t.attempts, 1),
		"policy": map[string]any{"timeout_sec": or(t.timeout, 60)},
	}
	made, err := ask[stacktest.Task](ctx, r, http.MethodPost, "/api/runtime/llm-tasks", http.StatusCreated, body)
	return made.ID, err
}

func (r *run) verify(ctx context.Context, id string, want task) error {
	t, err := r.await(ctx, id, want.status)
	if err != nil {
		return err
	}
	if t.Attempts != or(want.tries, 1) {
		return fmt.Errorf("%d attempts", t.Attempts)
	}
	if took := time.Duration(t.UpdatedAt-t.CreatedAt) * time.Millisecond; want.within > 0 && took > want.within {
		return fmt.Errorf("took %v", took)
	}
	if want.status != "completed" {
		return nil
	}
	all, err := stacktest.All[stacktest.Artifact](ctx, r.api, "/api/runtime/artifacts?task_id="+id)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("%d artifacts", len(all))
	}
	a, err := get[stacktest.Artifact](ctx, r, "/api/runtime/artifacts/"+all[0].ID)
	if err != nil {
		return err
	}
	output, err := stacktest.Download(ctx, r.api, a)
	if err != nil {
		return err
	}
	if string(output) != want.output {
		return fmt.Errorf("the output is %.200q (%d bytes)", output, len(output))
	}
	return nil
}

// await waits until the task has a status; another final one is an error.
func (r *run) await(ctx context.Context, id, status string) (stacktest.Task, error) {
	for {
		t, err := get[stacktest.Task](ctx, r, "/api/runtime/llm-tasks/"+id)
		if err != nil || t.Status == status {
			return t, err
		}
		switch t.Status {
		case "completed", "failed", "dead", "cancelled":
			return t, fmt.Errorf("the task is %s, not %s", t.Status, status)
		}
		select {
		case <-ctx.Done():
			return t, fmt.Errorf("the task is still %s, not %s", t.Status, status)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func get[T any](ctx context.Context, r *run, path string) (T, error) {
	return ask[T](ctx, r, http.MethodGet, path, http.StatusOK, nil)
}

func ask[T any](ctx context.Context, r *run, method, path string, status int, body any) (T, error) {
	var out T
	res, err := r.api.Do(ctx, method, path, body)
	if err != nil {
		return out, err
	}
	if res.Status != status {
		return out, fmt.Errorf("%s %s: %s", method, path, res)
	}
	return out, json.Unmarshal(res.Body, &out)
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
