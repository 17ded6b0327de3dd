package dynamo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/shared/task"
)

func (t *Table) encodeArtifact(a task.Artifact) item {
	i := item{
		attrPK: str(taskPK(a.TaskID)), attrSK: str(artifactSK(a.N)),
		"lease_id": str(a.LeaseID), "worker_id": str(a.WorkerID), "type": str(a.Type), "n": num(a.N),
		"created_at": num(a.CreatedAt), "size": num(a.Size), "result_id": str(a.ResultID),
		"outcome": str(string(a.Outcome)), "duration_ms": num(a.Metrics.DurationMS),
		"request": str(a.RequestHash), "after_status": str(string(a.After.Status)),
		"after_updated_at": num(a.After.UpdatedAt), "after_attempts": num(a.After.Attempts),
	}
	if len(a.Tags) > 0 {
		i["tags"] = strs(a.Tags)
	}
	if a.Metrics.TokensUsed != nil {
		i["tokens_used"] = num(*a.Metrics.TokensUsed)
	}
	i.setStr("url", a.URL)
	i.setStr("sha256", a.SHA256)
	i.setStr("error_message", a.ErrorMessage)
	i.setStr("after_lease_id", a.After.LeaseID)
	i.setStr("after_worker_id", a.After.WorkerID)
	i.setNum("after_not_before", int64(a.After.NotBefore))
	i.setNum(attrPurgeAt, t.purgeAt(a.CreatedAt))
	i[attrListPK] = str(t.spreadKey("ARTIFACT", a.TaskID))
	i[attrListSK] = str(millis(a.CreatedAt) + "#" + ArtifactID(a.TaskID, a.N))
	return i
}

func decodeArtifact(i item) task.Artifact {
	a := task.Artifact{
		TaskID: idOf(i.str(attrPK)), LeaseID: i.str("lease_id"), N: i.int("n"), WorkerID: i.str("worker_id"),
		Type: i.str("type"), Tags: i.strs("tags"), CreatedAt: i.millis("created_at"), URL: i.str("url"),
		Size: i.num("size"), SHA256: i.str("sha256"), ResultID: i.str("result_id"),
		Outcome: task.Outcome(i.str("outcome")), ErrorMessage: i.str("error_message"),
		Metrics: task.Metrics{DurationMS: i.num("duration_ms")}, RequestHash: i.str("request"),
		After: task.After{
			Status: task.Status(i.str("after_status")), UpdatedAt: i.millis("after_updated_at"),
			Attempts: i.int("after_attempts"), LeaseID: i.str("after_lease_id"),
			WorkerID: i.str("after_worker_id"), NotBefore: i.millis("after_not_before"),
		},
	}
	a.ID = ArtifactID(a.TaskID, a.N)
	if _, ok := i["tokens_used"]; ok {
		n := i.num("tokens_used")
		a.Metrics.TokensUsed = &n
	}
	return a
}

// ArtifactID names the artifact of the n-th lease of a task.
func ArtifactID(taskID string, n int) string { return fmt.Sprintf("%s.%d", taskID, n) }

// parseArtifactID takes an artifact's id apart; ok is false for what cannot be one.
func parseArtifactID(id string) (taskID string, n int, ok bool) {
	taskID, ordinal, found := strings.Cut(id, ".")
	n, err := strconv.Atoi(ordinal)
	return taskID, n, found && err == nil && n > 0 && ArtifactID(taskID, n) == id && uuid.Validate(taskID) == nil
}
