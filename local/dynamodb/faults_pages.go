package dynamodb

import (
	"context"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// shortPage is the most items after which a short page ends.
const shortPage = 16

// shorten makes a page of Query or Scan end early, now and then.
func (f *faults) shorten(pg *page) {
	d := f.dice[drawShortPages]
	if !d.hit(f.ShortPages) {
		return
	}
	most := shortPage
	if pg.limit > 0 {
		most = min(most, pg.limit)
	}
	n := d.below(most + 1)
	if n == 0 && pg.start != nil {
		pg.nothing = true // the client has a place to go on from
		return
	}
	pg.limit = max(n, 1)
}

// leaveSome chooses among the n keys or items of a batch those that are left
// unprocessed: never all. nil: none.
func (f *faults) leaveSome(n int) []bool {
	if f.Unprocessed <= 0 {
		return nil
	}
	d := f.dice[drawUnprocessed]
	left, all := make([]bool, n), true
	for i := range left {
		left[i] = d.hit(f.Unprocessed)
		all = all && left[i]
	}
	if all {
		left[d.below(n)] = false
	}
	return left
}

// readPageWithFaults is readPage where faults are on.
func (s *Server) readPageWithFaults(ctx context.Context, pg *page) ([]byte, error) {
	if t := s.faults.refuseRead(pg.table, pg.index); t != nil {
		return nil, t.answer(s.region)
	}
	if s.faults.shorten(pg); pg.nothing {
		r := pg.begin()
		r.last = pg.start
		return pg.end(r), nil
	}
	var view *store.View
	if pg.index != nil {
		view = s.indexView()
	} else {
		view = s.tableView(pg.factor == readConsistent)
	}
	defer view.Release()
	pg.spent = map[string]int{}
	answer, err := pg.answer(ctx, view, &s.gaps)
	if err != nil {
		return nil, err
	}
	if t := s.faults.chargePage(pg); t != nil {
		return nil, t.answer(s.region)
	}
	return answer, nil
}

// batchFaults are those of one BatchGetItem.
type batchFaults struct {
	server     *Server
	left       []bool // by the keys' numbers in the request; nil: none
	seen, done int    // keys
	throttled  *throttle
}

// newBatchFaults refuses the batch or chooses the keys that are left.
func (s *Server) newBatchFaults(work []*keysOf) (*batchFaults, error) {
	if t := s.faults.refuseRead(work[0].table, nil); t != nil {
		return nil, t.answer(s.region)
	}
	n := 0
	for _, w := range work {
		n += len(w.keys)
	}
	return &batchFaults{server: s, left: s.faults.leaveSome(n)}, nil
}

// leaves decides whether a key is left, at random or for its limit.
func (b *batchFaults) leaves(g *get, view *store.View, factor readFactor) (bool, error) {
	n := b.seen
	b.seen++
	if b.left != nil && b.left[n] {
		return true, nil
	}
	size, err := g.size(view)
	if err != nil {
		return false, err
	}
	if t := b.server.faults.chargeGet(g, factor, size); t != nil {
		b.throttled = t
		return true, nil
	}
	b.done++
	return false, nil
}

// none is the batch's error when every key was throttled.
func (b *batchFaults) none() error {
	if b.throttled != nil && b.done == 0 {
		return b.throttled.answer(b.server.region)
	}
	return nil
}

// size is that of the item; 0 for none.
func (g *get) size(view *store.View) (int, error) {
	stored, err := g.stored(nil, view)
	if err != nil || stored == nil {
		return 0, err
	}
	item, err := value.DecodeStored(stored)
	return value.Size(item), err
}

// appendLeft appends the actions of a batch that were left, in the shape of a
// request; {} for none.
func (p *batchWriteParams) appendLeft(dst []byte, changes []change) []byte {
	o := wire.Begin(dst)
	last := ""
	for i := range changes {
		if !changes[i].left {
			continue
		}
		a := &p.actions[i]
		if table := a.params.table.S; table != last {
			if last != "" {
				o.Buf = append(o.Buf, ']')
			}
			o.Name(table)
			o.Buf, last = append(o.Buf, '['), table
		} else {
			o.Buf = append(o.Buf, ',')
		}
		o.Buf = a.appendJSON(o.Buf)
	}
	if last != "" {
		o.Buf = append(o.Buf, ']')
	}
	return o.End()
}

func (a *batchAction) appendJSON(dst []byte) []byte {
	name, member, raw := "PutRequest", "Item", a.params.item
	if a.kind == changeDelete {
		name, member, raw = "DeleteRequest", "Key", a.params.key
	}
	o := wire.Begin(dst)
	o.Name(name)
	inner := wire.Begin(o.Buf)
	inner.Name(member)
	inner.Buf = append(inner.Buf, raw...)
	o.Buf = inner.End()
	return o.End()
}

// leaveChanges marks the actions of a batch that are left at random.
func (f *faults) leaveChanges(r *write) {
	for i, left := range f.leaveSome(len(r.changes)) {
		r.changes[i].left = left
	}
}
