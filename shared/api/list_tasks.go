package api

import (
	"net/http"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

// ListTasks is GET /api/runtime/llm-tasks[?status=]: 200 with a page of tasks.
func ListTasks(table *dynamo.Table) http.Handler {
	return listOf(defaultLimit, viewTask, func(r *request, p dynamo.Page) ([]task.Task, string, error) {
		status, err := readStatus(r.URL.Query(), task.Statuses)
		if err != nil {
			return nil, "", err
		}
		return table.Tasks(r.Context(), status, p)
	})
}

// ListRuns is GET /api/runtime/runs: 200 with the last tasks.
func ListRuns(table *dynamo.Table) http.Handler {
	return listOf(defaultLimit, viewTask, func(r *request, p dynamo.Page) ([]task.Task, string, error) {
		return table.Tasks(r.Context(), "", p)
	})
}
