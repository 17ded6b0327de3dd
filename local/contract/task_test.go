package contract

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

func taskRoutes(t *testing.T, c *stacktest.Client) {
	t.Run("defaults", func(t *testing.T) {
		before := time.Now().UnixMilli()
		resp := ask(t, c, "POST", tasks, taskBody())
		wantShape(t, resp, http.StatusCreated, obj(taskShape.also(shape{
			"context_id": is("ctx"), "agent_slug": is("default"), "prompt": is("Say hello"), "context_hints": is([]string{}),
			"policy": obj(shape{"timeout_sec": is(120), "budget": is(0)}), "desired_format": is("text"), "status": is("queued"),
			"lease_id": null, "worker_id": null, "attempts": is(0), "max_attempts": is(3),
		})))
		var task stacktest.Task
		if err := resp.Decode(&task); err != nil {
			t.Fatal(err)
		}
		if d := task.CreatedAt - before; d < -1000 || d > 10_000 || task.UpdatedAt != task.CreatedAt {
			t.Errorf("created_at is %d ms from the request, updated_at %d", d, task.UpdatedAt)
		}
		again := ask(t, c, "GET", tasks+"/"+task.ID, nil)
		wantShape(t, again, http.StatusOK, obj(taskShape))
		wantSameJSON(t, resp.Body, again.Body)
	})
	t.Run("every field", func(t *testing.T) {
		body := object{
			"context_id": "проєкт/7 «α»", "agent_slug": "code-review", "prompt": "рядок\nline\ttab \"quoted\" \\ 😀 </script> \u2028",
			"context_hints": []string{"src/**/*.go", "@agent/x", ""}, "policy": object{"timeout_sec": 3600, "budget": 0.5},
			"desired_format": "json", "max_attempts": 10,
		}
		resp := ask(t, c, "POST", tasks, body)
		want := shape{}
		for name, v := range body {
			want[name] = is(v)
		}
		want["policy"] = obj(shape{"timeout_sec": is(3600), "budget": is(0.5)})
		wantShape(t, resp, http.StatusCreated, obj(taskShape.also(want)))
		var task stacktest.Task
		if err := resp.Decode(&task); err != nil {
			t.Fatal(err)
		}
		wantShape(t, ask(t, c, "GET", tasks+"/"+task.ID, nil), http.StatusOK, obj(taskShape.also(want)))
	})
	t.Run("a part of the policy", func(t *testing.T) {
		for name, p := range map[string]object{"timeout": {"timeout_sec": 7}, "budget": {"budget": 1000}, "nothing": {}} {
			want := with(object{"timeout_sec": 120, "budget": 0}, p)
			wantShape(t, ask(t, c, "POST", tasks, taskBody(object{"policy": p})), http.StatusCreated,
				obj(shape{"policy": obj(shape{"timeout_sec": is(want["timeout_sec"]), "budget": is(want["budget"])})}))
			_ = name
		}
	})
	t.Run("limits", taskLimits(c))
	t.Run("a long prompt", longPrompt(c))
	t.Run("not there", func(t *testing.T) {
		for _, id := range []string{unknownID, strings.ToUpper(unknownID), "not-a-uuid", "1"} {
			f := wantFailure(t, ask(t, c, "GET", tasks+"/"+id, nil), http.StatusNotFound, "not_found")
			if f.Error != "Task not found" {
				t.Errorf("error is %q", f.Error)
			}
		}
		for _, action := range []string{"lease", "dispatch", "requeue"} {
			wantFailure(t, ask(t, c, "POST", tasks+"/"+unknownID+"/"+action, nil), http.StatusNotFound, "not_found")
		}
		wantFailure(t, ask(t, c, "POST", tasks+"/"+unknownID+"/heartbeat", object{"lease_id": unknownID}), http.StatusNotFound, "not_found")
		wantFailure(t, ask(t, c, "POST", tasks+"/"+unknownID+"/complete", successBody(unknownID, "x")), http.StatusNotFound, "not_found")
	})
	t.Run("the original console's body", func(t *testing.T) {
		body := object{"prompt": "p", "context_id": "default", "agent_slug": "default", "desired_format": "text",
			"policy": object{"timeout_sec": 120, "budget": 0}}
		wantShape(t, ask(t, c, "POST", tasks, body), http.StatusCreated, obj(taskShape))
	})
}

