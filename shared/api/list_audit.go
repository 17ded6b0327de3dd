package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// ListAudit is GET /api/runtime/audit[?limit=100]: 200 with a page of the audit log.
func ListAudit(table *dynamo.Table) http.Handler {
	return listOf(100, viewAudit, func(r *request, p dynamo.Page) ([]dynamo.AuditEntry, string, error) {
		return table.Audit(r.Context(), p)
	})
}
