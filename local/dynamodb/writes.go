package dynamodb

import (
	"context"

	"github.com/bloom-runtime/bloom/local/dynamodb/expr"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// ReturnValues.
const (
	returnNone       = "NONE"
	returnAllOld     = "ALL_OLD"
	returnAllNew     = "ALL_NEW"
	returnUpdatedOld = "UPDATED_OLD"
	returnUpdatedNew = "UPDATED_NEW"
)

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html
func (s *Server) putItem(ctx context.Context, body string) ([]byte, error) {
	p, err := readItemParams(body)
	if err != nil {
		return nil, err
	}
	c, err := s.preparePut(p, true)
	if err != nil {
		return nil, err
	}
	return s.writeOne(ctx, p, c)
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html
func (s *Server) updateItem(ctx context.Context, body string) ([]byte, error) {
	p, err := readItemParams(body)
	if err != nil {
		return nil, err
	}
	c, err := s.prepareUpdate(p, true)
	if err != nil {
		return nil, err
	}
	return s.writeOne(ctx, p, c)
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html
func (s *Server) deleteItem(ctx context.Context, body string) ([]byte, error) {
	p, err := readItemParams(body)
	if err != nil {
		return nil, err
	}
	c, err := s.prepareKeyed(p, changeDelete, true)
	if err != nil {
		return nil, err
	}
	return s.writeOne(ctx, p, c)
}

// writeOne carries out a change that is a request by itself.
func (s *Server) writeOne(ctx context.Context, p *itemParams, c change) ([]byte, error) {
	r := &write{changes: []change{c}, faults: s.faults}
	if err := s.submit(ctx, r); err != nil {
		return nil, err
	}
	return writeAnswer(p, &r.changes[0]), nil
}

func writeAnswer(p *itemParams, c *change) []byte {
	o := wire.Begin(make([]byte, 0, 64))
	if shown := c.returned(p.returnValues); len(shown) > 0 {
		o.Name("Attributes")
		o.Buf = value.AppendItem(o.Buf, shown)
	}
	if wantsCapacity(p.consumed) {
		var used capacity
		used.write(c, 1)
		o.Name("ConsumedCapacity")
		o.Buf = used.appendJSON(o.Buf, c.table.Name, p.consumed, plainUnits)
	}
	return o.End()
}

// returned is what ReturnValues asks for; nil for nothing.
func (c *change) returned(returnValues string) value.Item {
	switch returnValues {
	case returnAllOld:
		return c.old
	case returnAllNew:
		return c.new
	case returnUpdatedOld:
		if c.update != nil && c.old != nil {
			return c.update.Touched(c.old, c.args)
		}
	case returnUpdatedNew:
		if c.update != nil {
			return c.update.Touched(c.new, c.args)
		}
	}
	return nil
}

// validate checks the parameters that need no table. alone is false for an
// action of a transaction, which has fewer of them.
func (p *itemParams) validate(alone bool, body string, at string) (string, error) {
	name, err := tableName(p.table.Pointer())
	if err != nil {
		return "", err
	}
	var c constraints
	c.present(body != "", at)
	if alone {
		c.consumedCapacity(p.consumed)
		c.enum(p.returnMetrics, "returnItemCollectionMetrics", "SIZE", "NONE")
		c.enum(p.returnValues, "returnValues", returnAllNew, returnUpdatedOld, returnAllOld, returnNone, returnUpdatedNew)
	}
	c.enum(p.returnFailed, "returnValuesOnConditionCheckFailure", returnAllOld, returnNone)
	return name, c.err()
}

func (p *itemParams) onlyOldValues() error {
	switch p.returnValues {
	case "", returnNone, returnAllOld:
		return nil
	}
	return invalid("ReturnValues can only be ALL_OLD or NONE")
}

func (s *Server) preparePut(p *itemParams, alone bool) (change, error) {
	name, err := p.validate(alone, p.item, "item")
	if err != nil {
		return change{}, err
	}
	if err := p.onlyOldValues(); err != nil {
		return change{}, err
	}
	item, err := value.ParseItem(p.item)
	if err != nil {
		return change{}, err
	}
	e, err := s.parse(&p.exprs, expr.ConditionExpression)
	if err != nil {
		return change{}, err
	}
	t, err := s.catalog.Load().table(name)
	if err != nil {
		return change{}, err
	}
	if err := ofItem(t.checkItem(item, value.Size(item))); err != nil {
		return change{}, err
	}
	return change{
		kind: changePut, table: t, keys: t.keyOf(item), key: t.newItemKey(item),
		item: item, stored: value.Stored(item),
		cond: e.condition, args: e.args, showOld: p.returnFailed == returnAllOld,
	}, nil
}

// prepareKeyed makes a delete or a condition check.
func (s *Server) prepareKeyed(p *itemParams, kind changeKind, alone bool) (change, error) {
	name, err := p.validate(alone, p.key, "key")
	if err != nil {
		return change{}, err
	}
	if err := p.onlyOldValues(); err != nil {
		return change{}, err
	}
	return s.prepareOn(name, p, kind, expr.ConditionExpression)
}

func (s *Server) prepareUpdate(p *itemParams, alone bool) (change, error) {
	name, err := p.validate(alone, p.key, "key")
	if err != nil {
		return change{}, err
	}
	c, err := s.prepareOn(name, p, changeUpdate, expr.UpdateExpression, expr.ConditionExpression)
	if err != nil || c.update == nil {
		return c, err
	}
	for attr := range c.update.TopLevel(c.args) {
		if c.table.Key.has(attr) {
			return change{}, ofItem(invalidParameter("Cannot update attribute %s. This attribute is part of the key", attr))
		}
	}
	return c, nil
}

// prepareOn makes a change of the item that p's key names.
func (s *Server) prepareOn(name string, p *itemParams, kind changeKind, fields ...expr.Field) (change, error) {
	key, err := value.ParseItem(p.key)
	if err != nil {
		return change{}, err
	}
	e, err := s.parse(&p.exprs, fields...)
	if err != nil {
		return change{}, err
	}
	t, err := s.catalog.Load().table(name)
	if err != nil {
		return change{}, err
	}
	if err := ofItem(t.checkKey(key)); err != nil {
		return change{}, err
	}
	return change{
		kind: kind, table: t, keys: key, key: t.newItemKey(key),
		update: e.update, cond: e.condition, args: e.args, showOld: p.returnFailed == returnAllOld,
	}, nil
}
