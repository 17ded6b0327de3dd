package dynamodb

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// An item that has its table's TTL attribute has an expiry: a key that is
// ordered by time, so that what is due is found without a look at what is not.
// It is written and removed in the commits of the item.

// oldestExpiry is how long ago an item's time may lie for it to be deleted, in
// seconds: five years.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-before-you-start.html
const oldestExpiry = 5 * 365 * 24 * 60 * 60

// expiresAt is when an item expires by an attribute, in Unix seconds. ok is
// false for one that never does: whose attribute is missing, no number, or less
// than 0.
func expiresAt(item value.Item, attr string) (sec uint64, ok bool) {
	v := item.Get(attr)
	if v.Kind() != value.N {
		return 0, false
	}
	whole, _, _ := strings.Cut(v.Text(), ".")
	sec, err := strconv.ParseUint(whole, 10, 63)
	return sec, err == nil
}

// dueBetween gives the times at which an item is due, from ≤ time < to: those
// before now (Unix ms) that do not lie too long ago.
func dueBetween(now int64) (from, to uint64) {
	to = uint64(max(0, now+999)) / 1000
	return to - min(to, oldestExpiry), to
}

func isDue(sec uint64, now int64) bool {
	from, to := dueBetween(now)
	return from <= sec && sec < to
}

// expiryFrom appends the first key of table's expiries at sec or later.
func expiryFrom(dst []byte, table uint32, sec uint64) []byte {
	return binary.BigEndian.AppendUint64(tablePrefix(dst, kindExpiry, table), sec)
}

// The parts of keys that are not the item's own.
const (
	itemKeyAt   = 1 + 4     // in an item's key
	expiryKeyAt = 1 + 4 + 8 // in its expiry's
)

// expiryKey appends the key of the expiry at sec of the item that is stored
// under itemKey.
func expiryKey(dst []byte, table uint32, sec uint64, itemKey []byte) []byte {
	return append(expiryFrom(dst, table, sec), itemKey[itemKeyAt:]...)
}

// parseExpiry takes an expiry's key apart into its time and the item's key.
func parseExpiry(table uint32, key []byte) (sec uint64, itemKey []byte) {
	return binary.BigEndian.Uint64(key[itemKeyAt:]), append(tablePrefix(nil, kindItem, table), key[expiryKeyAt:]...)
}

// applyExpiry brings the item's expiry up to date.
func (w *writer) applyExpiry(t *table, c *change) {
	if t.TTL == "" {
		return
	}
	was, had := expiresAt(c.old, t.TTL)
	is, has := expiresAt(c.new, t.TTL)
	if had == has && was == is {
		return
	}
	if had {
		w.key = expiryKey(w.key[:0], t.ID, was, c.key)
		w.batch.Delete(w.key)
	}
	if has {
		w.key = expiryKey(w.key[:0], t.ID, is, c.key)
		w.set(w.key, nil)
	}
}
