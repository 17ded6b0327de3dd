package dynamodb

import (
	"encoding/binary"
	"errors"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Views of a stream.
const (
	viewKeys = "KEYS_ONLY"
	viewNew  = "NEW_IMAGE"
	viewOld  = "OLD_IMAGE"
	viewBoth = "NEW_AND_OLD_IMAGES"
)

// Events of records, as stored.
const (
	eventInsert = 'I'
	eventModify = 'M'
	eventRemove = 'R'
)

// record is one change of one item. The items are in their stored form: a reader of
// the stream wants them as JSON, which they become without being taken apart.
type record struct {
	event    byte
	created  int64 // Unix ms
	keys     []byte
	old, new []byte // empty when absent or not in the stream's view
}

// appendRecord appends a record's stored form: the event, the time, then keys,
// old and new image, each after its length. oldImage and newImage are stored
// items, nil when there is none.
func (st *stream) appendRecord(dst []byte, ms int64, keys value.Item, oldImage, newImage []byte) []byte {
	event := byte(eventModify)
	switch {
	case oldImage == nil:
		event = eventInsert
	case newImage == nil:
		event = eventRemove
	}
	dst = append(dst, event)
	dst = binary.AppendUvarint(dst, uint64(ms))
	stored := value.AppendStored(nil, keys)
	dst = appendPart(dst, stored)
	if st.View == viewOld || st.View == viewBoth {
		dst = appendPart(dst, oldImage)
	} else {
		dst = appendPart(dst, nil)
	}
	if st.View == viewNew || st.View == viewBoth {
		return appendPart(dst, newImage)
	}
	return appendPart(dst, nil)
}

func appendPart(dst, part []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(part))), part...)
}

var errRecord = errors.New("the table data is damaged (a stream record cannot be read): restore it from a backup")

// decodeRecord reads what appendRecord wrote. The record shares memory with b.
func decodeRecord(b []byte) (record, error) {
	if len(b) < 2 {
		return record{}, errRecord
	}
	r := record{event: b[0]}
	ms, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return record{}, errRecord
	}
	r.created = int64(ms)
	b = b[1+n:]
	for _, into := range []*[]byte{&r.keys, &r.old, &r.new} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return record{}, errRecord
		}
		*into = b[n : n+int(size)]
		b = b[n+int(size):]
	}
	return r, nil
}
