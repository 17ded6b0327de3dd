package objects

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// Snapshot is every object as of one moment: what is known of all and the bytes of small ones in View, the bytes of large
// ones in Files, one file each. What is deleted or replaced later stays until Release.
type Snapshot struct {
	View  *store.View
	Files string

	storage *storage
}

// Snapshot takes the objects of this moment. before, unless nil, is called just before, while no object can be deleted: what
// it sees named is in the snapshot. Calls to the server go on meanwhile; only deletions wait, for as long as before takes.
func (s *Server) Snapshot(before func()) *Snapshot { return s.storage.snapshot(before) }

func (s *storage) snapshot(before func()) *Snapshot {
	s.deletes.Lock()
	defer s.deletes.Unlock()
	if before != nil {
		before()
	}
	s.held.begin()
	return &Snapshot{View: s.store.View(), Files: s.files, storage: s}
}

// Release lets go of what only the snapshot needed. It is called once.
func (s *Snapshot) Release() {
	s.View.Release()
	for _, file := range s.storage.held.end() {
		_ = os.Remove(filepath.Join(s.Files, file)) // one that stays is found by the sweep
	}
}

// EachFile calls each with the name of every file that a large object in view has its bytes in, until each returns an error.
func EachFile(view *store.View, each func(name string) error) error {
	it, err := view.Iter(fileKey(""), []byte{'f' + 1})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := each(string(it.Key()[1:])); err != nil {
			_ = it.Close() // the first error says more
			return err
		}
	}
	return it.Close()
}

// held keeps files from being removed while snapshots are read.
type held struct {
	mu      sync.Mutex
	readers int
	later   []string // removed since the first reader came
}

func (h *held) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers++
}

// keep says that the file must stay for now, and remembers it.
func (h *held) keep(file string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers > 0 {
		h.later = append(h.later, file)
	}
	return h.readers > 0
}

// end returns the files that can be removed now.
func (h *held) end() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers--
	if h.readers > 0 {
		return nil
	}
	files := h.later
	h.later = nil
	return files
}
