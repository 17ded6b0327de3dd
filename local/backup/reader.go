package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/bloom-runtime/bloom/local/datadir"
)

var (
	errForeign = errors.New("is not a backup of this program, or is cut off near its start")
	errCut     = errors.New("is cut off: it ends before its end")
)

// damaged says what is wrong with an archive that is whole in form.
func damaged(format string, args ...any) error {
	return fmt.Errorf("is damaged (%w)", fmt.Errorf(format, args...))
}

// reader reads the parts of an archive and holds each against the lists. A part is only known to be right once the list that
// names it was read: what next gave out counts for nothing until verify has returned nil.
type reader struct {
	zstd   *zstd.Decoder
	tar    *tar.Reader
	head   head
	list   bytes.Buffer // of the parts since the last list
	lists  hash.Hash
	listed int
	parts  int
	bytes  int64
	sum    hash.Hash // of the part under way
	name   string    // its name, "" before the first
	end    end
}

// openReader reads as far as the head. Errors are predicates of the file: "is damaged (…)".
func openReader(r io.Reader) (*reader, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(2*window))
	if err != nil {
		return nil, errForeign
	}
	a := &reader{zstd: z, tar: tar.NewReader(z), lists: sha256.New(), sum: sha256.New()}
	if err := a.readHead(); err != nil {
		z.Close()
		return nil, err
	}
	return a, nil
}

func (a *reader) readHead() error {
	h, r, err := a.next()
	if err != nil || h.Name != headName || h.Size > maxSmallFile {
		return errForeign
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return broken(err)
	}
	if err := json.Unmarshal(text, &a.head); err != nil || a.head.Format != formatName {
		return errForeign
	}
	if a.head.Version > formatVersion || a.head.Layout > datadir.Layout {
		return fmt.Errorf("was made by a newer version of this program (format %d, layout %d; this one knows %d and %d): restore it with that version",
			a.head.Version, a.head.Layout, formatVersion, datadir.Layout)
	}
	return nil
}

// next returns the next part. After the last one it returns io.EOF: the archive is whole and every part was right.
func (a *reader) next() (*tar.Header, io.Reader, error) {
	for {
		if err := a.noteLast(); err != nil {
			return nil, nil, err
		}
		h, err := a.tar.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil, errCut // without its end
		case err != nil:
			return nil, nil, broken(err)
		case h.Name == endName:
			return nil, nil, a.verifyEnd(h)
		case strings.HasPrefix(h.Name, sumsName):
			if err := a.verifyList(h); err != nil {
				return nil, nil, err
			}
			continue
		}
		a.name = h.Name
		a.parts++
		a.bytes += h.Size
		a.sum.Reset()
		return h, io.TeeReader(a.tar, a.sum), nil
	}
}

// noteLast keeps the SHA-256 of the part that was given out last, of all of it.
func (a *reader) noteLast() error {
	if a.name == "" {
		return nil
	}
	if _, err := io.Copy(a.sum, a.tar); err != nil { // what nobody read
		return broken(err)
	}
	fmt.Fprintf(&a.list, "%s  %s\n", hex.EncodeToString(a.sum.Sum(nil)), a.name)
	a.name = ""
	if a.list.Len() > maxSmallFile {
		return damaged("its lists are missing")
	}
	return nil
}

func (a *reader) verifyList(h *tar.Header) error {
	a.listed++
	if h.Name != listName(a.listed) || h.Size != int64(a.list.Len()) {
		return damaged("%s is not the list that belongs there", h.Name)
	}
	text, err := io.ReadAll(a.tar)
	if err != nil {
		return broken(err)
	}
	if !bytes.Equal(text, a.list.Bytes()) {
		return damaged("a part differs from its SHA-256 in %s", h.Name)
	}
	a.lists.Write(text)
	a.list.Reset()
	return nil
}

// verifyEnd reads the end and what is behind it, and returns io.EOF if all is well.
func (a *reader) verifyEnd(h *tar.Header) error {
	if h.Size > maxSmallFile {
		return damaged("its end is too long")
	}
	text, err := io.ReadAll(a.tar)
	if err != nil {
		return broken(err)
	}
	if err := json.Unmarshal(text, &a.end); err != nil {
		return damaged("its end cannot be read")
	}
	if a.end.Parts != a.parts || a.end.Bytes != a.bytes || a.list.Len() > 0 || a.end.Lists != hex.EncodeToString(a.lists.Sum(nil)) {
		return damaged("a part or a list is missing")
	}
	if _, err := a.tar.Next(); !errors.Is(err, io.EOF) {
		return damaged("something follows its end")
	}
	if _, err := io.Copy(io.Discard, a.zstd); err != nil { // the checksum of the compressed stream
		return broken(err)
	}
	return io.EOF
}

func (a *reader) close() { a.zstd.Close() }

// broken tells an archive that ends too early from one that cannot be read.
func broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return damaged("%w", err)
}
