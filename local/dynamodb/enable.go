package dynamodb

import (
	"bytes"
	"context"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Bounds of one step of enabling.
const (
	enableItems = 256
	enableBytes = 1 << 20
)

// enabling is how far the items have been given their expiries that were there
// when time to live was switched on. It is stored with each step, so that a
// crash repeats one step at most. Items written meanwhile get theirs as always.
type enabling struct {
	ID   uint32 // of this switching on: no two have the same
	From []byte // key of the first item that was not looked at
}

func (c *catalog) enable(b *store.Batch, t *table) *enabling {
	return &enabling{ID: c.nextID(b), From: tablePrefix(nil, kindItem, t.ID)}
}

// enableStep is a stretch of a table's items: the keys of those with the
// attribute. next is nil behind the last item.
type enableStep struct {
	of   *enabling
	keys [][]byte
	next []byte
}

// enableSome gives the next of a table's items their expiries. more tells
// whether some are left. Two may do this at a time: one of them does nothing.
func (s *Server) enableSome(ctx context.Context, id uint32) (more bool, err error) {
	// The table is taken before the view: what the view does not show was written
	// after the switching on, with its expiry.
	t := s.catalog.Load().byID[id]
	if t == nil || t.Enabling == nil {
		return false, nil
	}
	step, err := s.readStep(t)
	if err != nil {
		return false, err
	}
	err = s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return w.enable(id, step) }})
	return step.next != nil, err
}

func (s *Server) readStep(t *table) (*enableStep, error) {
	view := s.store.View()
	defer view.Release()
	it, err := view.Iter(t.Enabling.From, after(tablePrefix(nil, kindItem, t.ID)))
	if err != nil {
		return nil, err
	}
	step := &enableStep{of: t.Enabling}
	items, size := 0, 0
	for ok := it.First(); ok; ok = it.Next() {
		if items == enableItems || size >= enableBytes {
			step.next = bytes.Clone(it.Key())
			break
		}
		stored := it.Value()
		item, err := value.DecodeStored(stored)
		if err != nil {
			_ = it.Close() // the first error says more
			return nil, err
		}
		if _, ok := expiresAt(item, t.TTL); ok {
			step.keys = append(step.keys, bytes.Clone(it.Key()))
		}
		items++
		size += len(stored)
	}
	return step, it.Close()
}

// enable writes the expiries of a step's items as they are now.
func (w *writer) enable(id uint32, step *enableStep) (func(), error) {
	t := w.catalog.byID[id]
	if t == nil || t.Enabling == nil || t.Enabling.ID != step.of.ID || !bytes.Equal(t.Enabling.From, step.of.From) {
		return nil, nil
	}
	for _, key := range step.keys {
		st, err := w.peek(key)
		if err != nil {
			return nil, internal(err)
		}
		if sec, ok := expiresAt(st.item, t.TTL); ok {
			w.key = expiryKey(w.key[:0], id, sec, key)
			w.set(w.key, nil)
		}
	}
	changed := *t
	changed.Enabling = nil
	if step.next != nil {
		changed.Enabling = &enabling{ID: step.of.ID, From: step.next}
	}
	next := w.catalog.clone()
	if err := next.putTable(w.batch, &changed); err != nil {
		return nil, err
	}
	return w.adopt(next), nil
}
