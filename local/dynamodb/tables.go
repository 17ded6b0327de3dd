package dynamodb

import (
	"context"
	"encoding/json"
	"fmt"
)

// tableDescription is AWS's, without the members that it omits when empty.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TableDescription.html
type tableDescription struct {
	TableName                 string
	TableID                   string `json:"TableId"`
	TableArn                  string
	TableStatus               string
	CreationDateTime          float64               `json:",omitempty"` // seconds
	AttributeDefinitions      []attributeDefinition `json:",omitempty"`
	KeySchema                 []keyElement          `json:",omitempty"`
	ProvisionedThroughput     throughputDescription
	BillingModeSummary        *billingSummary `json:",omitempty"`
	TableSizeBytes            int64
	ItemCount                 int64
	GlobalSecondaryIndexes    []indexDescription `json:",omitempty"`
	StreamSpecification       *streamParams      `json:",omitempty"`
	LatestStreamLabel         string             `json:",omitempty"`
	LatestStreamArn           string             `json:",omitempty"`
	DeletionProtectionEnabled bool
	TableClassSummary         *classSummary `json:",omitempty"`
}

type (
	throughputDescription struct {
		NumberOfDecreasesToday, ReadCapacityUnits, WriteCapacityUnits int64
	}
	billingSummary struct {
		BillingMode                       string
		LastUpdateToPayPerRequestDateTime float64
	}
	classSummary     struct{ TableClass string }
	indexDescription struct {
		IndexName             string
		IndexArn              string
		IndexStatus           string
		KeySchema             []keyElement
		Projection            projectionParams
		ProvisionedThroughput throughputDescription
		IndexSizeBytes        int64
		ItemCount             int64
	}
)

func seconds(ms int64) float64 { return float64(ms) / 1000 }

func (s *Server) describe(t *table, status string) *tableDescription {
	d := &tableDescription{
		TableName: t.Name, TableID: t.UID, TableArn: t.arn(s.region), TableStatus: status,
		CreationDateTime: seconds(t.Created), KeySchema: elements(t.Key),
		ProvisionedThroughput: t.Throughput.describe(), DeletionProtectionEnabled: t.Protected,
	}
	for _, a := range t.Defs {
		d.AttributeDefinitions = append(d.AttributeDefinitions, attributeDefinition{a.Name, a.Type})
	}
	if t.Throughput == nil {
		d.BillingModeSummary = &billingSummary{billOnDemand, seconds(t.Created)}
	}
	if t.Class != "" {
		d.TableClassSummary = &classSummary{t.Class}
	}
	for _, ix := range t.Indexes {
		d.GlobalSecondaryIndexes = append(d.GlobalSecondaryIndexes, indexDescription{
			IndexName: ix.Name, IndexArn: fmt.Sprintf("%s/index/%s", t.arn(s.region), ix.Name), IndexStatus: status,
			KeySchema: elements(ix.Key), Projection: projectionParams{ix.Projection, ix.Include},
			ProvisionedThroughput: ix.Throughput.describe(),
		})
	}
	if st := t.stream; st != nil && st.Ended == 0 {
		d.StreamSpecification = &streamParams{StreamEnabled: true, StreamViewType: st.View}
		d.LatestStreamLabel, d.LatestStreamArn = label(st.Created), st.arn(s.region)
	}
	return d
}

func (t *throughput) describe() throughputDescription {
	if t == nil {
		return throughputDescription{}
	}
	return throughputDescription{ReadCapacityUnits: t.Read, WriteCapacityUnits: t.Write}
}

func elements(k keySchema) []keyElement {
	list := []keyElement{{k.Hash.Name, "HASH"}}
	if k.Range != nil {
		list = append(list, keyElement{k.Range.Name, "RANGE"})
	}
	return list
}

// named reads the TableName of an operation on a table as a whole and finds it.
func (s *Server) named(name *string) (*table, error) {
	n, err := tableName(name)
	if err != nil {
		return nil, err
	}
	if t := s.catalog.Load().tables[n]; t != nil {
		return t, nil
	}
	return nil, noTable(n)
}

func noTable(name string) error {
	return failure("ResourceNotFoundException", "Requested resource not found: Table: %s not found", name)
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html
func (s *Server) describeTable(_ context.Context, body string) ([]byte, error) {
	var p struct{ TableName *string }
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	t, err := s.named(p.TableName)
	if err != nil {
		return nil, err
	}
	d := s.describe(t, "ACTIVE")
	if err := s.describeCounts(d, t); err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"Table": d})
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteTable.html
func (s *Server) deleteTable(ctx context.Context, body string) ([]byte, error) {
	var p struct{ TableName *string }
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	t, err := s.named(p.TableName)
	if err != nil {
		return nil, err
	}
	if t.Protected {
		return nil, invalid("Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.")
	}
	err = s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return w.deleteTable(t) }})
	if err != nil {
		return nil, err
	}
	d := s.describe(t, "DELETING")
	// What AWS leaves out of this one.
	d.CreationDateTime, d.AttributeDefinitions, d.KeySchema, d.GlobalSecondaryIndexes = 0, nil, nil, nil
	return json.Marshal(map[string]any{"TableDescription": d})
}

// deleteTable removes the table and its items at once. Its stream ends, and can
// be read until its records are trimmed.
func (w *writer) deleteTable(t *table) (func(), error) {
	if t = w.catalog.byID[t.ID]; t == nil {
		return nil, errNoTable
	}
	next := w.catalog.clone()
	next.dropTable(w.batch, t)
	delete(w.tallies, t.ID)
	if t.stream != nil && t.stream.Ended == 0 {
		ended := *t.stream
		ended.Ended = w.now
		ended.Shards = w.closeShard(ended.Shards)
		if err := next.putStream(w.batch, &ended); err != nil {
			return nil, err
		}
	}
	w.items.clear()
	return w.adopt(next), nil
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ListTables.html
func (s *Server) listTables(_ context.Context, body string) ([]byte, error) {
	var p struct {
		ExclusiveStartTableName *string
		Limit                   *int
	}
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	var c constraints
	limit := 100
	if p.ExclusiveStartTableName != nil {
		c.name(p.ExclusiveStartTableName, "exclusiveStartTableName", 3)
	}
	if p.Limit != nil {
		limit = *p.Limit
		c.between(limit, "limit", 1, 100)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	answer := struct {
		TableNames             []string
		LastEvaluatedTableName string `json:",omitempty"`
	}{TableNames: []string{}}
	for _, name := range sortedKeys(s.catalog.Load().tables) {
		if p.ExclusiveStartTableName != nil && name <= *p.ExclusiveStartTableName {
			continue
		}
		if len(answer.TableNames) == limit {
			answer.LastEvaluatedTableName = answer.TableNames[limit-1]
			break
		}
		answer.TableNames = append(answer.TableNames, name)
	}
	return json.Marshal(answer)
}

func (c *constraints) between(n int, at string, least, most int) {
	switch {
	case n < least:
		c.add(quoted(fmt.Sprint(n)), at, fmt.Sprintf("Member must have value greater than or equal to %d", least))
	case n > most:
		c.add(quoted(fmt.Sprint(n)), at, fmt.Sprintf("Member must have value less than or equal to %d", most))
	}
}
