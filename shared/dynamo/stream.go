package dynamo

import (
	"encoding/json"
	"strings"

	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// StreamEvent is what Lambda gives a consumer of the table's stream: the records
// of one shard, in order. Of the items it has what the consumer reads.
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
type StreamEvent struct {
	Records []Record
	ShardID string
	State   json.RawMessage // of the tumbling window; nil for none
}

// Record is one change of an item, as the table's stream tells it.
type Record struct {
	key      key
	old, now *image // nil: there was no item, or is none
	sequence string // orders the records of one shard; padded, so that it compares as text
}

// image is what is read of an item before or after the change.
type image struct {
	status string
	change AuditEntry
}

// Audit is the audit entry that the record is; ok is false when it is none:
// a heartbeat, say, keeps the change of the write before it.
func (r Record) Audit() (e AuditEntry, ok bool) {
	if r.now == nil || r.now.change.ID == "" || r.old != nil && r.now.change.ID == r.old.change.ID {
		return AuditEntry{}, false
	}
	e = r.now.change
	switch r.key.sk {
	case skTask:
		e.EntityType, e.EntityID = "llm_task", idOf(r.key.pk)
	case skWorker:
		e.EntityType, e.EntityID = "worker", idOf(r.key.pk)
	default:
		e.EntityType, e.EntityID = "runtime_config", "singleton"
	}
	return e, true
}

// count adds to deltas what the record changes in the counters.
func (r Record) count(deltas map[string]int64) {
	move := func(prefix string, counted func(status string) string) {
		if r.old != nil {
			deltas[prefix]--
			deltas[counted(r.old.status)]--
		}
		if r.now != nil {
			deltas[prefix]++
			deltas[counted(r.now.status)]++
		}
	}
	switch sk := r.key.sk; {
	case sk == skTask:
		move(countTasks, func(s string) string { return countTasks + "_" + s })
	case strings.HasPrefix(sk, prefixLease):
		move(countLeases, onlyStatus(string(task.LeaseActive), countLeases+"_active"))
	case sk == skWorker:
		move(countWorkers, onlyStatus(string(worker.Online), countWorkers+"_online"))
	}
	delete(deltas, "")
}

// onlyStatus counts one status under a name and all others not at all.
func onlyStatus(status, name string) func(string) string {
	return func(s string) string {
		if s == status {
			return name
		}
		return ""
	}
}
