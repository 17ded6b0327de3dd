package api

import (
	"log/slog"
	"net/http"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// pollAfterMS is when an idle worker should ask again: twelve times a minute. A
// worker that got something, and has capacity left, asks again at once.
const pollAfterMS = 5000

type claimView struct {
	Task  taskView  `json:"task"`
	Lease leaseView `json:"lease"`
}

// ClaimTasks is POST /api/runtime/workers/{id}/claim: 200 with the tasks that the
// worker is to work on, oldest first, those dispatched to it before all others.
func ClaimTasks(table *dynamo.Table, bucket *blob.Bucket) http.Handler {
	return handle(func(r *request) (response, error) {
		in, err := readInput(r)
		if err != nil {
			return response{}, err
		}
		limit, ttl := int(in.integer("max", 1, 1, maxClaims)), readTTL(in)
		if err := in.err(); err != nil {
			return response{}, err
		}
		claims, err := table.Claim(r.Context(), r.PathValue("id"), limit, ttl)
		if err != nil {
			return response{}, err
		}
		body := struct {
			Claims      []claimView `json:"claims"`
			PollAfterMS int         `json:"poll_after_ms"`
		}{Claims: []claimView{}}
		for _, c := range claims {
			t, err := wholePrompt(r.Context(), bucket, c.Task)
			if err != nil {
				// The lease lapses and the task moves on; the other claims are good.
				slog.Error("prompt of a claimed task", "request_id", r.requestID, "task", c.Task.ID, "error", err)
				continue
			}
			body.Claims = append(body.Claims, claimView{viewTask(t), viewLease(c.Lease)})
		}
		if len(body.Claims) == 0 {
			body.PollAfterMS = pollAfterMS
		}
		return response{status: http.StatusOK, body: body}, nil
	})
}
