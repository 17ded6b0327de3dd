package dynamodb

import (
	"encoding/binary"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Keys in the store. The first byte says what follows it; numbers are big-endian,
// so that keys sort by them; key attributes are written by value.AppendKey, which
// keeps their order.
//
//	d table(4) hash range               an item, as value.AppendStored writes it
//	x table(4) index(2) hash range      an entry of an index, likewise: the index's
//	  hash range                        key, then the table's
//	e table(4) seconds(8) hash range    an item's expiry: empty (expiry.go)
//	s stream(4) sequence(8)             a stream record (streamrecord.go)
//	t period(4) token                   a ClientRequestToken (tokens.go)
//	m t table(4)                        a table's definition, JSON
//	m s stream(4)                       a stream's definition, JSON
//	m c table(4)                        a table's counts (counts.go)
//	m n                                 the last number given to a table or stream
//	m v                                 the version of this layout
const (
	kindItem   = 'd'
	kindEntry  = 'x'
	kindExpiry = 'e'
	kindRecord = 's'
	kindToken  = 't'
	kindMeta   = 'm'
)

var (
	keyVersion = []byte("mv")
	keyLastID  = []byte("mn")
)

// Versions of the layout. The first had no expiries (upgrade.go).
const (
	layoutVersion = "2"
	layoutFirst   = "1"
)

func tablePrefix(dst []byte, kind byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, kind), id)
}

func metaKey(kind byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kindMeta, kind}, id)
}

func recordKey(dst []byte, stream uint32, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(tablePrefix(dst, kindRecord, stream), seq)
}

func tokenKey(period uint32, token string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kindToken}, period), token...)
}

// after returns the first key behind all those that begin with prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func appendAttrs(dst []byte, k *keySchema, item value.Item) []byte {
	dst = value.AppendKey(dst, item.Get(k.Hash.Name))
	if k.Range != nil {
		dst = value.AppendKey(dst, item.Get(k.Range.Name))
	}
	return dst
}

// likelyKey is as long as most keys.
const likelyKey = 96

// newItemKey returns the key under which item (or just its key) is stored.
func (t *table) newItemKey(item value.Item) []byte {
	return t.itemKey(make([]byte, 0, likelyKey), item)
}

// itemKey appends the key under which item (or just its key) is stored.
func (t *table) itemKey(dst []byte, item value.Item) []byte {
	return appendAttrs(tablePrefix(dst, kindItem, t.ID), &t.Key, item)
}

func (t *table) indexPrefix(dst []byte, ix *index) []byte {
	return binary.BigEndian.AppendUint16(tablePrefix(dst, kindEntry, t.ID), ix.ID)
}

// entryKey appends the key of item's entry in ix; item has the index's keys.
func (t *table) entryKey(dst []byte, ix *index, item value.Item) []byte {
	dst = appendAttrs(t.indexPrefix(dst, ix), &ix.Key, item)
	return appendAttrs(dst, &t.Key, item)
}
