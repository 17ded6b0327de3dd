package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// GetTask is GET /api/runtime/llm-tasks/{id}: 200 with the task and its whole prompt.
func GetTask(table *dynamo.Table, bucket *blob.Bucket) http.Handler {
	return handle(func(r *request) (response, error) {
		t, err := table.Task(r.Context(), r.PathValue("id"))
		if err != nil {
			return response{}, err
		}
		if t, err = wholePrompt(r.Context(), bucket, t); err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: viewTask(t)}, nil
	})
}
