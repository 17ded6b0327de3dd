package dynamodb

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// The parameters of CreateTable, and the parts of a TableDescription that have
// the same shape.
type (
	createParams struct {
		TableName                 *string
		AttributeDefinitions      []attributeDefinition
		KeySchema                 []keyElement
		LocalSecondaryIndexes     []indexParams
		GlobalSecondaryIndexes    *[]indexParams
		BillingMode               string
		ProvisionedThroughput     *throughputParams
		StreamSpecification       *streamParams
		DeletionProtectionEnabled bool
		TableClass                string
	}
	attributeDefinition struct{ AttributeName, AttributeType string }
	keyElement          struct{ AttributeName, KeyType string }
	indexParams         struct {
		IndexName             *string
		KeySchema             []keyElement
		Projection            *projectionParams
		ProvisionedThroughput *throughputParams
	}
	projectionParams struct {
		ProjectionType   string
		NonKeyAttributes []string `json:",omitempty"`
	}
	throughputParams struct{ ReadCapacityUnits, WriteCapacityUnits *int64 }
	streamParams     struct {
		StreamEnabled  bool
		StreamViewType string `json:",omitempty"`
	}
)

const (
	billOnDemand    = "PAY_PER_REQUEST"
	billProvisioned = "PROVISIONED"
	maxIndexes      = 20
	maxInclude      = 100 // NonKeyAttributes of all indexes together
	maxIncludeEach  = 20  // of one
)

// unmarshal reads the body of an operation that is not called often.
func unmarshal(body string, into any) error {
	if strings.TrimSpace(body) == "null" {
		return &value.Error{Code: value.CodeSerialization, Message: "Expected an object"}
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		return &value.Error{Code: value.CodeSerialization, Message: strings.TrimPrefix(err.Error(), "json: ")}
	}
	return nil
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
func (s *Server) createTable(ctx context.Context, body string) ([]byte, error) {
	var p createParams
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	t := p.table()
	t.UID = uuid()
	err := s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return w.createTable(t, p.StreamSpecification) }})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"TableDescription": s.describe(t, "CREATING")})
}

func (w *writer) createTable(t *table, sp *streamParams) (func(), error) {
	if w.catalog.tables[t.Name] != nil {
		return nil, failure("ResourceInUseException", "Table already exists: %s", t.Name)
	}
	next := w.catalog.clone()
	t.Created = w.now
	t.ID = next.nextID(w.batch)
	if sp != nil && sp.StreamEnabled {
		st := &stream{
			ID: next.nextID(w.batch), TableName: t.Name, Key: t.Key, View: sp.StreamViewType, Created: w.now,
			Shards: []shard{{Number: w.now, Start: w.nextSequence()}},
		}
		if err := next.putStream(w.batch, st); err != nil {
			return nil, err
		}
		t.StreamID, t.stream = st.ID, st
	}
	t.finish()
	if err := next.putTable(w.batch, t); err != nil {
		return nil, err
	}
	w.tallies[t.ID] = newTally(t)
	w.tally(t.ID)
	w.batch.Set(keyVersion, []byte(layoutVersion))
	return w.adopt(next), nil
}

// table makes the definition; the parameters are valid.
func (p *createParams) table() *table {
	t := &table{
		Name: *p.TableName, Key: p.schema(p.KeySchema), Throughput: p.ProvisionedThroughput.values(),
		Protected: p.DeletionProtectionEnabled, Class: p.TableClass,
	}
	for _, d := range p.AttributeDefinitions {
		t.Defs = append(t.Defs, keyAttr{d.AttributeName, d.AttributeType})
	}
	if p.GlobalSecondaryIndexes == nil {
		return t
	}
	for i, ix := range *p.GlobalSecondaryIndexes {
		t.Indexes = append(t.Indexes, &index{
			ID: uint16(i + 1), Name: *ix.IndexName, Key: p.schema(ix.KeySchema),
			Projection: ix.Projection.ProjectionType, Include: ix.Projection.NonKeyAttributes,
			Throughput: ix.ProvisionedThroughput.values(),
		})
	}
	return t
}

func (t *throughputParams) values() *throughput {
	if !t.whole() {
		return nil
	}
	return &throughput{*t.ReadCapacityUnits, *t.WriteCapacityUnits}
}

func (p *createParams) schema(keys []keyElement) keySchema {
	attr := func(k keyElement) keyAttr {
		return keyAttr{k.AttributeName, p.definition(k.AttributeName).AttributeType}
	}
	k := keySchema{Hash: attr(keys[0])}
	if len(keys) == 2 {
		r := attr(keys[1])
		k.Range = &r
	}
	return k
}

// uuid makes a random UUID, version 4.
func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
