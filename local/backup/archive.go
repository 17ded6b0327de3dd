package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

const (
	// chunkSize is the size from which a chunk of entries is written.
	chunkSize = 1 << 20
	// listLength is how many parts a list of SHA-256 has: more would be kept in memory.
	listLength = 1000
	// window bounds the memory of both sides of the compression.
	window = 4 << 20
)

// archive writes the parts of a backup.
type archive struct {
	tar     *tar.Writer
	zstd    *zstd.Encoder
	made    time.Time
	list    bytes.Buffer // of the parts since the last list
	lists   hash.Hash    // of all lists written
	listed  int          // lists written
	parts   int
	summary Summary
	buf     []byte
}

func newArchive(w io.Writer) (*archive, error) {
	// One goroutine: a backup may use one core, the stack needs the others.
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, err
	}
	return &archive{tar: tar.NewWriter(z), zstd: z, made: time.Now(), lists: sha256.New(), buf: make([]byte, 0, chunkSize+chunkSize/2)}, nil
}

// add writes one part of size bytes.
func (a *archive) add(name string, mode fs.FileMode, size int64, r io.Reader) error {
	sum, err := a.write(name, mode, size, r)
	if err != nil {
		return err
	}
	a.parts++
	a.summary.Bytes += size
	fmt.Fprintf(&a.list, "%s  %s\n", hex.EncodeToString(sum), name)
	if a.parts%listLength == 0 {
		return a.addList()
	}
	return nil
}

// write writes one file of the archive and returns its SHA-256.
func (a *archive) write(name string, mode fs.FileMode, size int64, r io.Reader) ([]byte, error) {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: size, ModTime: a.made.Truncate(time.Second)}
	if err := a.tar.WriteHeader(h); err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(a.tar, sum), r)
	if err == nil && n != size {
		err = fmt.Errorf("%s has %d bytes, not %d: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	return sum.Sum(nil), err
}

func (a *archive) addBytes(name string, mode fs.FileMode, content []byte) error {
	return a.add(name, mode, int64(len(content)), bytes.NewReader(content))
}

func (a *archive) addJSON(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.addBytes(name, 0o600, append(text, '\n'))
}

// addFile writes the bytes of a large object, which do not change.
func (a *archive) addFile(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("the object's bytes in %s cannot be read: %w", path, cause(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("the object's bytes in %s cannot be read: %w", path, cause(err))
	}
	return a.add(name, 0o600, info.Size(), f)
}

// addView writes all entries of a store, in chunks.
func (a *archive) addView(folder string, view *store.View) (entries int64, err error) {
	it, err := view.Iter(nil, nil)
	if err != nil {
		return 0, err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr // what the iterator met
		}
	}()
	chunks := 0
	flush := func() error {
		chunks++
		err := a.addBytes(fmt.Sprintf("%s/%06d.entries", folder, chunks), 0o600, a.buf)
		a.buf = a.buf[:0]
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		a.buf = appendEntry(a.buf, it.Key(), it.Value())
		entries++
		if len(a.buf) >= chunkSize {
			if err := flush(); err != nil {
				return entries, err
			}
		}
	}
	if len(a.buf) > 0 {
		return entries, flush()
	}
	return entries, nil
}

// addList writes the SHA-256 of the parts since the last list.
func (a *archive) addList() error {
	a.listed++
	a.lists.Write(a.list.Bytes())
	_, err := a.write(listName(a.listed), 0o600, int64(a.list.Len()), bytes.NewReader(a.list.Bytes()))
	a.list.Reset()
	return err
}

func listName(n int) string { return fmt.Sprintf("%s%06d", sumsName, n) }

// finish writes what makes the archive whole.
func (a *archive) finish() (Summary, error) {
	if a.list.Len() > 0 {
		if err := a.addList(); err != nil {
			return a.summary, err
		}
	}
	text, err := json.Marshal(end{Parts: a.parts, Lists: hex.EncodeToString(a.lists.Sum(nil)), Summary: a.summary})
	if err != nil {
		return a.summary, err
	}
	if _, err := a.write(endName, 0o600, int64(len(text)), bytes.NewReader(text)); err != nil {
		return a.summary, err
	}
	if err := a.tar.Close(); err != nil {
		return a.summary, err
	}
	z := a.zstd
	a.zstd = nil
	return a.summary, z.Close()
}

// abandon lets go of an archive that was not finished: it stays without its end.
func (a *archive) abandon() {
	if a.zstd != nil {
		a.zstd.Reset(io.Discard)
		_ = a.zstd.Close() // to nowhere
	}
}