// taskLimits sends values on both sides of each limit.
func taskLimits(c *stacktest.Client) func(*testing.T) {
	long := strings.Repeat
	hints := func(n int, s string) (all []string) {
		for range n {
			all = append(all, s)
		}
		return all
	}
	return func(t *testing.T) {
		for _, tc := range []struct {
			field    string
			ok, over any
		}{
			{"context_id", long("ї", 256), long("ї", 257)},
			{"agent_slug", long("😀", 128), long("😀", 129)},
			{"context_hints", hints(100, "h"), hints(101, "h")},
			{"context_hints", []string{long("ї", 1024)}, []string{long("ї", 1025)}},
			{"max_attempts", 10, 11},
			{"max_attempts", 1, 0},
			{"policy", object{"timeout_sec": 3600}, object{"timeout_sec": 3601}},
			{"policy", object{"timeout_sec": 1}, object{"timeout_sec": 0}},
			{"policy", object{"budget": 0}, object{"budget": -0.001}},
			{"prompt", long("p", 1<<20), long("p", 1<<20+1)},
			{"prompt", long("ї", 1<<19), long("ї", 1<<19+1)},
		} {
			if resp := ask(t, c, "POST", tasks, taskBody(object{tc.field: tc.ok})); resp.Status != http.StatusCreated {
				t.Errorf("%s at its limit: %s", tc.field, resp)
			}
			wantFailure(t, ask(t, c, "POST", tasks, taskBody(object{tc.field: tc.over})), http.StatusBadRequest, "invalid", tc.field)
		}
	}
}

// longPrompt is whole where a worker or a client reads one task, and cut in lists.
func longPrompt(c *stacktest.Client) func(*testing.T) {
	return func(t *testing.T) {
		for name, prompt := range map[string]string{
			"4 KiB":           strings.Repeat("a", 4096),
			"over 4 KiB":      strings.Repeat("a", 4097),
			"cut in a letter": "x" + strings.Repeat("ї", 3000),
			"1 MiB":           strings.Repeat("0123456789abcde\n", 1<<16),
		} {
			t.Run(name, func(t *testing.T) {
				drain(t, c)
				task := newTask(t, c, object{"prompt": prompt})
				if task.Prompt != prompt || getTask(t, c, task.ID).Prompt != prompt {
					t.Errorf("the prompt of one task must be whole")
				}
				list := newestIs[stacktest.Task](t, c, tasks, task.ID)
				checkCut(t, list, task.ID, prompt)
				w := newWorker(t, c, 1)
				got := claim(t, c, w.ID, nil)
				if len(got.Claims) != 1 || got.Claims[0].Task.ID != task.ID || got.Claims[0].Task.Prompt != prompt {
					t.Errorf("a claim must give the whole prompt: %d claims", len(got.Claims))
				}
			})
		}
	}
}

func checkCut(t *testing.T, got stacktest.Task, id, prompt string) {
	t.Helper()
	if got.ID != id {
		t.Fatalf("the newest task is %s, want %s", got.ID, id)
	}
	if len(prompt) <= 4096 {
		if got.Prompt != prompt || got.PromptTruncated {
			t.Errorf("a prompt of %d bytes must be whole in a list, is %d", len(prompt), len(got.Prompt))
		}
		return
	}
	cut := got.Prompt
	if !got.PromptTruncated || len(cut) > 4096 || len(cut) < 4090 || !strings.HasPrefix(prompt, cut) || !utf8.ValidString(cut) {
		t.Errorf("prompt of %d bytes in a list: %d bytes, truncated %v", len(prompt), len(cut), got.PromptTruncated)
	}
}
