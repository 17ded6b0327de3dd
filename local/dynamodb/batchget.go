package dynamodb

import (
	"bytes"
	"context"
	"slices"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// Limits of BatchGetItem.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
const (
	maxBatchKeys  = 100
	maxBatchBytes = 16 << 20
)

// keysParams are the keys wanted from one table.
type keysParams struct {
	table      string
	keys       []string // JSON
	exprs      exprParams
	consistent bool
}

type batchGetParams struct {
	tables   []*keysParams
	consumed string
}

func readBatchGet(body string) (*batchGetParams, error) {
	p := &batchGetParams{}
	d := wire.New(body)
	err := d.Document(func(name string) error {
		switch name {
		case "RequestItems":
			return d.Object(func(table string) error {
				k := &keysParams{table: table}
				p.tables = append(p.tables, k)
				return k.read(d)
			})
		case "ReturnConsumedCapacity":
			return d.String(&p.consumed)
		}
		return d.Skip()
	})
	return p, err
}

func (k *keysParams) read(d *wire.Decoder) error {
	return d.Object(func(name string) error {
		switch name {
		case "Keys":
			return d.Array(func() error {
				raw, err := d.Raw()
				k.keys = append(k.keys, raw)
				return err
			})
		case "ConsistentRead":
			return d.Bool(&k.consistent)
		}
		ok, err := k.exprs.member(d, name)
		if !ok {
			return d.Skip()
		}
		return err
	})
}

func (p *batchGetParams) validate() error {
	if len(p.tables) == 0 {
		return invalid("The requestItems parameter is required for BatchGetItem")
	}
	var c constraints
	c.consumedCapacity(p.consumed)
	if err := c.err(); err != nil {
		return err
	}
	n := 0
	for _, k := range p.tables {
		switch {
		case len(k.keys) > maxBatchKeys:
			return invalid("1 validation error detected: Value at 'RequestItems.%s.member.Keys' failed to satisfy constraint: Member must have length less than or equal to %d", k.table, maxBatchKeys)
		case len(k.keys) == 0:
			return invalid("1 validation error detected: Value at 'RequestItems.%s.member.Keys' failed to satisfy constraint: Member must have length greater than or equal to 1", k.table)
		}
		if n += len(k.keys); n > maxBatchKeys {
			return invalid("Too many items requested for the BatchGetItem call")
		}
	}
	return nil
}

// keysOf is the work on one table.
type keysOf struct {
	params     *keysParams
	table      *table
	keys       [][]byte // in the store
	projection *expr.Projection
	args       expr.Args
}

func (s *Server) prepareKeys(c *catalog, k *keysParams) (*keysOf, error) {
	e, err := s.parse(&k.exprs, expr.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	name, err := tableName(&k.table)
	if err != nil {
		return nil, err
	}
	t, err := c.table(name)
	if err != nil {
		return nil, err
	}
	w := &keysOf{params: k, table: t, keys: make([][]byte, 0, len(k.keys)), projection: e.projection, args: e.args}
	for _, raw := range k.keys {
		key, err := value.ParseItem(raw)
		if err != nil {
			return nil, err
		}
		if err := t.checkKey(key); err != nil {
			return nil, err
		}
		at := t.newItemKey(key)
		if slices.ContainsFunc(w.keys, func(other []byte) bool { return bytes.Equal(other, at) }) {
			return nil, invalid("Provided list of item keys contains duplicates")
		}
		w.keys = append(w.keys, at)
	}
	return w, nil
}

// batchGetItem answers what fits into 16 MB; the rest is unprocessed.
func (s *Server) batchGetItem(ctx context.Context, body string) ([]byte, error) {
	p, err := readBatchGet(body)
	if err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	c := s.catalog.Load()
	work := make([]*keysOf, len(p.tables))
	for i, k := range p.tables {
		if work[i], err = s.prepareKeys(c, k); err != nil {
			return nil, err
		}
	}
	b := newBatchRead(s, p)
	if s.faults != nil {
		if b.faults, err = s.newBatchFaults(work); err != nil {
			return nil, err
		}
	}
	for _, w := range work {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := b.read(w); err != nil {
			return nil, err
		}
	}
	if b.faults != nil {
		if err := b.faults.none(); err != nil {
			return nil, err
		}
	}
	return b.end(p.consumed), nil
}

// batchRead collects the answer.
type batchRead struct {
	server      *Server
	faults      *batchFaults // nil: none
	view        *store.View  // of the table that is read
	size        int          // bytes of items so far
	answer      wire.Object  // its buffer is that of responses until they end
	responses   wire.Object
	unprocessed wire.Object
	used        capacities // nil when nobody asks
	stored      []byte     // scratch
}

func newBatchRead(s *Server, p *batchGetParams) *batchRead {
	room := 128
	for _, k := range p.tables {
		room += min(len(k.keys), 32) * 512
	}
	b := &batchRead{server: s, answer: wire.Begin(make([]byte, 0, room)), unprocessed: wire.Begin(nil)}
	b.answer.Name("Responses")
	b.responses = wire.Begin(b.answer.Buf)
	if wantsCapacity(p.consumed) {
		b.used = capacities{}
	}
	return b
}

func (b *batchRead) read(w *keysOf) error {
	b.view = b.server.tableView(w.params.consistent)
	defer b.view.Release()
	b.responses.Name(w.params.table)
	b.responses.Buf = append(b.responses.Buf, '[')
	first := true
	var left []string
	factor := consistency(w.params.consistent)
	for i, key := range w.keys {
		if b.size >= maxBatchBytes {
			left = append(left, w.params.keys[i:]...)
			break
		}
		g := get{table: w.table, key: key, projection: w.projection, args: w.args}
		if b.faults != nil {
			leave, err := b.faults.leaves(&g, b.view, factor)
			if err != nil {
				return err
			}
			if leave {
				left = append(left, w.params.keys[i])
				continue
			}
		}
		size, err := b.readOne(&g, &first)
		if err != nil {
			return err
		}
		b.size += size
		if b.used != nil {
			b.used.of(w.table.Name).table += factor.units(size)
		}
	}
	b.responses.Buf = append(b.responses.Buf, ']')
	if len(left) > 0 {
		b.leave(w.params, left)
	}
	return nil
}

// readOne puts an item, if there is one, behind those of its table, and returns
// its size. first tells that there are none yet.
func (b *batchRead) readOne(g *get, first *bool) (size int, err error) {
	stored, err := g.stored(b.stored, b.view)
	if err != nil || stored == nil {
		return 0, err
	}
	b.stored = stored
	if !*first {
		b.responses.Buf = append(b.responses.Buf, ',')
	}
	*first = false
	b.responses.Buf, size, err = g.appendJSON(b.responses.Buf, stored)
	return size, err
}

// leave puts keys among the unprocessed ones, in the shape of a request.
func (b *batchRead) leave(k *keysParams, keys []string) {
	b.unprocessed.Name(k.table)
	o := wire.Begin(b.unprocessed.Buf)
	o.Name("Keys")
	for j, raw := range keys {
		sep := byte(',')
		if j == 0 {
			sep = '['
		}
		o.Buf = append(append(o.Buf, sep), raw...)
	}
	o.Buf = append(o.Buf, ']')
	if k.consistent {
		o.Name("ConsistentRead")
		o.Buf = append(o.Buf, "true"...)
	}
	if k.exprs.projection.Given {
		o.String("ProjectionExpression", k.exprs.projection.S)
	}
	if k.exprs.names != nil {
		o.Name("ExpressionAttributeNames")
		names := wire.Begin(o.Buf)
		for _, f := range k.exprs.names {
			names.String(f.Name, f.Value.Text())
		}
		o.Buf = names.End()
	}
	b.unprocessed.Buf = o.End()
}

func (b *batchRead) end(consumed string) []byte {
	o := &b.answer
	o.Buf = b.responses.End()
	o.Name("UnprocessedKeys")
	o.Buf = append(o.Buf, b.unprocessed.End()...)
	if wantsCapacity(consumed) {
		o.Name("ConsumedCapacity")
		o.Buf = b.used.appendJSON(o.Buf, consumed, plainUnits)
	}
	return o.End()
}
