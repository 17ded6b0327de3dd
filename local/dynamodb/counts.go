package dynamodb

import (
	"encoding/binary"
	"errors"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// amount is how many items there are and their bytes, as DynamoDB counts them.
type amount struct{ items, bytes int64 }

func (c *amount) add(items, bytes int) {
	c.items += int64(items)
	c.bytes += int64(bytes)
}

// tally is the writer's counts of a table: [0] of the table, then of each of its
// indexes in the order of the definition. It is written with each commit that
// moves it, in that commit, so that it is exact after every crash.
type tally struct {
	counts []amount
	// partial: the counts hold only what changed since the table's contents began
	// to be counted, since the data is of a version that did not count. They are
	// not written until the rest is known.
	partial bool
	moved   bool // in this batch
}

func newTally(t *table) *tally { return &tally{counts: make([]amount, 1+len(t.Indexes))} }

func countKey(table uint32) []byte { return metaKey('c', table) }

func (y *tally) encode() []byte {
	var b []byte
	for _, c := range y.counts {
		b = binary.AppendVarint(binary.AppendVarint(b, c.items), c.bytes)
	}
	return b
}

// loadCounts reads the counts of a table. ok is false if there are none.
func loadCounts(v *store.View, t *table) (y *tally, ok bool, err error) {
	b, ok, err := v.Get(nil, countKey(t.ID))
	if err != nil || !ok {
		return newTally(t), false, err
	}
	y = newTally(t)
	for i := range y.counts {
		for _, n := range []*int64{&y.counts[i].items, &y.counts[i].bytes} {
			v, size := binary.Varint(b)
			if size <= 0 {
				return nil, false, errors.New("the table data is damaged (a table's counts cannot be read): restore it from a backup")
			}
			*n, b = v, b[size:]
		}
	}
	return y, true, nil
}

// loadTallies prepares the counts of all tables, and returns those that have none.
func (w *writer) loadTallies(v *store.View) (uncounted []uint32, err error) {
	w.tallies = make(map[uint32]*tally, len(w.catalog.byID))
	for id, t := range w.catalog.byID {
		y, ok, err := loadCounts(v, t)
		if err != nil {
			return nil, err
		}
		if y.partial = !ok; y.partial {
			uncounted = append(uncounted, id)
		}
		w.tallies[id] = y
	}
	return uncounted, nil
}

// countItem notes what a change does to the table; it returns the new size.
func (y *tally) countItem(oldItem, newItem value.Item, oldSize int) (newSize int) {
	items := 0
	if oldItem != nil {
		items--
	}
	if newItem != nil {
		items++
		newSize = value.Size(newItem)
	}
	y.counts[0].add(items, newSize-oldSize)
	return newSize
}

// countEntry notes that an index's entry, made from an item of that size, came
// or, with sign -1, went.
func (y *tally) countEntry(i int, ix *index, item value.Item, size, sign int) {
	if ix.projected != nil {
		size = 0
		for _, name := range ix.projected {
			if v := item.Get(name); !v.IsZero() {
				size += len(name) + v.Size()
			}
		}
	}
	y.counts[1+i].add(sign, sign*size)
}

// saveCounts writes the counts that the batch moved, as its last act.
func (w *writer) saveCounts() {
	for _, id := range w.recount {
		if t := w.catalog.byID[id]; t != nil {
			w.tallies[id] = &tally{counts: make([]amount, 1+len(t.Indexes)), partial: true}
		}
	}
	w.recount = w.recount[:0]
	for _, id := range w.moved {
		y := w.tallies[id]
		if y == nil {
			continue // deleted since
		}
		if y.moved = false; !y.partial {
			w.batch.Set(countKey(id), y.encode())
		}
	}
	w.moved = w.moved[:0]
}

// tally returns a table's counts, which this batch moves.
func (w *writer) tally(id uint32) *tally {
	y := w.tallies[id]
	if y != nil && !y.moved {
		y.moved = true
		w.moved = append(w.moved, id)
	}
	return y
}

// describeCounts fills in the counts, as of the last durable commit.
func (s *Server) describeCounts(d *tableDescription, t *table) error {
	view := s.store.View()
	defer view.Release()
	y, _, err := loadCounts(view, t)
	if err != nil {
		return internal(err)
	}
	d.ItemCount, d.TableSizeBytes = y.counts[0].items, y.counts[0].bytes
	for i := range d.GlobalSecondaryIndexes {
		ix := &d.GlobalSecondaryIndexes[i]
		ix.ItemCount, ix.IndexSizeBytes = y.counts[1+i].items, y.counts[1+i].bytes
	}
	return nil
}
