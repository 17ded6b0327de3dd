package dynamodb

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// Types of iterators.
const (
	iterateTrimHorizon = "TRIM_HORIZON"
	iterateLatest      = "LATEST"
	iterateAt          = "AT_SEQUENCE_NUMBER"
	iterateAfter       = "AFTER_SEQUENCE_NUMBER"
)

var (
	// The texts are those of the API's model.
	errTrimmed         = failure("TrimmedDataAccessException", "The data you are trying to access has been trimmed")
	errExpiredIterator = failure("ExpiredIteratorException", "The provided iterator exceeds the maximum age allowed")
	errIterator        = invalid("Invalid ShardIterator")
)

// iterator is a place in a shard. It is written whole into the string that
// clients hold, so it outlives a restart.
type iterator struct {
	stream uint32
	shard  int64  // its number
	next   uint64 // the least sequence number to read
	issued int64  // Unix ms
}

// text is the ARN, a version and the place with its checksum, as AWS's begins.
func (i iterator) text(arn string) string {
	b := binary.BigEndian.AppendUint32(nil, i.stream)
	b = binary.BigEndian.AppendUint64(b, uint64(i.shard))
	b = binary.BigEndian.AppendUint64(b, i.next)
	b = binary.BigEndian.AppendUint64(b, uint64(i.issued))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return arn + "|1|" + base64.StdEncoding.EncodeToString(b)
}

func parseIterator(s string) (iterator, error) {
	parts := strings.Split(s, "|")
	if len(parts) != 3 || parts[1] != "1" {
		return iterator{}, errIterator
	}
	b, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(b) != 32 || crc32.ChecksumIEEE(b[:28]) != binary.BigEndian.Uint32(b[28:]) {
		return iterator{}, errIterator
	}
	return iterator{
		stream: binary.BigEndian.Uint32(b),
		shard:  int64(binary.BigEndian.Uint64(b[4:])),
		next:   binary.BigEndian.Uint64(b[12:]),
		issued: int64(binary.BigEndian.Uint64(b[20:])),
	}, nil
}

// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetShardIterator.html
func (s *Server) getShardIterator(_ context.Context, body string) ([]byte, error) {
	var p struct {
		StreamArn         *string
		ShardID           *string `json:"ShardId"`
		ShardIteratorType *string
		SequenceNumber    *string
	}
	if err := unmarshal(body, &p); err != nil {
		return nil, err
	}
	var c constraints
	c.present(p.ShardID != nil, "shardId")
	c.present(p.ShardIteratorType != nil, "shardIteratorType")
	if p.ShardIteratorType != nil {
		c.enum(*p.ShardIteratorType, "shardIteratorType", iterateAfter, iterateLatest, iterateAt, iterateTrimHorizon)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	if kind := *p.ShardIteratorType; p.SequenceNumber != nil && (kind == iterateTrimHorizon || kind == iterateLatest) {
		return nil, invalid("SequenceNumber must not be given with the shard iterator type %s", kind)
	}
	st, err := s.findStream(p.StreamArn)
	if err != nil {
		return nil, err
	}
	view := s.store.View()
	defer view.Release()
	if st, err = s.streamAt(view, st.ID); err != nil {
		return nil, err
	}
	sh, ok := st.shard(*p.ShardID)
	if !ok {
		return nil, failure("ResourceNotFoundException", "Requested resource not found: Shard does not exist")
	}
	next, err := st.place(view, sh, *p.ShardIteratorType, p.SequenceNumber)
	if err != nil {
		return nil, err
	}
	it := iterator{stream: st.ID, shard: sh.Number, next: next, issued: s.now().UnixMilli()}
	return json.Marshal(map[string]string{"ShardIterator": it.text(*p.StreamArn)})
}

// place returns the first sequence number that the iterator reads.
func (st *stream) place(view *store.View, sh shard, kind string, number *string) (uint64, error) {
	switch kind {
	case iterateTrimHorizon:
		return max(sh.Start, st.TrimmedTo+1), nil
	case iterateLatest:
		last, err := st.lastRecord(view, sh.limit())
		if err != nil {
			return 0, internal(err)
		}
		return max(sh.Start, st.TrimmedTo, last) + 1, nil
	}
	if number == nil {
		return 0, invalid("SequenceNumber is required for the shard iterator type %s", kind)
	}
	seq, ok := parseSequence(*number)
	if !ok || seq < sh.Start || seq >= sh.limit() {
		return 0, invalid("Invalid SequenceNumber: %s is not in the shard", *number)
	}
	if kind == iterateAfter {
		seq++
	}
	if seq <= st.TrimmedTo {
		return 0, errTrimmed
	}
	return seq, nil
}
