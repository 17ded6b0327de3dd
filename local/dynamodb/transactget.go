package dynamodb

import (
	"context"
	"errors"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

type transactGetParams struct {
	given    bool
	gets     []itemParams
	consumed string
}

func readTransactGet(body string) (*transactGetParams, error) {
	p := &transactGetParams{}
	d := wire.New(body)
	err := d.Document(func(name string) error {
		switch name {
		case "TransactItems":
			p.given = true
			return d.Array(func() error { return p.get(d) })
		case "ReturnConsumedCapacity":
			return d.String(&p.consumed)
		}
		return d.Skip()
	})
	return p, err
}

func (p *transactGetParams) get(d *wire.Decoder) error {
	n := len(p.gets)
	err := d.Object(func(name string) error {
		if name != "Get" {
			return d.Skip()
		}
		var g itemParams
		err := g.read(d)
		p.gets = append(p.gets, g)
		return err
	})
	if err == nil && len(p.gets) != n+1 {
		var c constraints
		c.present(false, "transactItems.member.get")
		return c.err()
	}
	return err
}

// transactGetItems reads all items as of one moment.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactGetItems.html
func (s *Server) transactGetItems(_ context.Context, body string) ([]byte, error) {
	p, err := readTransactGet(body)
	if err != nil {
		return nil, err
	}
	var c constraints
	c.transactItems(p.given, len(p.gets))
	c.consumedCapacity(p.consumed)
	if err := c.err(); err != nil {
		return nil, err
	}
	gets, err := s.prepareGets(p.gets)
	if err != nil {
		return nil, err
	}
	return s.readGets(gets, p.consumed)
}

func (s *Server) prepareGets(params []itemParams) ([]*get, error) {
	gets := make([]*get, len(params))
	reasons := make([]reason, len(params))
	refused := false
	seen := make(map[string]bool, len(params))
	for i := range params {
		g, err := s.prepareGet(&params[i])
		if ofItem := (*itemError)(nil); errors.As(err, &ofItem) {
			reasons[i] = ofItem.reason()
			refused = true
			continue
		}
		if err != nil {
			return nil, err
		}
		if seen[string(g.key)] {
			return nil, invalid("Transaction request cannot include multiple operations on one item")
		}
		seen[string(g.key)] = true
		gets[i] = g
	}
	if refused {
		return nil, cancelled(reasons)
	}
	return gets, nil
}

// respond puts the item, if there is one, into a transaction's response, and
// returns its size.
func (g *get) respond(response *wire.Object, view *store.View) (size int, err error) {
	stored, err := g.stored(nil, view)
	if err != nil || stored == nil {
		return 0, err
	}
	response.Name("Item")
	response.Buf, size, err = g.appendJSON(response.Buf, stored)
	return size, err
}

func (s *Server) readGets(gets []*get, consumed string) ([]byte, error) {
	if s.faults != nil {
		if err := s.faults.refuseGets(gets); err != nil {
			return nil, err
		}
	}
	view := s.store.View()
	defer view.Release()
	used := capacities{}
	size := 0
	var sizes []int // where faults are on
	o := wire.Begin(make([]byte, 0, 1024))
	o.Name("Responses")
	for i, g := range gets {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		response := wire.Begin(append(o.Buf, sep))
		n, err := g.respond(&response, view)
		if err != nil {
			return nil, err
		}
		if size += n; size > maxTransaction {
			return nil, invalid("Transaction response size exceeds the limit of 4 MB")
		}
		if s.faults != nil {
			sizes = append(sizes, n)
		}
		used.of(g.table.Name).table += readTransactional.units(n)
		o.Buf = response.End()
	}
	if s.faults != nil {
		if err := s.faults.chargeGets(gets, sizes); err != nil {
			return nil, err
		}
	}
	o.Buf = append(o.Buf, ']')
	if wantsCapacity(consumed) {
		o.Name("ConsumedCapacity")
		o.Buf = used.appendJSON(o.Buf, consumed, readUnitsToo)
	}
	return o.End(), nil
}
