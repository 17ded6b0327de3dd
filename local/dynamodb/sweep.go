package dynamodb

import (
	"bytes"
	"context"
	"time"
)

const (
	// sweepEvery is how often expired items are looked for.
	sweepEvery = 3 * time.Second
	// sweepBatch and sweepBytes bound the items that go in one commit: more would
	// have the writes of that commit wait.
	sweepBatch = 64
	sweepBytes = 1 << 20
)

// sweepNowAndThen deletes what has expired and completes what was enabled, until
// the server closes.
func (s *Server) sweepNowAndThen(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for s.sweepRound() {
		}
		select {
		case <-s.stop:
			return
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// sweepRound does a batch of each table's work, then leaves as much time to
// others as that took. more tells whether there is more to do now.
func (s *Server) sweepRound() (more bool) {
	if !s.enter() {
		return false
	}
	began := time.Now()
	// What fails now, because the disk is full, is done the next time.
	more, err := s.sweepOnce(context.Background())
	s.leave()
	if err != nil || !more {
		return false
	}
	pause := time.NewTimer(time.Since(began))
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-s.stop:
		return false
	}
}

func (s *Server) sweepOnce(ctx context.Context) (more bool, err error) {
	for _, t := range s.catalog.Load().byID {
		if t.TTL == "" {
			continue
		}
		if t.Enabling != nil {
			again, err := s.enableSome(ctx, t.ID)
			if err != nil {
				return false, err
			}
			more = more || again
		}
		again, err := s.expireSome(ctx, t.ID)
		if err != nil {
			return false, err
		}
		more = more || again
	}
	return more, nil
}

// expireSome deletes a batch of a table's items that are due. more tells whether
// others may be.
func (s *Server) expireSome(ctx context.Context, id uint32) (more bool, err error) {
	due, more, err := s.due(id)
	if err != nil || len(due) == 0 {
		return false, err
	}
	err = s.submit(ctx, &write{exec: func(w *writer) (func(), error) { return nil, w.expire(id, due) }})
	return more, err
}

// due returns the keys of the first expiries that are due, a batch of them, and
// whether there may be more. It reads nothing else, whatever the table holds.
func (s *Server) due(id uint32) (keys [][]byte, more bool, err error) {
	view := s.store.View()
	defer view.Release()
	from, to := dueBetween(s.now().UnixMilli())
	c, err := newCursor(view, &s.gaps, expiryFrom(nil, id, from), expiryFrom(nil, id, to), false)
	if err != nil {
		return nil, false, err
	}
	var stored []byte
	size := 0
	for ok := c.first(); ok && !more && err == nil; ok = c.next() {
		keys = append(keys, bytes.Clone(c.it.Key()))
		// Read here, the item comes from memory when the writer asks for it.
		_, itemKey := parseExpiry(id, c.it.Key())
		stored, _, err = view.Get(stored[:0], itemKey)
		size += len(stored)
		more = len(keys) == sweepBatch || size >= sweepBytes
	}
	if cerr := c.close(); err == nil {
		err = cerr
	}
	return keys, more, err
}

// expire deletes those of the items that are due still: one that was renewed,
// or put anew, has another expiry by now.
func (w *writer) expire(id uint32, due [][]byte) error {
	for _, key := range due {
		t := w.catalog.byID[id]
		if t == nil || t.TTL == "" {
			return nil
		}
		sec, itemKey := parseExpiry(id, key)
		st, err := w.load(itemKey)
		if err != nil {
			return internal(err)
		}
		switch at, ok := expiresAt(st.item, t.TTL); {
		case !ok || at != sec:
			w.batch.Delete(key) // its item has gone or changed since it was read
		case isDue(sec, w.now):
			w.apply(&change{kind: changeDelete, table: t, keys: t.keyOf(st.item), key: itemKey, old: st.item, expired: true})
		}
	}
	return nil
}
