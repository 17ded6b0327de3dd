package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/dynamo"
	"github.com/bloom-runtime/bloom/shared/task"
)

// downloadLife is how long a link to a payload works.
const downloadLife = 15 * time.Minute

// ListArtifacts is GET /api/runtime/artifacts[?task_id=]: 200 with a page of artifacts.
func ListArtifacts(table *dynamo.Table) http.Handler {
	return listOf(defaultLimit, viewArtifact, func(r *request, p dynamo.Page) ([]task.Artifact, string, error) {
		q := r.URL.Query()
		if !q.Has("task_id") {
			return table.Artifacts(r.Context(), p)
		}
		id := q.Get("task_id")
		if uuid.Validate(id) != nil {
			return nil, "", queryFault("task_id", "must be the id of a task, a UUID")
		}
		return table.TaskArtifacts(r.Context(), id, p)
	})
}

// GetArtifact is GET /api/runtime/artifacts/{id}: 200 with the artifact and a
// link to its payload.
func GetArtifact(table *dynamo.Table, bucket *blob.Bucket) http.Handler {
	return handle(func(r *request) (response, error) {
		a, err := table.Artifact(r.Context(), r.PathValue("id"))
		if err != nil {
			return response{}, err
		}
		v := viewArtifact(a)
		if a.URL != "" {
			link, err := bucket.PresignGet(r.Context(), a.URL, downloadLife, a.ID+".txt")
			if err != nil {
				return response{}, bucketFault(err)
			}
			v.DownloadURL = &link
		}
		return response{status: http.StatusOK, body: v}, nil
	})
}
