package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

type statsView struct {
	Tasks struct {
		Total    int64                 `json:"total"`
		ByStatus map[task.Status]int64 `json:"by_status"`
	} `json:"tasks"`
	Leases struct {
		Total  int64 `json:"total"`
		Active int64 `json:"active"`
	} `json:"leases"`
	Workers struct {
		Total  int64 `json:"total"`
		Online int64 `json:"online"`
	} `json:"workers"`
}

// GetStats is GET /api/runtime/stats: 200 with the counters, which follow what
// happens within seconds.
func GetStats(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		s, err := table.Stats(r.Context())
		if err != nil {
			return response{}, err
		}
		var v statsView
		v.Tasks.Total, v.Tasks.ByStatus = s.Tasks, s.TasksByStatus
		v.Leases.Total, v.Leases.Active = s.Leases, s.ActiveLeases
		v.Workers.Total, v.Workers.Online = s.Workers, s.OnlineWorkers
		return response{status: http.StatusOK, body: v}, nil
	})
}
