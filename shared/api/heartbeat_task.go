package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// HeartbeatTask is POST /api/runtime/llm-tasks/{id}/heartbeat: 200 with the
// renewed lease.
func HeartbeatTask(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		leaseID := in.required("lease_id", maxID)
		if err := in.err(); err != nil {
			return response{}, err
		}
		l, err := table.Heartbeat(r.Context(), r.PathValue("id"), leaseID)
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: struct {
			Lease     leaseView    `json:"lease"`
			ExpiresAt clock.Millis `json:"expires_at"`
		}{viewLease(l), l.ExpiresAt}}, nil
	})
}
