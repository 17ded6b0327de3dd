package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/shared/task"
)

// TestCompleteFitsAnAnswer: a report is stored before it is answered, so its
// answer must never be too long to be given.
func TestCompleteFitsAnAnswer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxOutput)
	for _, c := range []struct {
		name           string
		prompt, output string
		cut, left      bool // the prompt is cut; the output is left out
	}{
		{"short", "p", "o", false, false},
		{"a long output", "p", long, false, false},
		{"a long output and a short prompt of control characters", strings.Repeat("\x01", maxInline), long, false, false},
		{"a long prompt", strings.Repeat("p", maxPrompt), "o", false, false},
		{"both long", strings.Repeat("p", maxPrompt), long, true, false},
		{"an output of separators, which grow", "p", strings.Repeat("\u2028", 1<<20), true, true},
		{"no output", strings.Repeat("p", maxPrompt), "", false, false},
	} {
		k := task.Task{ID: "id", Prompt: c.prompt, ContextHints: []string{}}
		whole := viewTask(k)
		k.Prompt, k.PromptKey = head(c.prompt, min(maxInline, len(c.prompt)-1)), "prompts/id"
		v := completeView{Task: whole, Artifact: viewArtifact(task.Artifact{}), Result: viewResult(task.Artifact{}, c.output)}.fit(viewTask(k))
		if v.Task.PromptTruncated != c.cut || (v.Result.Output == nil) != (c.left || c.output == "") {
			t.Errorf("%s: cut %v, left out %v", c.name, v.Task.PromptTruncated, v.Result.Output == nil)
		}
		h := handle(func(*request) (response, error) { return response{status: http.StatusOK, body: v}, nil })
		payload, err := json.Marshal(event("POST", "/api/runtime/llm-tasks/{id}/complete", map[string]string{"id": "id"}, ""))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := lambda.NewHandler(NewEntry(h)).Invoke(context.Background(), payload)
		if err != nil || len(answer) > 6<<20 {
			t.Errorf("%s: an answer of %d bytes, %v", c.name, len(answer), err)
		}
	}
}
