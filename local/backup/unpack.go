package backup

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// largeFile is what the name of a large object's file looks like: a UUID.
var largeFile = regexp.MustCompile(`^[0-9a-f-]{36}$`)

// fillMemory is the memory of a store that is filled, in bytes: large tables in memory make few files.
const fillMemory = 64 << 20

// unpacker writes parts into a folder.
type unpacker struct {
	dir    *datadir.Dir
	stores map[string]*filler // by folder in the archive
}

// filler fills a store.
type filler struct {
	store *store.Store
	chunk []byte
}

func (u *unpacker) open(folder string) error {
	path := u.dir.Path(filepath.FromSlash(folder))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return unwritable(path, err)
	}
	s, err := store.Open(path, store.Options{Memory: fillMemory})
	if err != nil {
		return err
	}
	u.stores[folder] = &filler{store: s}
	return nil
}

func (u *unpacker) close() error {
	var errs []error
	for _, f := range u.stores {
		errs = append(errs, f.store.Close())
	}
	u.stores = nil
	return errors.Join(errs...)
}

// fill commits one chunk of entries; it is on the disk when fill returns.
func (u *unpacker) fill(f *filler, h *tar.Header, r io.Reader) error {
	if h.Size > maxSmallFile {
		return &ofArchive{damaged("%s is too long", h.Name)}
	}
	if err := f.store.Writable(); err != nil {
		return err
	}
	if cap(f.chunk) < int(h.Size) {
		f.chunk = make([]byte, h.Size)
	}
	chunk := f.chunk[:h.Size]
	if _, err := io.ReadFull(r, chunk); err != nil {
		return &ofArchive{broken(err)}
	}
	b := f.store.NewBatch()
	if err := eachEntry(chunk, b.Set); err != nil {
		return &ofArchive{damaged("%s: %w", h.Name, err)}
	}
	done := make(chan error, 1)
	f.store.Commit(b, func(err error) { done <- err })
	return <-done
}

// writeFile writes a file and syncs it; its name is synced with the folders, later.
func (u *unpacker) writeFile(name string, mode fs.FileMode, r io.Reader) (err error) {
	path := u.dir.Path(filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return unwritable(path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return unwritable(path, err)
	}
	defer func() {
		if cerr := f.Close(); err == nil && cerr != nil {
			err = unwritable(path, cerr)
		}
	}()
	archive := &readError{r: r}
	if _, err := io.Copy(f, archive); archive.err != nil {
		return &ofArchive{broken(archive.err)}
	} else if err != nil {
		return unwritable(path, err)
	}
	if err := f.Sync(); err != nil {
		return unwritable(path, err)
	}
	return nil
}

// readError remembers an error of its reader, which io.Copy does not tell from the writer's.
type readError struct {
	r   io.Reader
	err error
}

func (e *readError) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		e.err = err
	}
	return n, err
}
