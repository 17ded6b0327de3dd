package objects

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A snapshot's objects stay as they were, their bytes too, whatever is replaced or deleted before it is released.
func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	s, b := open(t, dir)
	large := bytes.Repeat([]byte("x"), inline+1)
	for _, key := range []string{"replaced", "deleted", "kept"} {
		if err := b.Put(t.Context(), key, large, "text/plain"); err != nil {
			t.Fatal(err)
		}
	}
	first, second := s.Snapshot(nil), s.Snapshot(nil)
	if err := b.Put(t.Context(), "replaced", append(large, 'y'), "text/plain"); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "deleted"); err != nil {
		t.Fatal(err)
	}
	for i, snap := range []*Snapshot{first, second} {
		n := 0
		err := EachFile(snap.View, func(name string) error {
			n++
			content, err := os.ReadFile(filepath.Join(snap.Files, name))
			if err == nil && !bytes.Equal(content, large) {
				t.Errorf("%s has %d other bytes", name, len(content))
			}
			return err
		})
		if err != nil || n != 3 {
			t.Errorf("%d files, %v", n, err)
		}
		snap.Release()
		if got, want := len(files(t, dir)), 4-2*i; got != want {
			t.Errorf("%d files after %d releases, want %d", got, i+1, want)
		}
	}
}

// Between the table's moment and the snapshot's nothing is deleted.
func TestDeletionWaitsForSnapshot(t *testing.T) {
	s, b := open(t, t.TempDir())
	if err := b.Put(t.Context(), "k", []byte("x"), "text/plain"); err != nil {
		t.Fatal(err)
	}
	deleted := make(chan error, 1)
	snap := s.Snapshot(func() {
		go func() { deleted <- b.Delete(t.Context(), "k") }()
		select {
		case err := <-deleted:
			t.Errorf("it was deleted before the snapshot was taken: %v", err)
		case <-time.After(50 * time.Millisecond): // that it could have taken
		}
	})
	defer snap.Release()
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	it, err := snap.View.Iter([]byte("o"), []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	if !it.First() {
		t.Error("it is not in the snapshot")
	}
	_ = it.Close()
}
