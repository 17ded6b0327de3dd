package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// DispatchTask is POST /api/runtime/llm-tasks/{id}/dispatch: a lease that its
// worker fetches with its next claim. 200 at once.
func DispatchTask(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		req, err := readLease(r)
		if err != nil {
			return response{}, err
		}
		req.Handover = true
		l, w, err := table.Lease(r.Context(), req, r.actor)
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: struct {
			Dispatched bool   `json:"dispatched"`
			TaskID     string `json:"task_id"`
			WorkerID   string `json:"worker_id"`
			LeaseID    string `json:"lease_id"`
		}{true, l.TaskID, w.ID, l.ID}}, nil
	})
}
