package dynamodb

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// When a shard is closed and the next one opened: after some time, as AWS does,
// or when it has taken many records.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
const (
	shardLives = 4 * 60 * 60 * 1000 // ms
	maxShard   = 4_000_000          // records, those since the server was opened
)

// shard is a stretch of a stream: the records with numbers from Start on, up to
// End, which is 0 while the shard is open. No record has either number itself.
type shard struct {
	Number     int64 // Unix ms of its making, or more; no two of a stream have the same
	Start, End uint64
	Parent     string `json:",omitempty"` // the id of the shard before it, which may have gone
}

// limit is the first sequence number behind the shard.
func (s shard) limit() uint64 {
	if s.End == 0 {
		return math.MaxUint64
	}
	return s.End + 1
}

// old tells whether every record that the shard had is to be trimmed.
func (s shard) old(now int64) bool { return s.End != 0 && s.End < sequenceAt(now-recordsKept) }

func (st *stream) shard(id string) (shard, bool) {
	return st.find(func(s shard) bool { return s.id() == id })
}

func (st *stream) shardNumber(n int64) (shard, bool) {
	return st.find(func(s shard) bool { return s.Number == n })
}

func (st *stream) find(is func(shard) bool) (shard, bool) {
	i := slices.IndexFunc(st.Shards, is)
	if i < 0 {
		return shard{}, false
	}
	return st.Shards[i], true
}

// last is the shard that takes records while the stream is on.
func (st *stream) last() shard { return st.Shards[len(st.Shards)-1] }

// ripe tells whether the open shard has been open for long enough.
func (st *stream) ripe(now int64) bool { return st.Ended == 0 && now-st.last().Number >= shardLives }

// rollShards closes the shards that are full or old. It is done before a commit
// takes anything, so that a change finds one shard throughout.
func (w *writer) rollShards() {
	if w.store.Writable() != nil {
		return
	}
	for id, st := range w.catalog.streams {
		if st.Ended != 0 || !st.ripe(w.now) && w.records[id] < w.server.maxShard {
			continue
		}
		next := w.catalog.clone()
		rolled := *st
		rolled.Shards = w.closeShard(st.Shards)
		parent := rolled.last()
		rolled.Shards = append(rolled.Shards, shard{
			Number: max(w.now, parent.Number+1), Start: w.nextSequence(), Parent: parent.id(),
		})
		if err := next.putStream(w.batch, &rolled); err != nil {
			continue // the shard stays open
		}
		next.relink(&rolled)
		w.publish = append(w.publish, w.adopt(next))
		w.records[id] = 0
	}
}

// closeShard returns a copy of shards in which the last one has ended.
func (w *writer) closeShard(shards []shard) []shard {
	shards = slices.Clone(shards)
	shards[len(shards)-1].End = w.nextSequence()
	return shards
}

// streamAt returns a stream as of a view: what it says of shards and of what was
// trimmed then fits the records in the view. The catalog may be a commit ahead of
// the view or behind it.
func (s *Server) streamAt(view *store.View, id uint32) (*stream, error) {
	text, ok, err := view.Get(nil, metaKey('s', id))
	if err != nil {
		return nil, internal(err)
	}
	if !ok {
		return nil, errNoStream
	}
	if st := s.catalog.Load().streams[id]; st != nil && st.text == string(text) {
		return st, nil
	}
	st := &stream{}
	if err := json.Unmarshal(text, st); err != nil {
		return nil, internal(err)
	}
	return st, nil
}
