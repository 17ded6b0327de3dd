package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// Health is GET /api/runtime/health: 200 with how the runtime and its link to
// Membridge are. Uptime counts the seconds of this process.
func Health(table *dynamo.Table, now clock.Now) http.Handler {
	started := now()
	type link struct {
		ConsecutiveFailures int     `json:"consecutiveFailures"`
		LastSuccess         *int64  `json:"lastSuccess"`
		LastError           *string `json:"lastError"`
		Connected           bool    `json:"connected"`
	}
	return handle(func(r *request) (response, error) {
		c, err := table.Config(r.Context())
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: struct {
			Status    string  `json:"status"`
			Service   string  `json:"service"`
			Uptime    float64 `json:"uptime"`
			Storage   string  `json:"storage"`
			Membridge link    `json:"membridge"`
		}{"ok", "bloom-runtime", now().Sub(started).Seconds(), "dynamodb",
			link{c.ConsecutiveFailures, momentOrNull(c.LastSuccess), orNull(c.LastError), c.Connected}}}, nil
	})
}
