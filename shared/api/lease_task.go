package api

import (
	"net/http"
	"time"

	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

// LeaseTask is POST /api/runtime/llm-tasks/{id}/lease: 201 with the lease and its worker.
func LeaseTask(table *dynamo.Table) http.Handler {
	return handle(func(r *request) (response, error) {
		req, err := readLease(r)
		if err != nil {
			return response{}, err
		}
		l, w, err := table.Lease(r.Context(), req, r.actor)
		if err != nil {
			return response{}, err
		}
		return response{status: http.StatusCreated, body: struct {
			Lease  leaseView  `json:"lease"`
			Worker workerView `json:"worker"`
		}{viewLease(l), viewWorker(w)}}, nil
	})
}

func readLease(r *request) (dynamo.LeaseRequest, error) {
	in, err := readInput(r)
	if err != nil {
		return dynamo.LeaseRequest{}, err
	}
	req := dynamo.LeaseRequest{TaskID: r.PathValue("id"), TTL: readTTL(in), WorkerID: in.nullable("worker_id", maxID)}
	if in.stated("worker_id") && req.WorkerID == "" {
		in.breaks("worker_id", "must not be empty; leave it out to have a worker chosen")
	}
	return req, in.err()
}

func readTTL(in *input) time.Duration {
	return time.Duration(in.integer("ttl_seconds", int64(task.DefaultTTL.Seconds()), 1, maxTTLSeconds)) * time.Second
}
