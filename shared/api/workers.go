package api

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/membridge"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// ListWorkers is GET /api/runtime/workers: 200 with a page of workers.
func ListWorkers(table *dynamo.Table) http.Handler {
	return listOf(defaultLimit, viewWorker, func(r *request, p dynamo.Page) ([]worker.Worker, string, error) {
		return table.Workers(r.Context(), p)
	})
}

// GetWorker is GET /api/runtime/workers/{id}: 200 with the worker and its active leases.
func GetWorker(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		w, err := table.Worker(r.Context(), r.PathValue("id"))
		if err != nil {
			return response{}, err
		}
		leases, err := table.Held(r.Context(), w)
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: struct {
			workerView
			Leases []leaseView `json:"leases"`
		}{viewWorker(w), views(leases, viewLease)}}, nil
	})
}

// RegisterWorker is POST /api/runtime/workers: 201 for a new worker, 200 for one
// that is known.
func RegisterWorker(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		reg, err := readRegistration(in)
		if err != nil {
			return response{}, err
		}
		w, created, err := table.RegisterWorker(r.Context(), reg, r.actor)
		if err != nil {
			return response{}, err
		}
		status := http.StatusOK
		if created {
			status = http.StatusCreated
		}
		return response{status: status, body: viewWorker(w)}, nil
	})
}

func readRegistration(in *input) (worker.Registration, error) {
	r := worker.Registration{
		Name:          in.required("name", maxWorkerName),
		URL:           in.text("url", maxURL),
		Status:        oneOf(in, "status", worker.Online, worker.Statuses...),
		IPAddrs:       in.texts("ip_addrs", maxAddresses, maxAddress),
		AgentVersion:  in.nullable("agent_version", maxLabel),
		OSInfo:        in.nullable("os_info", maxLabel),
		InstallMethod: in.nullable("install_method", maxLabel),
	}
	if strings.ContainsRune(r.Name, '/') || strings.ContainsFunc(r.Name, unicode.IsControl) {
		in.breaks("name", "must not contain / or control characters")
	}
	if r.Name == "." || r.Name == ".." {
		in.breaks("name", "must not be . or .., which have a meaning in a path")
	}
	if r.URL != "" {
		if err := membridge.ValidateURL(r.URL); err != nil {
			in.breaks("url", "%s", err)
		}
	}
	c := in.object("capabilities")
	r.Capabilities = worker.Capabilities{
		ClaudeCLI:      c.flag("claude_cli", true),
		MaxConcurrency: int(c.integer("max_concurrency", 1, 1, 32)),
		Labels:         c.texts("labels", maxLabels, maxLabel),
	}
	return r, in.err()
}

// RemoveWorker is DELETE /api/runtime/workers/{id}: 200; what it held is queued again.
func RemoveWorker(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		id := r.PathValue("id")
		if err := table.RemoveWorker(r.Context(), id, r.actor); err != nil {
			return response{}, err
		}
		return response{status: http.StatusOK, body: struct {
			Removed bool   `json:"removed"`
			ID      string `json:"id"`
		}{true, id}}, nil
	})
}
