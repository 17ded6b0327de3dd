package dynamo

import (
	"strconv"
	"strings"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// StreamEvent is what Lambda gives a consumer of the table's stream: the records
// of one shard, in order. Of the items it has what the consumer reads; all else
// is skipped in decoding.
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
type StreamEvent struct {
	Records []Record          `json:"Records"`
	ShardID string            `json:"shardId"`
	State   map[string]string `json:"state"`
}

// Record is one change of an item, as the table's stream tells it.
type Record struct {
	Change struct {
		Keys           image  `json:"Keys"`
		OldImage       *image `json:"OldImage"`
		NewImage       *image `json:"NewImage"`
		SequenceNumber string `json:"SequenceNumber"`
	} `json:"dynamodb"`
}

// image is an item in the stream's JSON.
type image struct {
	PK     text `json:"PK"`
	SK     text `json:"SK"`
	Status text `json:"status"`
	Reason struct {
		M struct {
			ID     text `json:"id"`
			At     text `json:"at"`
			Action text `json:"action"`
			Actor  text `json:"actor"`
			Detail text `json:"detail"`
		} `json:"M"`
	} `json:"change"`
}

// text is an attribute of type S or N.
type text struct {
	S string `json:"S"`
	N string `json:"N"`
}

// sequenceWidth is the longest sequence number, in digits.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html
const sequenceWidth = 40

// sequence orders the records of one shard; padded, so that it compares as text.
func (r Record) sequence() string {
	n := r.Change.SequenceNumber
	return strings.Repeat("0", max(0, sequenceWidth-len(n))) + n
}

func (i *image) change() AuditEntry {
	if i == nil {
		return AuditEntry{}
	}
	c := i.Reason.M
	ms, _ := strconv.ParseInt(c.At.N, 10, 64) // this package wrote it
	return AuditEntry{ID: c.ID.S, Timestamp: clock.Millis(ms), Action: c.Action.S, Actor: c.Actor.S, Detail: c.Detail.S}
}

// Audit is the audit entry that the record is; ok is false when it is none:
// a heartbeat, say, keeps the change of the write before it.
func (r Record) Audit() (e AuditEntry, ok bool) {
	e = r.Change.NewImage.change()
	pk, sk := r.Change.Keys.PK.S, r.Change.Keys.SK.S
	switch {
	case e.ID == "" || e.ID == r.Change.OldImage.change().ID:
		return AuditEntry{}, false
	case sk == skTask:
		e.EntityType, e.EntityID = "llm_task", idOf(pk)
	case sk == skWorker:
		e.EntityType, e.EntityID = "worker", idOf(pk)
	default:
		e.EntityType, e.EntityID = "runtime_config", "singleton"
	}
	return e, true
}

// count adds to deltas what the record changes in the counters.
func (r Record) count(deltas map[string]int64) {
	move := func(prefix string, counted func(status string) string) {
		if old := r.Change.OldImage; old != nil {
			deltas[prefix]--
			deltas[counted(old.Status.S)]--
		}
		if now := r.Change.NewImage; now != nil {
			deltas[prefix]++
			deltas[counted(now.Status.S)]++
		}
	}
	switch sk := r.Change.Keys.SK.S; {
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
