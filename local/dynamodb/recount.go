package dynamodb

import (
	"context"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// recount counts the tables of a data directory that was written before tables
// were counted, once. Requests go on meanwhile: what they change is counted
// apart, from the commit on whose state is read here.
func (s *Server) recount(ids []uint32) {
	for _, id := range ids {
		// What fails now is done after the next start.
		_ = s.recountTable(context.Background(), id)
	}
}

func (s *Server) recountTable(ctx context.Context, id uint32) error {
	view, t, err := s.startCount(ctx, id)
	if err != nil || view == nil {
		return err
	}
	defer view.Release()
	found := newTally(t)
	if err := s.countRange(view, tablePrefix(nil, kindItem, id), &found.counts[0]); err != nil {
		return err
	}
	for i, ix := range t.Indexes {
		if err := s.countRange(view, t.indexPrefix(nil, ix), &found.counts[1+i]); err != nil {
			return err
		}
	}
	return s.submitOpen(ctx, &write{exec: func(w *writer) (func(), error) {
		y := w.tally(id)
		if y == nil {
			return nil, nil // deleted meanwhile
		}
		for i, c := range found.counts {
			y.counts[i].add(int(c.items), int(c.bytes))
		}
		y.partial = false
		return nil, nil
	}})
}

// startCount has the writer count a table's changes from nothing, and returns
// the state just before the first of them. view is nil if the table is gone.
func (s *Server) startCount(ctx context.Context, id uint32) (view *store.View, t *table, err error) {
	err = s.submitOpen(ctx, &write{exec: func(w *writer) (func(), error) {
		if t = w.catalog.byID[id]; t == nil {
			return nil, nil
		}
		w.recount = append(w.recount, id)
		// Commits become durable, and visible, one after the other: this is the
		// state that this one left.
		return func() { view = s.store.View() }, nil
	}})
	return view, t, err
}

// submitOpen is submit for the server's own goroutines.
func (s *Server) submitOpen(ctx context.Context, r *write) error {
	if !s.enter() {
		return errClosed
	}
	defer s.leave()
	return s.submit(ctx, r)
}

// countRange counts the items or entries under a prefix.
func (s *Server) countRange(view *store.View, prefix []byte, into *amount) error {
	it, err := view.Iter(prefix, after(prefix))
	if err != nil {
		return err
	}
	for n, ok := 0, it.First(); ok; n, ok = n+1, it.Next() {
		if n%1024 == 0 && s.stopping() {
			_ = it.Close() // nothing counts any more
			return errClosed
		}
		item, err := value.DecodeStored(it.Value())
		if err != nil {
			_ = it.Close() // the first error says more
			return err
		}
		into.add(1, value.Size(item))
	}
	return it.Close()
}

func (s *Server) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}
