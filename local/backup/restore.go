package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// Restore makes the data folder dir, which must be empty or not there, from the backup in the file from. It is made beside dir
// and takes its place when it is whole and on the disk: whatever happens before, dir is as it was, and Restore can be called
// again. An error is one sentence.
func Restore(ctx context.Context, from, dir string) (Summary, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Summary{}, fmt.Errorf("the data folder %s cannot be found: %w", dir, cause(err))
	}
	if err := checkTarget(dir); err != nil {
		return Summary{}, err
	}
	f, err := os.Open(from)
	if err != nil {
		return Summary{}, fmt.Errorf("the backup %s cannot be read: %w", from, cause(err))
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return Summary{}, fmt.Errorf("the backup %s cannot be read: it is no file", from)
	}
	a, err := openReader(reading{ctx, f})
	if err != nil && ctx.Err() == nil {
		return Summary{}, fmt.Errorf("the file %s %w", from, err)
	}
	if err != nil {
		return Summary{}, brokenOff(dir)
	}
	defer a.close()
	return restoreBeside(ctx, a, from, dir)
}

// reading reads until its context ends.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (u reading) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// restoreBeside unpacks into a folder beside dir, which is locked while this goes on. One that was left behind is emptied.
func restoreBeside(ctx context.Context, a *reader, from, dir string) (Summary, error) {
	beside := filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".restoring")
	d, err := datadir.Lock(beside)
	if errors.Is(err, datadir.ErrInUse) {
		return Summary{}, fmt.Errorf("another restore into %s is under way", dir)
	}
	if err != nil {
		return Summary{}, err
	}
	done := false
	defer func() {
		if !done && d.Unmark() == nil { // else it stays, for the next restore
			_ = os.RemoveAll(beside)
		}
		_ = d.Close()
	}()
	if err := empty(d); err != nil {
		return Summary{}, err
	}
	err = unpackAll(a, d)
	if ctx.Err() != nil {
		err = brokenOff(dir)
	} else if what := (*ofArchive)(nil); errors.As(err, &what) {
		err = fmt.Errorf("the backup %s %w: nothing was restored", from, what.err)
	}
	if err == nil {
		err = moveInto(d, beside, dir)
	}
	if err != nil {
		return Summary{}, err
	}
	done = true
	summary := a.end.Summary
	summary.Created = a.head.Created
	return summary, nil
}

func brokenOff(dir string) error {
	return fmt.Errorf("the restore into %s was broken off: nothing is left of it", dir)
}

// ofArchive is an error of the archive, not of where it is unpacked to.
type ofArchive struct{ err error }

func (e *ofArchive) Error() string { return e.err.Error() }
func (e *ofArchive) Unwrap() error { return e.err }

// checkTarget wants dir absent, or an empty folder that can be replaced.
func checkTarget(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be read: %w", dir, cause(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("the data folder %s cannot be made: a file stands in its place; name another with -data", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be read: %w", dir, cause(err))
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder %s is not empty (%s): a backup is restored into a new or an empty folder only; move that one away, or name another with -data", dir, entries[0].Name())
	}
	if onDiskOfItsOwn(info, filepath.Dir(dir)) {
		return fmt.Errorf("the folder %s is where a disk is mounted, which cannot be replaced as a whole: name a new folder in it with -data", dir)
	}
	return nil
}

func onDiskOfItsOwn(info fs.FileInfo, parent string) bool {
	up, err := os.Stat(parent)
	if err != nil {
		return false
	}
	a, ok1 := info.Sys().(*syscall.Stat_t)
	b, ok2 := up.Sys().(*syscall.Stat_t)
	return ok1 && ok2 && a.Dev != b.Dev
}

// empty removes everything but the lock. A restore that was killed between its mark and its move left a folder that a start
// would take: the mark goes first.
func empty(d *datadir.Dir) error {
	dir := d.Path()
	if err := d.Unmark(); err != nil {
		return fmt.Errorf("the folder %s, left by another restore, cannot be emptied: %w", dir, cause(err))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("the folder %s cannot be read: %w", dir, cause(err))
	}
	for _, e := range entries {
		if e.Name() == datadir.LockFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("the folder %s, left by another restore, cannot be emptied: %w", dir, cause(err))
		}
	}
	return nil
}

// moveInto puts the finished folder in dir's place.
func moveInto(d *datadir.Dir, beside, dir string) error {
	failed := func(err error) error {
		return fmt.Errorf("the restored data cannot be moved to %s: %w", dir, cause(err))
	}
	if err := syncFolders(beside); err != nil {
		return failed(err)
	}
	if err := d.Mark(); err != nil {
		return failed(err)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // only if it is still empty
		return failed(err)
	}
	if err := os.Rename(beside, dir); err != nil {
		return failed(err)
	}
	if err := datadir.SyncDir(filepath.Dir(dir)); err != nil {
		return failed(err)
	}
	return nil
}

// syncFolders makes all names in a folder durable; the files are already.
func syncFolders(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return datadir.SyncDir(path)
	})
}

// unpackAll writes every part where it belongs.
func unpackAll(a *reader, d *datadir.Dir) (err error) {
	u := unpacker{dir: d, stores: map[string]*filler{}}
	defer func() { err = errors.Join(err, u.close()) }()
	if a.head.Table {
		if err := u.open(tableFolder); err != nil {
			return err
		}
	}
	if a.head.Objects {
		if err := u.open(indexFolder); err != nil {
			return err
		}
		if err := os.MkdirAll(d.Path(filepath.FromSlash(filesFolder)), 0o700); err != nil {
			return unwritable(d.Path(), err)
		}
	}
	for {
		h, r, err := a.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &ofArchive{err}
		}
		if err := u.unpack(h, r); err != nil {
			return err
		}
	}
}

// unpack writes one part. What is no part of a backup is refused, so that no name leads out of the folder.
func (u *unpacker) unpack(h *tar.Header, r io.Reader) error {
	folder, base, _ := cutLast(h.Name)
	switch {
	case h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name):
	case u.stores[folder] != nil && strings.HasSuffix(base, ".entries"):
		return u.fill(u.stores[folder], h, r)
	case folder == filesFolder && largeFile.MatchString(base):
		return u.writeFile(h.Name, 0o600, r)
	case isSmallFile(h.Name) && h.Size <= maxSmallFile:
		return u.writeFile(h.Name, fs.FileMode(h.Mode)&0o644|0o600, r)
	}
	return &ofArchive{damaged("it holds %q, which no backup does", h.Name)}
}

func cutLast(name string) (folder, base string, ok bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name, false
	}
	return name[:i], name[i+1:], true
}

func unwritable(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk that holds %s is full: free some space", path)
	}
	return fmt.Errorf("%s cannot be written: %w", path, cause(err))
}
