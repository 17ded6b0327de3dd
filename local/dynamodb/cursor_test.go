package dynamodb

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// walk lists the keys of a stretch.
func walk(t testing.TB, view *store.View, g *gaps, lower, upper string, reverse bool) []string {
	t.Helper()
	c, err := newCursor(view, g, []byte(lower), []byte(upper), reverse)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for ok := c.first(); ok; ok = c.next() {
		keys = append(keys, string(c.it.Key()))
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	return keys
}

// gapWriter puts and deletes keys as the writer of a server does.
type gapWriter struct {
	t    testing.TB
	s    *store.Store
	gaps *gaps
}

func (w gapWriter) commit(puts, deletes []string) {
	b := w.s.NewBatch()
	for _, k := range puts {
		w.gaps.arrive(w.s.NextVersion(), []byte(k))
		b.Set([]byte(k), []byte("x"))
	}
	for _, k := range deletes {
		b.Delete([]byte(k))
	}
	w.s.Commit(b, func(err error) {
		if err != nil {
			w.t.Error(err)
		}
	})
}

// TestCursorSeesWhatIsThere holds that with gaps a cursor finds the same keys as
// without, while keys come and go.
func TestCursorSeesWhatIsThere(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	known := &gaps{}
	const keys, commits = 3000, 1500
	key := func() string { return fmt.Sprintf("k%04d", rand.IntN(keys)) }
	var over atomic.Bool
	var readers, writing sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !over.Load() {
				lower, upper := key(), key()
				if lower > upper {
					lower, upper = upper, lower
				}
				reverse := rand.IntN(2) == 0
				view := s.View()
				got, want := walk(t, view, known, lower, upper, reverse), walk(t, view, &gaps{}, lower, upper, reverse)
				view.Release()
				if !slices.Equal(got, want) {
					t.Errorf("%s to %s, reverse %v: got %v, want %v", lower, upper, reverse, got, want)
					return
				}
			}
		})
	}
	w := gapWriter{t, s, known}
	writing.Go(func() {
		for range commits {
			// Whole stretches go, single keys come.
			from := rand.IntN(keys)
			var deletes []string
			for i := range 40 {
				deletes = append(deletes, fmt.Sprintf("k%04d", from+i))
			}
			w.commit([]string{key(), key(), key()}, deletes)
		}
	})
	writing.Wait()
	over.Store(true)
	readers.Wait()
	if len(known.list) == 0 {
		t.Error("no gap was found")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDeadKeysAreSteppedOverOnce deletes from the front of a stretch: the second
// reader takes no steps over what is dead.
func TestDeadKeysAreSteppedOverOnce(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	known := &gaps{}
	w := gapWriter{t, s, known}
	var all []string
	for i := range 1000 {
		all = append(all, fmt.Sprintf("k%04d", i))
	}
	done := make(chan struct{})
	w.commit(all, nil)
	w.commit(nil, all[:900])
	s.Commit(s.NewBatch(), func(error) { close(done) })
	<-done
	view := s.View()
	for _, reverse := range []bool{false, true} {
		upper := "k0999"
		if reverse {
			upper = "k0900" // nothing lives before it
		}
		for round := range 2 {
			c, err := newCursor(view, known, []byte("k"), []byte(upper), reverse)
			if err != nil {
				t.Fatal(err)
			}
			if ok := c.first(); ok == reverse {
				t.Errorf("reverse %v: first is %v", reverse, ok)
			}
			if round == 1 && c.steps > deadSteps {
				t.Errorf("reverse %v: %d steps", reverse, c.steps)
			}
			if err := c.close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	view.Release()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLateGap holds that a gap seen in an old view is not taken when a key has
// arrived in it since, whether that is durable or not.
func TestLateGap(t *testing.T) {
	t.Parallel()
	g := &gaps{}
	g.arrive(5, []byte("m"))
	g.add(gap{from: []byte("a"), to: []byte("z"), version: 4})
	if _, ok := g.at(9, []byte("b")); ok {
		t.Error("a gap over a key that arrived was taken")
	}
	g.add(gap{from: []byte("a"), to: []byte("c"), version: 4})
	if _, ok := g.at(9, []byte("b")); !ok {
		t.Error("a gap beside the key was not taken")
	}
	if _, ok := g.at(3, []byte("b")); ok {
		t.Error("a view from before the gap was sent over it")
	}
	g.arrive(10, []byte("b"))
	for _, k := range []string{"a", "bb"} {
		if x, ok := g.at(11, []byte(k)); !ok || string(x.from) > k {
			t.Errorf("%s is not in what is left of the gap", k)
		}
	}
	for i := range maxArrived {
		g.arrive(uint64(20+i), []byte("zz"))
	}
	g.add(gap{from: []byte("p"), to: []byte("q"), version: 9})
	if x, ok := g.at(3000, []byte("p")); ok && string(x.from) == "p" {
		t.Error("a gap was taken though what arrived since is forgotten")
	}
}
