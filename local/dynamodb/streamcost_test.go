package dynamodb

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// TestStreamCost holds that the newest records of a stream cost the same however
// many it keeps, by what the engine did.
func TestStreamCost(t *testing.T) {
	t.Parallel()
	few, many := streamWork(t, 100), streamWork(t, 100_000)
	t.Logf("100: %v; 100,000: %v", few, many)
	for i := range few {
		if many[i] > few[i]+8 {
			t.Errorf("step counts %v with 100 records, %v with 100,000", few, many)
		}
	}
}

// streamWork fills a stream and returns the engine's seeks and steps for finding
// the latest record, for reading the last ten and for finding what to trim.
func streamWork(t *testing.T, records int) []int {
	t.Helper()
	ctx := context.Background()
	s := openServer(t, t.TempDir(), Options{})
	c := client(s)
	table := createMain(t, c)
	id := s.catalog.Load().tables[table].StreamID
	ch := &change{keys: value.Item{{Name: "PK", Value: value.String("a")}, {Name: "SK", Value: value.String("s")}}}
	ch.new = ch.keys.With([]value.Field{{Name: "n", Value: value.Int(1)}})
	stored := value.AppendStored(nil, ch.new)
	for left := records; left > 0; {
		n := min(left, 10_000)
		left -= n
		err := s.submit(ctx, &write{exec: func(w *writer) (func(), error) {
			st := w.catalog.streams[id]
			for range n {
				w.encodeRecord(st, ch, nil, stored)
				w.batch.Set(recordKey(nil, id, w.nextSequence()), w.record)
			}
			return nil, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	view := s.store.View()
	defer view.Release()
	st, err := s.streamAt(view, id)
	if err != nil {
		t.Fatal(err)
	}
	work := []int{}
	count := func(lower, upper uint64, use func(it *pebble.Iterator)) {
		it, err := view.Iter(recordKey(nil, id, lower), recordKey(nil, id, upper))
		if err != nil {
			t.Fatal(err)
		}
		use(it)
		stats := it.Stats()
		total := 0
		for _, n := range [][2]int{stats.ForwardSeekCount, stats.ReverseSeekCount, stats.ForwardStepCount, stats.ReverseStepCount} {
			total += n[pebble.InternalIterCall]
		}
		work = append(work, total)
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
	last, err := st.lastRecord(view, st.last().limit())
	if err != nil || last == 0 {
		t.Fatalf("the last is %d, %v", last, err)
	}
	count(st.TrimmedTo+1, st.last().limit(), func(it *pebble.Iterator) { it.Last() })
	count(last-9, st.last().limit(), func(it *pebble.Iterator) {
		o, next, err := s.appendRecords(wire.Begin(nil), it, st, st.last(), last-9, 1000)
		if err != nil || next != last+1 || len(o.Buf) < 10*100 {
			t.Errorf("%d bytes, next %d, %v", len(o.Buf), next, err)
		}
	})
	count(st.TrimmedTo+1, sequenceAt(s.now().UnixMilli()-recordsKept), func(it *pebble.Iterator) { it.Last() })
	return work
}
