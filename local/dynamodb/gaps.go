package dynamodb

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
)

// Bounds of what is remembered.
const (
	maxGaps    = 2048
	maxArrived = 1024
)

// gaps remembers stretches of keys in which nothing lives.
//
// In a log-structured store a deleted key stays, with its tombstone, until it is
// compacted away, and who reads over it pays for it. A queue in an index deletes
// at the place where everybody reads. So a reader that had to step over many dead
// keys notes where the living begin, and the next one goes there directly.
//
// A gap is true from the version of the view that it was seen in. It stays true
// until a key is put into it, which the writer announces before that commit can
// be seen. A reader must take its view first and ask for gaps then. A gap that a
// slow reader reports is taken only if no key has arrived in it since its view.
type gaps struct {
	mu   sync.RWMutex
	list []gap // in order, apart from each other
	// arrived are the last keys put in, in order of their versions, a ring; those
	// of versions up to floor are forgotten.
	arrived []arrival
	next    int
	floor   uint64
}

// gap says that no key k with from ≤ k < to is in a view of this version or a
// later one. The slices do not change.
type gap struct {
	from, to []byte
	version  uint64
}

type arrival struct {
	version uint64
	key     []byte
}

// at returns the first gap that ends behind key.
func (g *gaps) at(version uint64, key []byte) (gap, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for i := g.find(key); i < len(g.list); i++ {
		if g.list[i].version <= version {
			return g.list[i], true
		}
	}
	return gap{}, false
}

// before returns the last gap that begins before key.
func (g *gaps) before(version uint64, key []byte) (gap, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	i, _ := slices.BinarySearchFunc(g.list, key, func(x gap, k []byte) int { return bytes.Compare(x.from, k) })
	for i--; i >= 0; i-- {
		if g.list[i].version <= version {
			return g.list[i], true
		}
	}
	return gap{}, false
}

// find returns the index of the first gap that ends behind key.
func (g *gaps) find(key []byte) int {
	i, exact := slices.BinarySearchFunc(g.list, key, func(x gap, k []byte) int { return bytes.Compare(x.to, k) })
	if exact {
		i++
	}
	return i
}

// add takes a gap that was seen in a view of its version.
func (g *gaps) add(seen gap) {
	if bytes.Compare(seen.from, seen.to) >= 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if seen.version < g.floor || g.arrivedIn(seen) {
		return
	}
	// Join it with those that it touches.
	first := g.find(seen.from)
	if first > 0 && bytes.Equal(g.list[first-1].to, seen.from) {
		first--
	}
	last := first
	for last < len(g.list) && bytes.Compare(g.list[last].from, seen.to) <= 0 {
		seen.version = max(seen.version, g.list[last].version)
		if bytes.Compare(g.list[last].from, seen.from) < 0 {
			seen.from = g.list[last].from
		}
		if bytes.Compare(g.list[last].to, seen.to) > 0 {
			seen.to = g.list[last].to
		}
		last++
	}
	g.list = slices.Replace(g.list, first, last, seen)
	g.bound()
}

func (g *gaps) arrivedIn(seen gap) bool {
	for i := range g.arrived {
		a := &g.arrived[(g.next+len(g.arrived)-1-i)%len(g.arrived)] // the newest first
		if a.version <= seen.version {
			return false
		}
		if bytes.Compare(seen.from, a.key) <= 0 && bytes.Compare(a.key, seen.to) < 0 {
			return true
		}
	}
	return false
}

// arrive announces a key that the commit of this version puts in.
func (g *gaps) arrive(version uint64, key []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remember(version, key)
	i := g.find(key)
	if i == len(g.list) || bytes.Compare(g.list[i].from, key) > 0 {
		return
	}
	// The key parts its gap in two.
	whole := g.list[i]
	parts := make([]gap, 0, 2)
	if bytes.Compare(whole.from, key) < 0 {
		parts = append(parts, gap{whole.from, bytes.Clone(key), whole.version})
	}
	if rest := behind(key); bytes.Compare(rest, whole.to) < 0 {
		parts = append(parts, gap{rest, whole.to, whole.version})
	}
	g.list = slices.Replace(g.list, i, i+1, parts...)
	g.bound()
}

func (g *gaps) remember(version uint64, key []byte) {
	if len(g.arrived) < maxArrived {
		g.arrived = append(g.arrived, arrival{version, bytes.Clone(key)})
		return
	}
	a := &g.arrived[g.next]
	g.floor = a.version
	a.version, a.key = version, append(a.key[:0], key...)
	g.next = (g.next + 1) % maxArrived
}

// bound forgets any gap when there are too many: to forget one is never wrong.
func (g *gaps) bound() {
	for len(g.list) > maxGaps {
		i := rand.IntN(len(g.list))
		g.list = slices.Delete(g.list, i, i+1)
	}
}
