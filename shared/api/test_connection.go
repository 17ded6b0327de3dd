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

func (m Membridge) test(ctx context.Context) (connectionView, error) {
	l, err := m.load(ctx)
	if err != nil {
		return connectionView{}, err
	}
	if l.URL == "" {
		return connectionView{Error: "Membridge is not configured; save its address and key first"}, nil
	}
	health, err := m.Client.Health(ctx, l.URL, l.AdminKey)
	if err != nil {
		return connectionView{Error: err.Error()}, nil
	}
	return connectionView{Connected: true, Health: health}, nil
}
