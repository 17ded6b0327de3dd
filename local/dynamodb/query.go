package dynamodb

import (
	"context"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// Values of Select.
const (
	selectAll       = "ALL_ATTRIBUTES"
	selectProjected = "ALL_PROJECTED_ATTRIBUTES"
	selectSpecific  = "SPECIFIC_ATTRIBUTES"
	selectCount     = "COUNT"
)

// pageParams are the parameters of Query and Scan.
type pageParams struct {
	table, index  wire.Text
	exprs         exprParams
	sel           string
	consumed      string
	limit         *int64
	startKey      string // JSON
	consistent    bool
	forward       bool
	segment       *int64
	totalSegments *int64
}

func readPageParams(body string) (*pageParams, error) {
	p := &pageParams{forward: true}
	d := wire.New(body)
	return p, d.Document(func(name string) error { return p.member(d, name) })
}

func (p *pageParams) member(d *wire.Decoder, name string) error {
	switch name {
	case "TableName":
		return d.Text(&p.table)
	case "IndexName":
		return d.Text(&p.index)
	case "Select":
		return d.String(&p.sel)
	case "ReturnConsumedCapacity":
		return d.String(&p.consumed)
	case "Limit":
		return d.Int(&p.limit)
	case "ExclusiveStartKey":
		return d.RawInto(&p.startKey)
	case "ConsistentRead":
		return d.Bool(&p.consistent)
	case "ScanIndexForward":
		return d.Bool(&p.forward)
	case "Segment":
		return d.Int(&p.segment)
	case "TotalSegments":
		return d.Int(&p.totalSegments)
	}
	ok, err := p.exprs.member(d, name)
	if !ok {
		return d.Skip()
	}
	return err
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
func (s *Server) query(ctx context.Context, body string) ([]byte, error) {
	p, err := readPageParams(body)
	if err != nil {
		return nil, err
	}
	if p.limit != nil && *p.limit < 1 {
		return nil, invalid("1 validation error detected: Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1")
	}
	name, err := p.validate()
	if err != nil {
		return nil, err
	}
	e, err := s.parse(&p.exprs, expr.KeyConditionExpression, expr.FilterExpression, expr.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	if e.keyCondition == nil {
		return nil, invalid("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")
	}
	pg, err := s.newPage(name, p, e)
	if err != nil {
		return nil, err
	}
	if err := pg.bind(e); err != nil {
		return nil, err
	}
	if err := pg.startAfter(p.startKey); err != nil {
		return nil, err
	}
	return s.readPage(ctx, pg)
}

// validate checks the parameters by themselves and returns the table's name.
func (p *pageParams) validate() (string, error) {
	name, err := tableName(p.table.Pointer())
	if err != nil {
		return "", err
	}
	var c constraints
	c.consumedCapacity(p.consumed)
	c.enum(p.sel, "select", selectSpecific, selectCount, selectAll, selectProjected)
	if p.index.Given {
		c.name(&p.index.S, "indexName", 3)
	}
	if p.limit != nil && *p.limit < 1 {
		c.between(int(*p.limit), "limit", 1, 1<<31-1)
	}
	if p.totalSegments != nil {
		c.between(int(*p.totalSegments), "totalSegments", 1, 1000000)
	}
	if p.segment != nil {
		c.between(int(*p.segment), "segment", 0, 999999)
	}
	if err := c.err(); err != nil {
		return "", err
	}
	return name, p.checkSelect()
}

func (p *pageParams) checkSelect() error {
	projection := p.exprs.projection.Given
	switch {
	case p.sel == selectProjected && !p.index.Given:
		return invalidParameter("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
	case p.sel == selectSpecific && !projection && len(p.exprs.legacy) == 0:
		return invalidParameter("Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES")
	case p.sel == selectCount && projection:
		return invalid("Cannot specify the ProjectionExpression when choosing to get only the Count")
	case p.sel != "" && p.sel != selectSpecific && projection:
		return invalid("Cannot specify the ProjectionExpression when choosing to get %s", p.sel)
	}
	return nil
}

// bind turns the key condition into the stretch of keys to read.
func (pg *page) bind(e expressions) error {
	k := pg.key()
	r, err := e.keyCondition.Resolve(e.args, k.Hash.Name, k.rangeName())
	if err != nil {
		return err
	}
	if err := checkOperand(k.Hash, r.Hash, true); err != nil {
		return err
	}
	for _, v := range []value.Value{r.Low, r.High} {
		if v.IsZero() {
			continue
		}
		if err := checkOperand(*k.Range, v, false); err != nil {
			return err
		}
	}
	pg.hash = value.AppendKey(pg.prefix(), r.Hash)
	pg.lower, pg.upper = stretch(pg.hash, r)
	return nil
}

func checkOperand(a keyAttr, v value.Value, hash bool) error {
	if v.Kind() != a.kind() {
		return invalidParameter("Condition parameter type does not match schema type")
	}
	return checkKeyValue(a, v, hash)
}

// stretch returns the first key and the one behind the last, for keys that begin
// with partition.
func stretch(partition []byte, r expr.Range) (lower, upper []byte) {
	lower, upper = partition, after(partition)
	at := func(v value.Value) []byte { return value.AppendKey(partition[:len(partition):len(partition)], v) }
	switch r.Op {
	case expr.Equal:
		lower = at(r.Low)
		upper = after(lower)
	case expr.Less:
		upper = at(r.Low)
	case expr.LessEq:
		upper = after(at(r.Low))
	case expr.Greater:
		lower = after(at(r.Low))
	case expr.GreaterEq:
		lower = at(r.Low)
	case expr.Between:
		lower, upper = at(r.Low), after(at(r.High))
	case expr.BeginsWith:
		lower = value.AppendKeyPrefix(partition[:len(partition):len(partition)], r.Low)
		upper = after(lower)
	case expr.All:
	}
	return lower, upper
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
func (s *Server) scan(ctx context.Context, body string) ([]byte, error) {
	p, err := readPageParams(body)
	if err != nil {
		return nil, err
	}
	p.forward = true
	p.exprs.keyCondition = wire.Text{}
	name, err := p.validate()
	if err != nil {
		return nil, err
	}
	if err := p.checkSegment(); err != nil {
		return nil, err
	}
	e, err := s.parse(&p.exprs, expr.FilterExpression, expr.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	pg, err := s.newPage(name, p, e)
	if err != nil {
		return nil, err
	}
	pg.lower = pg.prefix()
	pg.upper = after(pg.lower)
	if p.totalSegments != nil {
		pg.segment, pg.segments = uint64(*p.segment), uint64(*p.totalSegments)
	}
	if err := pg.startAfter(p.startKey); err != nil {
		return nil, err
	}
	return s.readPage(ctx, pg)
}

func (p *pageParams) checkSegment() error {
	switch {
	case p.segment == nil && p.totalSegments == nil:
		return nil
	case p.totalSegments == nil:
		return invalid("The TotalSegments parameter is required but was not present in the request when Segment parameter is present")
	case p.segment == nil:
		return invalid("The Segment parameter is required but was not present in the request when parameter TotalSegments is present")
	case *p.segment >= *p.totalSegments:
		return invalid("The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: %d is not less than TotalSegments: %d",
			*p.segment, *p.totalSegments)
	}
	return nil
}
