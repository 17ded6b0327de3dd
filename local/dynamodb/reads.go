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
	view := s.store.View()
	defer view.Release()
	item, err := get.read(view)
	if err != nil {
		return nil, err
	}
	o := wire.Begin(make([]byte, 0, 512))
	if item != nil {
		o.Name("Item")
		o.Buf = value.AppendItem(o.Buf, get.project(item))
	}
	if wantsCapacity(p.consumed) {
		used := capacity{table: consistency(p.consistent).units(value.Size(item))}
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
	name, err := tableName(p.table)
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
	return &get{table: t, key: t.itemKey(nil, key), projection: e.projection, args: e.args}, nil
}

// read returns the whole item; nil if there is none.
func (g *get) read(view *store.View) (value.Item, error) {
	stored, ok, err := view.Get(nil, g.key)
	if err != nil {
		return nil, internal(err)
	}
	if !ok {
		return nil, nil
	}
	return value.DecodeStored(stored)
}

func (g *get) project(item value.Item) value.Item {
	if g.projection == nil {
		return item
	}
	return g.projection.Project(item, g.args)
}
