package dynamodb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// Limits of one GetRecords.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html
const (
	maxRecords     = 1000
	maxRecordBytes = 1 << 20
)

func (s *Server) getRecords(_ context.Context, body string) ([]byte, error) {
	var p struct {
		ShardIterator *string
		Limit         *int
	}
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	var c constraints
	c.present(p.ShardIterator != nil, "shardIterator")
	limit := maxRecords
	if p.Limit != nil {
		limit = *p.Limit
		c.between(limit, "limit", 1, maxRecords)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	it, err := parseIterator(*p.ShardIterator)
	if err != nil {
		return nil, err
	}
	return s.readRecords(it, limit)
}

func (s *Server) readRecords(it iterator, limit int) ([]byte, error) {
	now := s.now().UnixMilli()
	if now-it.issued > iteratorLives {
		return nil, errExpiredIterator
	}
	view := s.store.View()
	defer view.Release()
	st, err := s.streamAt(view, it.stream)
	if err != nil {
		return nil, err
	}
	if it.next <= st.TrimmedTo {
		return nil, errTrimmed
	}
	sh, ok := st.shardNumber(it.shard)
	if !ok {
		return nil, errNoStream
	}
	records, err := view.Iter(recordKey(nil, st.ID, min(it.next, sh.limit())), recordKey(nil, st.ID, sh.limit()))
	if err != nil {
		return nil, internal(err)
	}
	scratch := recordsPool.Get().(*[]byte)
	defer recordsPool.Put(scratch)
	buf, next, err := s.appendRecords(wire.Begin((*scratch)[:0]), records, st, sh, it.next, limit)
	if cerr := records.Close(); err == nil && cerr != nil {
		err = internal(cerr)
	}
	if err != nil {
		return nil, err
	}
	if sh.End == 0 || next <= sh.End {
		it.next, it.issued = next, now
		buf.String("NextShardIterator", it.text(st.arn(s.region)))
	}
	*scratch = buf.End()
	return bytes.Clone(*scratch), nil
}

// recordsPool keeps the buffers in which answers of GetRecords grow: they are
// large, and of a size that is not known before. maxRecordBytes bounds them.
var recordsPool = sync.Pool{New: func() any { return new([]byte) }}

// appendRecords appends the records of sh that it iterates over, which begin at
// number from, and returns where the next call begins: behind the shard's end
// once there is nothing more in it.
func (s *Server) appendRecords(o wire.Object, it *pebble.Iterator, st *stream, sh shard, from uint64, limit int) (wire.Object, uint64, error) {
	o.Name("Records")
	o.Buf = append(o.Buf, '[')
	next, n, size := from, 0, 0
	ok := it.First()
	for ; ok && n < limit && size < maxRecordBytes; ok = it.Next() {
		key := it.Key()
		seq := binary.BigEndian.Uint64(key[len(key)-8:])
		r, err := decodeRecord(it.Value())
		if err != nil {
			return o, 0, internal(err)
		}
		if n > 0 {
			o.Buf = append(o.Buf, ',')
		}
		var recordSize int
		if o.Buf, recordSize, err = r.appendJSON(o.Buf, s.region, st, seq); err != nil {
			return o, 0, internal(err)
		}
		size += recordSize
		n++
		next = seq + 1
	}
	o.Buf = append(o.Buf, ']')
	if !ok && sh.End != 0 {
		next = sh.End + 1
	}
	return o, next, nil
}

var eventNames = map[byte]string{eventInsert: "INSERT", eventModify: "MODIFY", eventDelta: "MODIFY", eventRemove: "REMOVE", eventExpire: "REMOVE"}

// expiredBy is who deletes expired items. Its members are spelled as in the
// streams' own API; Lambda's events begin them small.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Identity.html
const expiredBy = `{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}`

// appendJSON appends a Record. size is its SizeBytes: keys and images.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html
func (r *record) appendJSON(dst []byte, region string, st *stream, seq uint64) (json []byte, size int, err error) {
	o := wire.Begin(dst)
	// The same record has the same id whenever it is read.
	o.String("eventID", fmt.Sprintf("%016x%016x", uint64(st.ID), seq))
	o.String("eventName", eventNames[r.event])
	o.String("eventVersion", "1.1")
	o.String("eventSource", "aws:dynamodb")
	o.String("awsRegion", region)
	o.Name("dynamodb")
	d := wire.Begin(o.Buf)
	d.Int("ApproximateCreationDateTime", r.created/1000)
	for _, part := range []struct {
		name   string
		stored []byte
		append func(dst []byte) ([]byte, int, error)
	}{
		{"Keys", r.keys, func(dst []byte) ([]byte, int, error) { return value.TranscodeStored(dst, r.keys) }},
		{"NewImage", r.new, func(dst []byte) ([]byte, int, error) { return value.TranscodeStored(dst, r.new) }},
		{"OldImage", r.old, r.appendOld},
	} {
		if len(part.stored) == 0 {
			continue
		}
		d.Name(part.name)
		var n int
		if d.Buf, n, err = part.append(d.Buf); err != nil {
			return dst, 0, err
		}
		size += n
	}
	d.String("SequenceNumber", formatSequence(seq))
	d.Int("SizeBytes", int64(size))
	d.String("StreamViewType", st.View)
	o.Buf = d.End()
	if r.event == eventExpire {
		o.Name("userIdentity")
		o.Buf = append(o.Buf, expiredBy...)
	}
	return o.End(), size, nil
}
