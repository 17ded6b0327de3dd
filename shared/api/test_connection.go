package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

type connectionView struct {
	Connected bool            `json:"connected"`
	Health    json.RawMessage `json:"health,omitempty"`
	Error     string          `json:"error,omitempty"`
}

// TestConnection is POST /api/runtime/test-connection: 200 whether or not
// Membridge answers. What was found shows in config and health.
func TestConnection(table *dynamo.Table, m Membridge) http.Handler {
	return handle(func(r *request) (response, error) {
		v, err := m.test(r.Context())
		if err != nil {
			return response{}, err
		}
		if _, err := table.SaveConnection(r.Context(), v.Error); err != nil {
			return response{}, err
		}
		if v.Connected {
			err = table.Record(r.Context(), dynamo.AuditEntry{Action: "connection_test", EntityType: "runtime_config",
				EntityID: "singleton", Actor: r.actor, Detail: "Membridge answered"})
		}
		return response{status: http.StatusOK, body: v}, err
	})
}

// testRetries is how often a test is tried again, as in the original: the route is open, and a call to it must not become many.
const testRetries = 1

// notConfigured is what a call says before the first save of the config.
const notConfigured = "Membridge is not configured; save its address and key first"

func (m Membridge) test(ctx context.Context) (connectionView, error) {
	l, err := m.Link.Load(ctx)
	if err != nil {
		return connectionView{}, err
	}
	if l.URL == "" {
		return connectionView{Error: notConfigured}, nil
	}
	health, err := m.Client.Retrying(testRetries).Health(ctx, l)
	if err != nil {
		return connectionView{Error: err.Error()}, nil
	}
	return connectionView{Connected: true, Health: health}, nil
}
