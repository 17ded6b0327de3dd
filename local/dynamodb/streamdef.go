package dynamodb

import (
	"fmt"
	"strconv"
)

// How long records are kept and iterators live.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
const (
	recordsKept   = 24 * 60 * 60 * 1000 // ms
	iteratorLives = 15 * 60 * 1000      // ms
)

// stream is the definition of a table's stream. It does not change once
// published. It outlives its table until its records are trimmed.
type stream struct {
	ID        uint32
	TableName string
	Key       keySchema
	View      string // StreamViewType
	Created   int64  // Unix ms; the label is made of it
	Shards    []shard
	// TrimmedTo is the last sequence number that was removed, 0 for none.
	TrimmedTo uint64
	// Ended is when the stream was switched off, Unix ms; 0: it is on.
	Ended int64

	text string // the stored form of all this
}

func (s shard) id() string {
	return fmt.Sprintf("shardId-%020d-%08x", s.Number, uint32(s.Start^s.Start>>32))
}

func (st *stream) arn(region string) string {
	return fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/%s/stream/%s", region, account, st.TableName, label(st.Created))
}

// A sequence number is the time it was given, in milliseconds, and a count: so
// it grows across restarts and says by itself how old its record is.
const sequenceBits = 20

func sequenceAt(ms int64) uint64 { return uint64(ms) << sequenceBits }

// formatSequence writes a sequence number in 21 digits, AWS's least length. All
// have the same length, so they sort as text too.
func formatSequence(seq uint64) string { return fmt.Sprintf("1%020d", seq) }

func parseSequence(s string) (uint64, bool) {
	if len(s) != 21 || s[0] != '1' {
		return 0, false
	}
	seq, err := strconv.ParseUint(s[1:], 10, 64)
	return seq, err == nil
}
