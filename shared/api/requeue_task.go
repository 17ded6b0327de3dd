package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

// RequeueTask is POST /api/runtime/llm-tasks/{id}/requeue: 200 with the task.
func RequeueTask(table *dynamo.Table, bucket *blob.Bucket) http.Handler {
	return handle(func(r *request) (response, error) {
		s, err := table.Transition(r.Context(), r.PathValue("id"), r.actor, task.Requeue)
		if err != nil {
			return response{}, err
		}
		t, err := wholePrompt(r.Context(), bucket, s.To)
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: viewTask(t)}, nil
	})
}
