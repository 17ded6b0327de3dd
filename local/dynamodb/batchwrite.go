package dynamodb

import (
	"bytes"
	"context"
	"errors"

	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// maxBatchWrites is how many puts and deletes a BatchWriteItem may have.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
const maxBatchWrites = 25

// batchAction is one put or delete of a batch.
type batchAction struct {
	kind   changeKind
	params itemParams
}

type batchWriteParams struct {
	actions  []batchAction
	perTable map[string]int
	consumed string
	metrics  string
}

func readBatchWrite(body string) (*batchWriteParams, error) {
	p := &batchWriteParams{perTable: map[string]int{}}
	d := wire.New(body)
	err := d.Document(func(name string) error {
		switch name {
		case "RequestItems":
			return d.Object(func(table string) error {
				p.perTable[table] = 0
				return d.Array(func() error {
					p.perTable[table]++
					return p.action(d, table)
				})
			})
		case "ReturnConsumedCapacity":
			return d.String(&p.consumed)
		case "ReturnItemCollectionMetrics":
			return d.String(&p.metrics)
		}
		return d.Skip()
	})
	return p, err
}

func (p *batchWriteParams) action(d *wire.Decoder, table string) error {
	n := len(p.actions)
	err := d.Object(func(name string) error {
		a := batchAction{params: itemParams{table: wire.Text{S: table, Given: true}}}
		switch name {
		case "PutRequest":
			a.kind = changePut
		case "DeleteRequest":
			a.kind = changeDelete
		default:
			return d.Skip()
		}
		if err := a.params.read(d); err != nil {
			return err
		}
		p.actions = append(p.actions, a)
		return nil
	})
	if err == nil && len(p.actions) != n+1 {
		return invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	return err
}

func (p *batchWriteParams) validate() error {
	if len(p.perTable) == 0 {
		return invalid("The requestItems parameter is required for BatchWriteItem")
	}
	var c constraints
	c.consumedCapacity(p.consumed)
	c.enum(p.metrics, "returnItemCollectionMetrics", "SIZE", "NONE")
	const rule = "Map value must satisfy constraint: [Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"
	for table, n := range p.perTable {
		if n == 0 || n > maxBatchWrites {
			c.add("'{"+table+"=[...]}'", "requestItems", rule)
		}
	}
	if err := c.err(); err != nil {
		return err
	}
	if len(p.actions) > maxBatchWrites {
		return invalid("Too many items requested for the BatchWriteItem call")
	}
	return nil
}

// batchWriteItem carries out all of the batch in one commit: nothing is left
// unprocessed but by a fault.
func (s *Server) batchWriteItem(ctx context.Context, body string) ([]byte, error) {
	p, err := readBatchWrite(body)
	if err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	r := &write{batch: true, faults: s.faults, changes: make([]change, 0, len(p.actions))}
	for i := range p.actions {
		c, err := s.prepareAction(p.actions[i].kind, &p.actions[i].params)
		if api := (*apiError)(nil); errors.As(err, &api) && api.key == keyMismatch {
			return nil, errKeySchema // a batch does not say more
		}
		if err != nil {
			return nil, err
		}
		r.changes = append(r.changes, c)
	}
	if twice(r.changes) {
		return nil, invalid("Provided list of item keys contains duplicates")
	}
	if s.faults != nil {
		s.faults.leaveChanges(r)
	}
	if err := s.submit(ctx, r); err != nil {
		return nil, err
	}
	o := wire.Begin(nil)
	o.Name("UnprocessedItems")
	o.Buf = p.appendLeft(o.Buf, r.changes)
	if wantsCapacity(p.consumed) {
		used := capacities{}
		for i := range r.changes {
			if !r.changes[i].left {
				used.of(r.changes[i].table.Name).write(&r.changes[i], 1)
			}
		}
		o.Name("ConsumedCapacity")
		o.Buf = used.appendJSON(o.Buf, p.consumed, plainUnits)
	}
	return o.End(), nil
}

// prepareAction makes a change of an action that is not a request by itself.
func (s *Server) prepareAction(kind changeKind, p *itemParams) (change, error) {
	switch kind {
	case changePut:
		return s.preparePut(p, false)
	case changeUpdate:
		return s.prepareUpdate(p, false)
	default:
		return s.prepareKeyed(p, kind, false)
	}
}

// twice tells whether two changes are of the same item.
func twice(changes []change) bool {
	for i := range changes {
		for j := range i {
			if bytes.Equal(changes[i].key, changes[j].key) {
				return true
			}
		}
	}
	return false
}
