package dynamodb

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// Limits of transactions.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
const (
	maxActions     = 100
	maxTransaction = 4 << 20 // bytes of items
	maxToken       = 36      // characters
)

// action is one action of a transaction.
type action struct {
	kind   changeKind
	name   string // as in the request
	params itemParams
}

type transactWriteParams struct {
	given    bool
	actions  []action
	token    wire.Text
	consumed string
	metrics  string
}

var actionKinds = map[string]changeKind{
	"Put": changePut, "Update": changeUpdate, "Delete": changeDelete, "ConditionCheck": changeCheck,
}

func readTransactWrite(body string) (*transactWriteParams, error) {
	p := &transactWriteParams{}
	d := wire.New(body)
	err := d.Document(func(name string) error {
		switch name {
		case "TransactItems":
			p.given = true
			p.actions = make([]action, 0, 4)
			return d.Array(func() error { return p.action(d) })
		case "ClientRequestToken":
			return d.Text(&p.token)
		case "ReturnConsumedCapacity":
			return d.String(&p.consumed)
		case "ReturnItemCollectionMetrics":
			return d.String(&p.metrics)
		}
		return d.Skip()
	})
	return p, err
}

func (p *transactWriteParams) action(d *wire.Decoder) error {
	n := len(p.actions)
	err := d.Object(func(name string) error {
		kind, ok := actionKinds[name]
		if !ok {
			return d.Skip()
		}
		a := action{kind: kind, name: name}
		if err := a.params.read(d); err != nil {
			return err
		}
		p.actions = append(p.actions, a)
		return nil
	})
	if err == nil && len(p.actions) != n+1 {
		return invalid("TransactItems can only contain one of Check, Put, Update or Delete")
	}
	return err
}

func (p *transactWriteParams) validate() error {
	var c constraints
	c.transactItems(p.given, len(p.actions))
	c.consumedCapacity(p.consumed)
	c.enum(p.metrics, "returnItemCollectionMetrics", "SIZE", "NONE")
	if n := len(p.token.S); p.token.Given && (n < 1 || n > maxToken) {
		c.length(n, quoted(p.token.S), "clientRequestToken", 1, maxToken)
	}
	for i := range p.actions {
		a := &p.actions[i]
		switch a.kind {
		case changeUpdate:
			if !a.params.exprs.update.Given {
				c.present(false, fmt.Sprintf("transactItems.%d.member.update.updateExpression", i+1))
			}
		case changeCheck:
			if !a.params.exprs.condition.Given {
				c.present(false, fmt.Sprintf("transactItems.%d.member.conditionCheck.conditionExpression", i+1))
			}
		case changePut, changeDelete:
		}
	}
	return c.err()
}

// transactItems checks the number of actions.
func (c *constraints) transactItems(given bool, n int) {
	c.present(given, "transactItems")
	shown := "'[...]'"
	if n == 0 {
		shown = "'[]'"
	}
	if given {
		c.length(n, shown, "transactItems", 1, maxActions)
	}
}

func (s *Server) transactWriteItems(ctx context.Context, body string) ([]byte, error) {
	p, err := readTransactWrite(body)
	if err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	r, err := s.prepareTransaction(p)
	if err != nil {
		return nil, err
	}
	if err := s.submit(ctx, r); err != nil {
		return nil, err
	}
	return s.transactAnswer(p, r)
}

func (s *Server) prepareTransaction(p *transactWriteParams) (*write, error) {
	r := &write{transaction: true, faults: s.faults, changes: make([]change, 0, len(p.actions))}
	reasons := make([]reason, len(p.actions))
	refused := false
	size := 0
	for i := range p.actions {
		c, err := s.prepareAction(p.actions[i].kind, &p.actions[i].params)
		if err != nil {
			if ofItem := (*itemError)(nil); errors.As(err, &ofItem) {
				reasons[i] = ofItem.reason()
				refused = true
				continue
			}
			return nil, err
		}
		size += value.Size(c.item)
		r.changes = append(r.changes, c)
	}
	switch {
	case refused:
		return nil, cancelled(reasons)
	case twice(r.changes):
		return nil, invalid("Transaction request cannot include multiple operations on one item")
	case size > maxTransaction:
		return nil, invalid("Transaction request size exceeds the limit of 4 MB")
	}
	if p.token.Given {
		r.token = &token{text: p.token.S, fingerprint: p.fingerprint(r.changes)}
	}
	return r, nil
}

// fingerprint covers all that the actions say. It is the same for requests that
// mean the same, in whatever order their maps were written: stored forms have an
// order, and each part tells where it ends.
func (p *transactWriteParams) fingerprint(changes []change) (sum [sha256.Size]byte) {
	hash := sha256.New()
	buf := make([]byte, 0, 1<<10)
	for i := range changes {
		c, a := &changes[i], &p.actions[i].params
		buf = append(append(buf[:0], byte(c.kind)), c.key...)
		buf = append(buf, c.stored...)
		for _, text := range []wire.Text{a.exprs.condition, a.exprs.update} {
			buf = binary.AppendUvarint(buf, uint64(len(text.S)))
			buf = append(buf, text.S...)
		}
		buf = append(append(buf, a.returnFailed...), 0)
		buf = value.AppendStored(value.AppendStored(buf, c.args.Names), c.args.Values)
		_, _ = hash.Write(buf) // never fails
	}
	hash.Sum(sum[:0])
	return sum
}

// reasonsOf says of each change why it stopped the transaction.
func reasonsOf(changes []change) []reason {
	reasons := make([]reason, len(changes))
	for i := range changes {
		c := &changes[i]
		switch {
		case c.err == nil:
		case isConditionFailed(c.err):
			reasons[i] = reason{code: "ConditionalCheckFailed", message: errConditionFailed.message}
			if c.showOld {
				reasons[i].item = c.old
			}
		default:
			reasons[i] = reason{code: "ValidationError", message: asAPIError(c.err).message}
		}
	}
	return reasons
}

func isConditionFailed(err error) bool {
	var e *apiError
	return errors.As(err, &e) && e.name == errConditionFailed.name
}

func (s *Server) transactAnswer(p *transactWriteParams, r *write) ([]byte, error) {
	o := wire.Begin(nil)
	if !wantsCapacity(p.consumed) {
		return o.End(), nil
	}
	used, names := capacities{}, writeUnitsToo
	if r.replayed {
		// Nothing was written: a repeated transaction costs reads.
		names = readUnitsToo
		view := s.store.View()
		defer view.Release()
		if err := used.replay(view, r.changes); err != nil {
			return nil, err
		}
	} else {
		for i := range r.changes {
			used.of(r.changes[i].table.Name).write(&r.changes[i], 2)
		}
	}
	o.Name("ConsumedCapacity")
	o.Buf = used.appendJSON(o.Buf, p.consumed, names)
	return o.End(), nil
}

func (m capacities) replay(view *store.View, changes []change) error {
	for i := range changes {
		g := get{table: changes[i].table, key: changes[i].key}
		stored, err := g.stored(nil, view)
		if err != nil {
			return err
		}
		size := 0
		if stored != nil {
			if _, size, err = g.appendJSON(nil, stored); err != nil {
				return err
			}
		}
		m.of(g.table.Name).table += readTransactional.units(size)
	}
	return nil
}
