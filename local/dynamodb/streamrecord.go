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
	eventDelta  = 'D' // a modification of which old is a delta from new
	eventRemove = 'R'
	eventExpire = 'E' // removed by time to live: it has a userIdentity
)

// record is one change of one item. The items are in their stored form: a reader of
// the stream wants them as JSON, which they become without being taken apart.
type record struct {
	event    byte
	created  int64 // Unix ms
	keys     []byte
	old, new []byte // empty when absent or not in the stream's view; old of eventDelta by value.AppendDelta
}

// encodeRecord makes the stored form of the record of a change that was carried
// out: the event, the time, then keys, old and new image, each after its length.
// old and now are the stored items, nil when there is none. Of a modification
// with both images only what the old one had otherwise is kept: the rest makes
// half of what a busy table writes.
func (w *writer) encodeRecord(st *stream, c *change, old, now []byte) {
	event := byte(eventModify)
	switch {
	case old == nil:
		event = eventInsert
	case c.expired:
		event = eventExpire
	case now == nil:
		event = eventRemove
	case st.View == viewBoth:
		event = eventDelta
		w.image, _ = value.AppendDelta(w.image[:0], c.new, c.old)
		old = w.image
	}
	if st.View == viewKeys || st.View == viewNew {
		old = nil
	}
	if st.View == viewKeys || st.View == viewOld {
		now = nil
	}
	w.keys = value.AppendStored(w.keys[:0], c.keys)
	w.record = binary.AppendUvarint(append(w.record[:0], event), uint64(w.now))
	w.record = appendPart(appendPart(appendPart(w.record, w.keys), old), now)
}

// appendOld appends the JSON of the image before the change, and gives its size.
func (r *record) appendOld(dst []byte) (json []byte, size int, err error) {
	if r.event == eventDelta {
		return value.TranscodeDelta(dst, r.old, r.new)
	}
	return value.TranscodeStored(dst, r.old)
}

func appendPart(dst, part []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(part))), part...)
}

var errRecord = errors.New("the table data is damaged (a stream record cannot be read): restore it from a backup")

// decodeRecord reads what encodeRecord wrote. The record shares memory with b.
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
