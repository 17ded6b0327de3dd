package dynamodb

import (
	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// apply writes a change that was evaluated: the item, its entries in indexes,
// its expiry, its stream record. A change that leaves the item as it was writes
// nothing and, as in AWS, makes no record.
func (w *writer) apply(c *change) {
	if c.kind == changeCheck || c.old == nil && c.new == nil {
		return
	}
	if c.old != nil && c.new != nil && value.EqualItems(c.old, c.new) {
		return
	}
	t := w.catalog.byID[c.table.ID]
	before, _ := w.items.get(c.key) // evaluate loaded it
	counts := w.tally(t.ID)
	size := counts.countItem(c.old, c.new, before.size)
	var stored []byte
	if c.new == nil {
		w.batch.Delete(c.key)
	} else {
		if stored = c.stored; stored == nil {
			stored = value.Stored(c.new)
		}
		w.set(c.key, stored)
	}
	for i, ix := range t.Indexes {
		if was, is := w.applyIndex(t, ix, c, stored); was || is {
			if was {
				counts.countEntry(i, ix, c.old, before.size, -1)
			}
			if is {
				counts.countEntry(i, ix, c.new, size, 1)
			}
		}
	}
	w.applyExpiry(t, c)
	if st := t.stream; st != nil && st.Ended == 0 {
		w.encodeRecord(st, c, before.stored, stored)
		w.key = recordKey(w.key[:0], st.ID, w.nextSequence())
		w.batch.Set(w.key, w.record)
		w.records[st.ID]++
	}
	w.items.put(string(c.key), state{item: c.new, stored: stored, size: size})
}

// set writes an item or an entry.
func (w *writer) set(key, stored []byte) {
	w.server.gaps.arrive(w.store.NextVersion(), key)
	w.batch.Set(key, stored)
}

// applyIndex brings one index up to date. It tells whether an entry went and
// whether one came; one that stays as it is did neither.
func (w *writer) applyIndex(t *table, ix *index, c *change, stored []byte) (was, is bool) {
	was, is = ix.has(c.old), ix.has(c.new)
	if !was && !is {
		return false, false
	}
	same := was && is && sameAttrs(&ix.Key, c.old, c.new)
	if same && ix.sameEntry(c.old, c.new) {
		return false, false
	}
	if was && !same {
		w.key = t.entryKey(w.key[:0], ix, c.old)
		w.batch.Delete(w.key)
	}
	if is {
		entry := stored
		if ix.projected != nil {
			w.entry = value.AppendStored(w.entry[:0], ix.project(make([]value.Field, 0, likelyProjected), c.new))
			entry = w.entry
		}
		w.key = t.entryKey(w.key[:0], ix, c.new)
		w.set(w.key, entry)
	}
	return was, is
}

func sameAttrs(k *keySchema, a, b value.Item) bool {
	return value.Equal(a.Get(k.Hash.Name), b.Get(k.Hash.Name)) && (k.Range == nil || value.Equal(a.Get(k.Range.Name), b.Get(k.Range.Name)))
}

// nextSequence gives a number greater than all before, at or after now.
func (w *writer) nextSequence() uint64 {
	w.seq = max(w.seq+1, sequenceAt(w.now))
	return w.seq
}
