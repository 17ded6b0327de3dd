package store

import (
	"errors"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// View is the state as of one durable commit. It does not change. Release it
// when done: it keeps old data alive.
type View struct {
	snap    *pebble.Snapshot
	version uint64
	refs    atomic.Int64
}

func newView(db *pebble.DB, version uint64) *View {
	v := &View{snap: db.NewSnapshot(), version: version}
	v.refs.Store(1)
	return v
}

// View returns the state of the last durable commit.
func (s *Store) View() *View {
	for {
		v := s.current.Load()
		for n := v.refs.Load(); n > 0; n = v.refs.Load() {
			if v.refs.CompareAndSwap(n, n+1) {
				return v
			}
		}
		// v was replaced and closed between the two loads: take the next one.
	}
}

// Version numbers the views: it grows with every commit, from 0 at each Open.
func (v *View) Version() uint64 { return v.version }

// Release ends the caller's use of v.
func (v *View) Release() {
	if v.refs.Add(-1) == 0 {
		_ = v.snap.Close() // fails only if closed before
	}
}

// Get appends the value of key to buf. ok is false if there is none.
func (v *View) Get(buf, key []byte) (value []byte, ok bool, err error) {
	return get(v.snap, buf, key)
}

// Iter iterates over the keys in [lower, upper). The caller closes it before it
// releases v.
func (v *View) Iter(lower, upper []byte) (*pebble.Iterator, error) {
	return v.snap.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

// Latest reads the newest state, durable or not. Only the goroutine that
// commits may use it, since what it decides is committed behind what it read.
func (s *Store) Latest(buf, key []byte) (value []byte, ok bool, err error) {
	return get(s.db, buf, key)
}

func get(r pebble.Reader, buf, key []byte) ([]byte, bool, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return buf, false, nil
	}
	if err != nil {
		return buf, false, err
	}
	buf = append(buf, v...)
	return buf, true, closer.Close()
}
