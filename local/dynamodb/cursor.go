package dynamodb

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// deadSteps is how many dead keys between two living ones make a gap worth to
// be remembered.
const deadSteps = 16

// cursor walks over the living keys of a stretch, in either direction, and jumps
// over known gaps.
type cursor struct {
	it           *pebble.Iterator
	gaps         *gaps
	version      uint64
	lower, upper []byte
	reverse      bool
	gap          gap // the next one on the way
	more         bool
	place        []byte // the last living key, a copy
	steps        int    // of the iterator, as of place
}

// newCursor opens a cursor on [lower, upper). The caller closes it before it
// releases the view.
func newCursor(view *store.View, g *gaps, lower, upper []byte, reverse bool) (*cursor, error) {
	it, err := view.Iter(lower, upper)
	if err != nil {
		return nil, err
	}
	return &cursor{it: it, gaps: g, version: view.Version(), lower: lower, upper: upper, reverse: reverse}, nil
}

func (c *cursor) close() error { return c.it.Close() }

// first goes to the first key, in the cursor's direction.
func (c *cursor) first() bool {
	if c.reverse {
		c.gap, c.more = c.gaps.before(c.version, c.upper)
		if c.more && bytes.Compare(c.upper, c.gap.to) <= 0 {
			return c.landed(c.it.SeekLT(c.gap.from), true)
		}
		return c.landed(c.it.Last(), false)
	}
	c.gap, c.more = c.gaps.at(c.version, c.lower)
	if c.more && bytes.Compare(c.gap.from, c.lower) <= 0 {
		return c.landed(c.it.SeekGE(c.gap.to), true)
	}
	return c.landed(c.it.First(), false)
}

// next goes to the next key, after first or next was true.
func (c *cursor) next() bool {
	if c.reverse {
		if c.more && bytes.Compare(c.gap.to, c.place) >= 0 {
			return c.landed(c.it.SeekLT(c.gap.from), true)
		}
		return c.landed(c.it.Prev(), false)
	}
	if c.more && isBehind(c.gap.from, c.place) {
		return c.landed(c.it.SeekGE(c.gap.to), true)
	}
	return c.landed(c.it.Next(), false)
}

// landed notes what lies between the last place and this one, and looks for the
// next gap on the way.
func (c *cursor) landed(ok, jumped bool) bool {
	stats := c.it.Stats()
	steps := stats.ForwardStepCount[pebble.InternalIterCall] + stats.ReverseStepCount[pebble.InternalIterCall]
	dead := steps - c.steps
	c.steps = steps
	if dead > deadSteps || jumped && !c.atGapsEnd(ok) {
		c.note(ok)
	}
	if !ok {
		return false
	}
	c.place = append(c.place[:0], c.it.Key()...)
	if !c.more {
		return true
	}
	if c.reverse {
		if bytes.Compare(c.gap.from, c.place) >= 0 {
			c.gap, c.more = c.gaps.before(c.version, c.place)
		}
	} else if bytes.Compare(c.gap.to, c.place) <= 0 {
		c.gap, c.more = c.gaps.at(c.version, c.place)
	}
	return true
}

// atGapsEnd tells whether the gap that was jumped over says all there is to say:
// it reaches to the key, or to the end of the stretch.
func (c *cursor) atGapsEnd(ok bool) bool {
	switch {
	case !ok && c.reverse:
		return bytes.Compare(c.gap.from, c.lower) <= 0
	case !ok:
		return bytes.Compare(c.gap.to, c.upper) >= 0
	case c.reverse:
		return isBehind(c.gap.from, c.it.Key())
	}
	return bytes.Equal(c.it.Key(), c.gap.to)
}

// behind returns the first key after key.
func behind(key []byte) []byte { return append(bytes.Clone(key), 0) }

// isBehind tells whether k is the first key after key.
func isBehind(k, key []byte) bool {
	return len(k) == len(key)+1 && k[len(key)] == 0 && bytes.HasPrefix(k, key)
}

// note reports the gap between the last place and the key, or the end.
func (c *cursor) note(ok bool) {
	seen := gap{from: c.lower, to: c.upper, version: c.version}
	switch {
	case c.reverse && c.place != nil:
		seen.to = bytes.Clone(c.place)
	case !c.reverse && c.place != nil:
		seen.from = behind(c.place)
	}
	if ok && c.reverse {
		seen.from = behind(c.it.Key())
	} else if ok {
		seen.to = bytes.Clone(c.it.Key())
	}
	c.gaps.add(seen)
}
