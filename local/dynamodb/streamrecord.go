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

// record is one change of one item.
type record struct {
	event    byte
	created  int64 // Unix ms
	keys     value.Item
	old, new value.Item // nil when absent or not in the stream's view
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
	for _, into := range []*value.Item{&r.keys, &r.old, &r.new} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return record{}, errRecord
		}
		part := b[n : n+int(size)]
		b = b[n+int(size):]
		if size == 0 {
			continue
		}
		item, err := value.DecodeStored(part)
		if err != nil {
			return record{}, err
		}
		*into = item
	}
	return r, nil
}
