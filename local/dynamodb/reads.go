package dynamodb

import (
	"context"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
func (s *Server) getItem(_ context.Context, body string) ([]byte, error) {
	p, err := readItemParams(body)
	if err != nil {
		return nil, err
	}
	get, err := s.prepareGet(p)
	if err != nil {
		return nil, err
	}
	view := s.tableView(p.consistent)
	defer view.Release()
	stored, err := get.stored(nil, view)
	if err != nil {
		return nil, err
	}
	size := 0
	o := wire.Begin(make([]byte, 0, 128+value.LikelyJSON(stored)))
	if stored != nil {
		o.Name("Item")
		if o.Buf, size, err = get.appendJSON(o.Buf, stored); err != nil {
			return nil, err
		}
	}
	if s.faults != nil {
		if err := s.faults.read(get, consistency(p.consistent), size, s.region); err != nil {
			return nil, err
		}
	}
	if wantsCapacity(p.consumed) {
		used := capacity{table: consistency(p.consistent).units(size)}
		o.Name("ConsumedCapacity")
		o.Buf = used.appendJSON(o.Buf, get.table.Name, p.consumed, plainUnits)
	}
	return o.End(), nil
}

// get is a read of one item.
type get struct {
	table      *table
	key        []byte // in the store
	projection *expr.Projection
	args       expr.Args
}

func (s *Server) prepareGet(p *itemParams) (*get, error) {
	name, err := tableName(p.table.Pointer())
	if err != nil {
		return nil, err
	}
	var c constraints
	c.present(p.key != "", "key")
	c.consumedCapacity(p.consumed)
	if err := c.err(); err != nil {
		return nil, err
	}
	key, err := value.ParseItem(p.key)
	if err != nil {
		return nil, err
	}
	e, err := s.parse(&p.exprs, expr.ProjectionExpression)
	if err != nil {
		return nil, err
	}
	t, err := s.catalog.Load().table(name)
	if err != nil {
		return nil, err
	}
	if err := ofItem(t.checkKey(key)); err != nil {
		return nil, err
	}
	return &get{table: t, key: t.newItemKey(key), projection: e.projection, args: e.args}, nil
}

// stored returns the whole item as it is stored, in buf if it has the room; nil if
// there is none.
func (g *get) stored(buf []byte, view *store.View) ([]byte, error) {
	stored, ok, err := view.Get(buf[:0], g.key)
	if err != nil {
		return nil, internal(err)
	}
	if !ok {
		return nil, nil
	}
	return stored, nil
}

// appendJSON appends what is asked for of a stored item. size is the whole item's.
func (g *get) appendJSON(dst, stored []byte) (json []byte, size int, err error) {
	if g.projection == nil {
		return value.TranscodeStored(dst, stored)
	}
	item, err := value.DecodeStored(stored)
	if err != nil {
		return dst, 0, err
	}
	return value.AppendItem(dst, g.projection.Project(item, g.args)), value.Size(item), nil
}
