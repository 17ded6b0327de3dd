package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// AuditEntry says who did what to which object, and why.
type AuditEntry struct {
	ID         string // UUIDv7
	Timestamp  clock.Millis
	Action     string
	EntityType string // llm_task, worker, runtime_config or membridge_project
	EntityID   string
	Actor      string // who asked: the key's name, a worker, or system
	Detail     string
}

// dated gives the entry its moment and an id of that moment, so that entries sorted
// by id are sorted by time.
func (e AuditEntry) dated(at clock.Millis) AuditEntry {
	id := uuid.Must(uuid.NewV7())
	for n := range 6 { // a UUIDv7 begins with the milliseconds, big-endian
		id[n] = byte(at >> (8 * (5 - n)))
	}
	e.ID, e.Timestamp = id.String(), at
	return e
}

// encodeAudit is the entry as its item. Its key follows from its id, so that an
// entry written twice is there once.
func (t *Table) encodeAudit(e AuditEntry) item {
	i := item{
		attrPK: str(t.spreadKey("AUDIT", e.ID)), attrSK: str(e.ID), "at": num(e.Timestamp),
		"action": str(e.Action), "entity_type": str(e.EntityType), "entity_id": str(e.EntityID), "actor": str(e.Actor),
	}
	i.setStr("detail", e.Detail)
	i.setNum(attrPurgeAt, t.purgeAt(e.Timestamp))
	return i
}

func decodeAudit(i item) AuditEntry {
	return AuditEntry{
		ID: i.str(attrSK), Timestamp: i.millis("at"), Action: i.str("action"), EntityType: i.str("entity_type"),
		EntityID: i.str("entity_id"), Actor: i.str("actor"), Detail: i.str("detail"),
	}
}

// Audit reads a page of the audit log, newest first.
func (t *Table) Audit(ctx context.Context, p Page) ([]AuditEntry, string, error) {
	l := list{name: "audit", pk: attrPK, sk: attrSK, partitions: t.spread("AUDIT")}
	before, err := l.decodeCursor(p.Cursor)
	if err != nil {
		return nil, "", err
	}
	items, more, err := t.newestItems(ctx, l, before, p.Limit)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if more {
		next = l.encodeCursor(items[p.Limit-1].str(attrSK))
	}
	now, entries := t.now(), make([]AuditEntry, 0, len(items))
	for _, i := range items {
		if !gone(i, now) {
			entries = append(entries, decodeAudit(i))
		}
	}
	return entries, next, nil
}

// Record stores an audit entry of something that changes no item of its own.
func (t *Table) Record(ctx context.Context, e AuditEntry) error {
	return t.RecordAll(ctx, []AuditEntry{e.dated(t.now())})
}

// batchWrites is DynamoDB's limit for one BatchWriteItem.
const batchWrites = 25

// RecordAll stores audit entries; storing one again changes nothing.
func (t *Table) RecordAll(ctx context.Context, entries []AuditEntry) error {
	for start := 0; start < len(entries); start += batchWrites {
		if err := t.record(ctx, entries[start:min(start+batchWrites, len(entries))]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) record(ctx context.Context, entries []AuditEntry) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var left []types.WriteRequest
	for _, e := range entries {
		left = append(left, types.WriteRequest{PutRequest: &types.PutRequest{Item: t.encodeAudit(e)}})
	}
	for try := 0; len(left) > 0; try++ {
		out, err := t.db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{
			RequestItems: map[string][]types.WriteRequest{t.name: left}, ReturnConsumedCapacity: t.units()})
		if err != nil {
			return t.fail("record audit", err)
		}
		t.sawWrite(out.ConsumedCapacity...)
		if left = out.UnprocessedItems[t.name]; len(left) > 0 {
			if err := pause(ctx, try); err != nil {
				return t.fail("record audit", err)
			}
		}
	}
	return nil
}
