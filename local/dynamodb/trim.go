package dynamodb

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// trimEvery is how often old records and tokens are looked for.
const trimEvery = time.Minute

// trimNowAndThen removes what has had its time, until the server closes.
func (s *Server) trimNowAndThen() {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if s.enter() {
				// What fails now, because the disk is full, is done the next time.
				_ = s.trim(context.Background())
				s.leave()
			}
		}
	}
}

// trim removes records that are over 24 hours old, shards and streams that ended
// as long ago, and tokens that no longer count: each by one range, whatever its length.
func (s *Server) trim(ctx context.Context) error {
	view := s.store.View()
	defer view.Release()
	now := s.now().UnixMilli()
	for id, st := range s.catalog.Load().streams {
		last, err := st.lastRecord(view, sequenceAt(now-recordsKept))
		if err != nil {
			return err
		}
		over := st.Ended != 0 && now-st.Ended > recordsKept
		switch {
		case last != 0 || over || st.Shards[0].old(now):
			err = s.trimStream(ctx, id, last, over)
		case st.ripe(now):
			// The stream is idle: any commit rolls its shard.
			err = s.submit(ctx, &write{exec: func(*writer) (func(), error) { return nil, nil }})
		}
		if err != nil {
			return err
		}
	}
	return s.trimTokens(ctx, view, now)
}

// trimStream removes a stream's records up to the one numbered last, or all of
// it. First it says so, then it does it: who finds records gone knows why.
func (s *Server) trimStream(ctx context.Context, id uint32, last uint64, over bool) error {
	steps := []func(*writer, *stream) (func(), error){
		func(w *writer, st *stream) (func(), error) { return w.markTrimmed(st, last) },
		func(w *writer, st *stream) (func(), error) {
			w.batch.DeleteRange(recordKey(nil, id, 0), recordKey(nil, id, st.TrimmedTo+1))
			return nil, nil
		},
	}
	if over {
		steps = []func(*writer, *stream) (func(), error){(*writer).forgetStream}
	}
	for _, step := range steps {
		err := s.submit(ctx, &write{exec: func(w *writer) (func(), error) {
			st := w.catalog.streams[id]
			if st == nil {
				return nil, nil
			}
			return step(w, st)
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) forgetStream(st *stream) (func(), error) {
	next := w.catalog.clone()
	next.dropStream(w.batch, st)
	delete(w.records, st.ID)
	return w.adopt(next), nil
}

func (w *writer) markTrimmed(st *stream, last uint64) (func(), error) {
	next := w.catalog.clone()
	trimmed := *st
	trimmed.TrimmedTo = max(st.TrimmedTo, last)
	for trimmed.Shards[0].old(w.now) && len(trimmed.Shards) > 1 {
		trimmed.TrimmedTo = max(trimmed.TrimmedTo, trimmed.Shards[0].End)
		trimmed.Shards = trimmed.Shards[1:]
	}
	if err := next.putStream(w.batch, &trimmed); err != nil {
		return nil, err
	}
	next.relink(&trimmed)
	return w.adopt(next), nil
}

// adopt makes c the writer's catalog, and the requests' once it is durable.
func (w *writer) adopt(c *catalog) func() {
	w.catalog = c
	return func() { w.server.catalog.Store(c) }
}

// relink points the table of a stream that was replaced to the new one.
func (c *catalog) relink(st *stream) {
	for _, t := range c.byID {
		if t.StreamID == st.ID {
			linked := *t
			linked.stream = st
			c.tables[t.Name], c.byID[t.ID] = &linked, &linked
			return
		}
	}
}

func (s *Server) trimTokens(ctx context.Context, view *store.View, now int64) error {
	lower := tokenKey(0, "")
	upper := tokenKey(periodOf(now)-1, "")
	it, err := view.Iter(lower, upper)
	if err != nil {
		return err
	}
	some := it.First()
	if err := it.Close(); err != nil || !some {
		return err
	}
	return s.submit(ctx, &write{exec: func(w *writer) (func(), error) {
		w.batch.DeleteRange(lower, upper)
		return nil, nil
	}})
}

// lastRecord returns the greatest sequence number in the stream that is less than
// before and not trimmed, 0 if there is none.
func (st *stream) lastRecord(view *store.View, before uint64) (uint64, error) {
	from := min(before, st.TrimmedTo+1)
	it, err := view.Iter(recordKey(nil, st.ID, from), recordKey(nil, st.ID, before))
	if err != nil {
		return 0, err
	}
	var seq uint64
	if it.Last() {
		key := it.Key()
		seq = binary.BigEndian.Uint64(key[len(key)-8:])
	}
	return seq, it.Close()
}

// lastSequence returns the greatest sequence number ever given.
func lastSequence(view *store.View, c *catalog) (uint64, error) {
	var last uint64
	for _, st := range c.streams {
		seq, err := st.lastRecord(view, 1<<64-1)
		if err != nil {
			return 0, err
		}
		last = max(last, seq, st.TrimmedTo)
		for _, sh := range st.Shards {
			last = max(last, sh.Start, sh.End)
		}
	}
	return last, nil
}
