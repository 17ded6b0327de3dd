package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

// CreateTask is POST /api/runtime/llm-tasks: 201 with the task.
func CreateTask(table *dynamo.Table, bucket *blob.Bucket, now clock.Now) http.Handler {
	return handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		spec, err := readSpec(in)
		if err != nil {
			return response{}, err
		}
		id, prompt := dynamo.NewID(), spec.Prompt
		if spec, err = storePrompt(r.Context(), bucket, id, spec); err != nil {
			return response{}, err
		}
		s := task.New(id, spec, now())
		if err := table.CreateTask(r.Context(), s, r.actor); err != nil {
			return response{}, err
		}
		t := s.To
		t.Prompt, t.PromptKey = prompt, ""
		return response{status: http.StatusCreated, body: viewTask(t)}, nil
	})
}
