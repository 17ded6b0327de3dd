package dynamo

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/task"
)

// encodeTask is the task as its item. Attributes that are not set are left out.
func (t *Table) encodeTask(k task.Task) item {
	i := make(item, 28)
	i[attrPK], i[attrSK] = str(taskPK(k.ID)), str(skTask)
	i["context_id"], i["agent_slug"], i["prompt"] = str(k.ContextID), str(k.AgentSlug), str(k.Prompt)
	i["timeout_sec"], i["format"] = num(k.Policy.TimeoutSec), str(string(k.DesiredFormat))
	i["priority"], i["status"] = num(k.Priority), str(string(k.Status))
	i["created_at"], i["updated_at"] = num(k.CreatedAt), num(k.UpdatedAt)
	i["attempts"], i["max_attempts"], i["rev"] = num(k.Attempts), num(k.MaxAttempts), num(k.Rev)
	if len(k.ContextHints) > 0 {
		i["context_hints"] = strs(k.ContextHints)
	}
	if k.Policy.Budget != 0 {
		i["budget"] = float(k.Policy.Budget)
	}
	if k.CancelRequested {
		i["cancel"] = boolean(true)
	}
	i.setStr("prompt_key", k.PromptKey)
	i.setStr("lease_id", k.LeaseID)
	i.setStr("worker_id", k.WorkerID)
	i.setNum("not_before", int64(k.NotBefore))
	i.setNum("leases", int64(k.LeaseCount))
	i.setLeaseClock(k.Lease)

	lpk, lsk := t.taskList(k.Status, k.ID)
	i[attrListPK], i[attrListSK] = str(lpk), str(lsk)
	if qpk, qsk, ok := t.queueEntry(k); ok {
		i[attrQueuePK], i[attrQueueSK] = str(qpk), str(qsk)
	}
	if k.Status.Resting() {
		i.setNum(attrPurgeAt, t.purgeAt(k.UpdatedAt))
	}
	return i
}

func decodeTask(i item) task.Task {
	return task.Task{
		ID: idOf(i.str(attrPK)), ContextID: i.str("context_id"), AgentSlug: i.str("agent_slug"),
		Prompt: i.str("prompt"), PromptKey: i.str("prompt_key"), ContextHints: i.strs("context_hints"),
		Policy:        task.Policy{TimeoutSec: i.int("timeout_sec"), Budget: i.float("budget")},
		DesiredFormat: task.Format(i.str("format")), Priority: i.int("priority"),
		Status: task.Status(i.str("status")), CreatedAt: i.millis("created_at"), UpdatedAt: i.millis("updated_at"),
		Attempts: i.int("attempts"), MaxAttempts: i.int("max_attempts"), NotBefore: i.millis("not_before"),
		CancelRequested: i.bool("cancel"), LeaseID: i.str("lease_id"), WorkerID: i.str("worker_id"),
		Lease: i.leaseClock(), LeaseCount: i.int("leases"), Rev: i.num("rev"), LookAt: lookAt(i),
	}
}

// lookAt is the time in the task's timer entry; 0 if it has none.
func lookAt(i item) clock.Millis {
	if !strings.HasPrefix(i.str(attrQueuePK), "TIMER#") {
		return 0
	}
	at, _, _ := strings.Cut(i.str(attrQueueSK), "#")
	ms, _ := strconv.ParseInt(at, 10, 64) // this package wrote it
	return clock.Millis(ms)
}

func (i item) setLeaseClock(c task.LeaseClock) {
	i.setNum("started_at", int64(c.StartedAt))
	i.setNum("expires_at", int64(c.ExpiresAt))
	i.setNum("heartbeat_at", int64(c.LastHeartbeat))
	i.setNum("ttl_ms", c.TTL.Milliseconds())
}

func (i item) leaseClock() task.LeaseClock {
	return task.LeaseClock{
		StartedAt: i.millis("started_at"), ExpiresAt: i.millis("expires_at"),
		LastHeartbeat: i.millis("heartbeat_at"),
		TTL:           time.Duration(i.num("ttl_ms")) * time.Millisecond,
	}
}

// encodeLease is the lease as its item. While it is active its clock is the
// task's; the item has the clock of the grant.
func (t *Table) encodeLease(l task.Lease) item {
	i := item{
		attrPK: str(taskPK(l.TaskID)), attrSK: str(leaseSK(l.ID)),
		"worker_id": str(l.WorkerID), "context_id": str(l.ContextID), "n": num(l.N), "status": str(string(l.Status)),
	}
	i.setLeaseClock(l.LeaseClock)
	i.setNum("ended_at", int64(l.EndedAt))
	lpk, lsk := t.leaseList(l.ID)
	i[attrListPK], i[attrListSK] = str(lpk), str(lsk)
	gpk, gsk := t.leaseGroup(l)
	i[attrGroupPK], i[attrGroupSK] = str(gpk), str(gsk)
	if l.Status != task.LeaseActive {
		i.setNum(attrPurgeAt, t.purgeAt(l.EndedAt))
	}
	return i
}

func decodeLease(i item) task.Lease {
	return task.Lease{
		ID: idOf(i.str(attrSK)), TaskID: idOf(i.str(attrPK)), WorkerID: i.str("worker_id"),
		ContextID: i.str("context_id"), N: i.int("n"), Status: task.LeaseStatus(i.str("status")),
		LeaseClock: i.leaseClock(), EndedAt: i.millis("ended_at"),
	}
}

// purgeAt is when DynamoDB may delete what ended at a moment, in the seconds
// that its TTL wants; 0 keeps it for ever.
func (t *Table) purgeAt(ended clock.Millis) int64 {
	if t.retention == 0 {
		return 0
	}
	return int64(ended.Add(t.retention)) / 1000
}

// gone reports whether an item is past its TTL: DynamoDB deletes it within days,
// until then it must count as deleted.
func gone(i item, now clock.Millis) bool {
	at := i.num(attrPurgeAt)
	return at != 0 && int64(now)/1000 >= at
}

// change is why an item was written; its stream record becomes the audit entry.
func encodeChange(e AuditEntry) types.AttributeValue {
	c := item{"id": str(e.ID), "at": num(e.Timestamp), "action": str(e.Action), "actor": str(e.Actor)}
	c.setStr("detail", e.Detail)
	return &types.AttributeValueMemberM{Value: c}
}
