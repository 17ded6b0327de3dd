package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

// ListLeases is GET /api/runtime/leases[?status=]: 200 with a page of leases.
func ListLeases(table *dynamo.Table) http.Handler {
	return listOf(defaultLimit, viewLease, func(r *request, p dynamo.Page) ([]task.Lease, string, error) {
		status, err := readStatus(r.URL.Query(), task.LeaseStatuses)
		if err != nil {
			return nil, "", err
		}
		return table.Leases(r.Context(), status, p)
	})
}
