package dynamo

import (
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// Record is one change of an item, as the table's stream tells it.
type Record struct {
	// Sequence orders the records of one shard; padded, so that it compares as text.
	Sequence string
	key      key
	old, new image
}

// image is what the stream's consumer reads of an item: nothing else is decoded.
type image struct {
	exists bool
	status string
	change AuditEntry
}

// sequenceWidth is the longest sequence number, in digits.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html
const sequenceWidth = 40

// ReadRecord takes what matters out of a stream record.
func ReadRecord(r events.DynamoDBEventRecord) Record {
	seq := r.Change.SequenceNumber
	return Record{
		Sequence: strings.Repeat("0", max(0, sequenceWidth-len(seq))) + seq,
		key:      key{text(r.Change.Keys, attrPK), text(r.Change.Keys, attrSK)},
		old:      readImage(r.Change.OldImage), new: readImage(r.Change.NewImage),
	}
}

func readImage(i map[string]events.DynamoDBAttributeValue) image {
	m := image{exists: len(i) > 0, status: text(i, "status")}
	if c, ok := i["change"]; ok && c.DataType() == events.DataTypeMap {
		change := c.Map()
		m.change = AuditEntry{ID: text(change, "id"), Action: text(change, "action"), Actor: text(change, "actor"),
			Detail: text(change, "detail")}
		if at, ok := change["at"]; ok && at.DataType() == events.DataTypeNumber {
			ms, _ := at.Integer() // this package wrote it
			m.change.Timestamp = clock.Millis(ms)
		}
	}
	return m
}

func text(i map[string]events.DynamoDBAttributeValue, name string) string {
	if v, ok := i[name]; ok && v.DataType() == events.DataTypeString {
		return v.String()
	}
	return ""
}

// Audit is the audit entry that the record is; ok is false when it is none:
// a heartbeat, say, keeps the change of the write before it.
func (r Record) Audit() (e AuditEntry, ok bool) {
	e = r.new.change
	switch {
	case !r.new.exists || e.ID == "" || e.ID == r.old.change.ID:
		return AuditEntry{}, false
	case r.key.sk == skTask:
		e.EntityType, e.EntityID = "llm_task", idOf(r.key.pk)
	case r.key.sk == skWorker:
		e.EntityType, e.EntityID = "worker", idOf(r.key.pk)
	default:
		e.EntityType, e.EntityID = "runtime_config", "singleton"
	}
	return e, true
}

// count adds to deltas what the record changes in the counters.
func (r Record) count(deltas map[string]int64) {
	move := func(prefix string, counted func(status string) string) {
		if r.old.exists {
			deltas[prefix]--
			deltas[counted(r.old.status)]--
		}
		if r.new.exists {
			deltas[prefix]++
			deltas[counted(r.new.status)]++
		}
	}
	switch {
	case r.key.sk == skTask:
		move(countTasks, func(s string) string { return countTasks + "_" + s })
	case strings.HasPrefix(r.key.sk, prefixLease):
		move(countLeases, onlyStatus(string(task.LeaseActive), countLeases+"_active"))
	case r.key.sk == skWorker:
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
