package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Batch is a set of writes that are applied together or not at all.
type Batch struct{ b *pebble.Batch }

// NewBatch returns an empty batch.
func (s *Store) NewBatch() *Batch { return &Batch{b: s.db.NewBatch()} }

// Set writes one key. The slices are copied.
func (b *Batch) Set(key, value []byte) { _ = b.b.Set(key, value, nil) } // never fails on a batch without index

// Delete removes one key.
func (b *Batch) Delete(key []byte) { _ = b.b.Delete(key, nil) }

// DeleteRange removes the keys in [lower, upper).
func (b *Batch) DeleteRange(lower, upper []byte) { _ = b.b.DeleteRange(lower, upper, nil) }

// Empty tells whether nothing was written.
func (b *Batch) Empty() bool { return b.b.Empty() }

// Len is the size of the batch in bytes.
func (b *Batch) Len() int { return b.b.Len() }

// pending is a commit that is applied and waits for its sync. A nil batch only
// keeps its place in the order.
type pending struct {
	batch *pebble.Batch
	last  uint64 // sequence number of its last write
	view  *View
	done  func(error)
}

// Commit applies b, so that Latest shows it, and returns; done is called when b
// is on disk and visible to readers, or with the error that made that
// impossible. Calls of done come in the order of the commits. An empty batch
// writes nothing, but its done still waits for the commits before it: what was
// read from them is durable by then.
//
// At most a few commits wait for their sync: past that Commit blocks, and the
// caller's next batch grows meanwhile. One goroutine at a time may commit. Who
// can still refuse should ask Writable before: Commit itself only fails for good.
func (s *Store) Commit(b *Batch, done func(error)) {
	if b.Empty() {
		_ = b.b.Close()
		s.enqueue(pending{done: done})
		return
	}
	if err := s.apply(b.b); err != nil {
		s.failure.fail(err)
		done(s.failure.Err())
		return
	}
	// No other commit can come between apply and the snapshot.
	s.version++
	s.mark.writes(uint64(b.b.SeqNum()))
	last := uint64(b.b.SeqNum()) + uint64(b.b.Count()) - 1
	s.enqueue(pending{batch: b.b, last: last, view: newView(s.db, s.version), done: done})
}

// NextVersion is the version of the view that will show the next commit that is
// not empty. Only the goroutine that commits may ask.
func (s *Store) NextVersion() uint64 { return s.version + 1 }

func (s *Store) enqueue(p pending) {
	select {
	case s.syncing <- p:
	case <-s.failure.ch:
		p.done(s.failure.Err())
	}
}

// apply hands the batch to pebble, which panics when its log has failed before.
func (s *Store) apply(b *pebble.Batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return s.db.ApplyNoSyncWait(b, pebble.Sync)
}

func (s *Store) waitForSyncs() {
	for p := range s.syncing {
		if p.batch == nil {
			p.done(s.failure.Err())
			continue
		}
		if err := p.batch.SyncWait(); err != nil {
			s.failure.fail(err)
		} else if err := s.mark.set(p.last); err != nil {
			s.failure.fail(err)
		}
		if err := s.failure.Err(); err != nil {
			p.done(err)
			continue
		}
		old := s.current.Swap(p.view)
		old.Release()
		_ = p.batch.Close() // returns the memory
		p.done(nil)
	}
}
