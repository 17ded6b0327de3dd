package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// save has write fill the file at path (mode 0600: a backup holds secrets), which is there only once it is whole and on the
// disk. Until then it is path.partial, which is removed when write fails; one that a kill left behind is written over. What
// was at path before is replaced.
func save(ctx context.Context, path string, write func(io.Writer) (Summary, error)) (_ Summary, err error) {
	partial := path + ".partial"
	f, err := lockedFile(partial)
	if err != nil {
		return Summary{}, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(partial)
		}
		_ = f.Close() // after the rename everything is on the disk
	}()
	out := &writeError{w: f}
	sum, err := write(out)
	switch {
	case ctx.Err() != nil:
		return sum, fmt.Errorf("the backup was broken off: %s is as it was before", path)
	case out.err != nil:
		return sum, unwritable(partial, out.err)
	case err != nil:
		return sum, err
	}
	if err := f.Sync(); err != nil {
		return sum, unwritable(partial, err)
	}
	if err := os.Rename(partial, path); err != nil {
		return sum, unwritable(path, err)
	}
	if err := datadir.SyncDir(filepath.Dir(path)); err != nil {
		return sum, unwritable(path, err)
	}
	return sum, nil
}

// lockedFile opens an empty file that no other process writes to at the same time.
func lockedFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unwritable(path, err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		// Whoever held the lock before may have given the file its final name meanwhile.
		var mine, there os.FileInfo
		if mine, err = f.Stat(); err == nil {
			there, err = os.Stat(path)
		}
		if err == nil && os.SameFile(mine, there) {
			if err = errors.Join(f.Chmod(0o600), f.Truncate(0)); err == nil {
				return f, nil
			}
			_ = f.Close() // the first error says more
			return nil, unwritable(path, err)
		}
	}
	_ = f.Close()
	return nil, fmt.Errorf("another backup is being written to %s: wait for it, or name another file with -to", path)
}

// writeError remembers an error of its writer.
type writeError struct {
	w   io.Writer
	err error
}

func (e *writeError) Write(p []byte) (int, error) {
	n, err := e.w.Write(p)
	if err != nil {
		e.err = err
	}
	return n, err
}
