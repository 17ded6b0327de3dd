// Package datadir owns the folder of one machine: everything that must survive lies in it, and one process at a time uses it.
package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// LockFile is the file in the folder that is locked.
	LockFile = "lock"
	// LayoutFile is the file that says that the folder is whole, and of which version.
	LayoutFile = "layout"
	// Layout is the version of what lies where in the folder. A change that an older program cannot read raises it.
	Layout       = 1
	layoutPrefix = "bloom data, layout "
)

// Dir is a data folder held by this process.
type Dir struct {
	path string
	lock *os.File
}

// Open creates the folder where there is none (mode 0700) and locks it for the life of the process or until Close. Every
// error is a sentence for the user: the folder cannot be made or written, is a file, is used by another process, holds
// something else, or was written by a newer program.
func Open(path string) (*Dir, error) {
	d, err := Lock(path)
	if err != nil {
		return nil, err
	}
	if err := checkLayout(d.path); err != nil {
		_ = d.Close() // the first error says more
		return nil, err
	}
	return d, nil
}

// Lock creates the folder where there is none and locks it, whatever it holds. It is for who fills a folder that no start may
// take for whole: until Mark, Open refuses it.
func Lock(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be found: %w", path, cause(err))
	}
	if err := makeDir(abs); err != nil {
		return nil, err
	}
	lock, err := lockDir(abs)
	if err != nil {
		return nil, err
	}
	return &Dir{path: abs, lock: lock}, nil
}

// Mark says that the folder is whole: from now on Open takes it.
func (d *Dir) Mark() error {
	return WriteFile(d.Path(LayoutFile), []byte(layoutPrefix+strconv.Itoa(Layout)+"\n"))
}

// Unmark takes the mark back, for good: from now on Open refuses the folder, so that what is in it may go.
func (d *Dir) Unmark() error {
	if err := os.Remove(d.Path(LayoutFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return SyncDir(d.path)
}

// IsData says whether path is a folder that Open has made or opened before.
func IsData(path string) bool { return isFile(filepath.Join(path, LayoutFile)) }

// ErrInUse is in the error of Open and Lock when another process holds the folder.
var ErrInUse = errors.New("used by another process")

// Path is the absolute path of elem inside the folder.
func (d *Dir) Path(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// Close gives the lock up. Whatever uses the folder must have stopped.
func (d *Dir) Close() error {
	return d.lock.Close()
}

func makeDir(path string) error {
	err := os.MkdirAll(path, 0o700)
	if err == nil {
		spread(path)
		return nil
	}
	if errors.Is(err, syscall.ENOTDIR) || isFile(path) {
		return fmt.Errorf("the data folder %s cannot be made: a file stands in its place; name another with -data", path)
	}
	return fmt.Errorf("the data folder %s cannot be made: %w; name another with -data", path, cause(err))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// lockDir takes the lock. The kernel drops it with the process, however that ends, so a lock file that is left over locks nothing.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be written: %w; name another with -data or mend its owner and mode", path, cause(err))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer func() { _ = f.Close() }()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("the data folder %s is %w%s; stop it or name another folder with -data", path, ErrInUse, holder(f))
		}
		return nil, fmt.Errorf("the data folder %s cannot be locked: %w; it must lie on a file system with locks", path, err)
	}
	if err := f.Truncate(0); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("the data folder %s cannot be written: %w", path, cause(err))
	}
	// Whose lock it is helps whoever meets it; a disk that is full is met again, with a sentence, by what follows.
	_, _ = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	return f, nil
}

func holder(f *os.File) string {
	b := make([]byte, 16)
	n, _ := f.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (pid %d)", pid)
}

func checkLayout(path string) error {
	name := filepath.Join(path, LayoutFile)
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := refuseForeign(path); err != nil {
			return err
		}
		if err := WriteFile(name, []byte(layoutPrefix+strconv.Itoa(Layout)+"\n")); err != nil {
			return fmt.Errorf("the data folder %s cannot be written: %w", path, cause(err))
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", name, cause(err))
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(b)), layoutPrefix)
	version, err := strconv.Atoi(text)
	switch {
	case !ok || err != nil:
		return fmt.Errorf("%s is damaged: it should say %q; restore the data folder from a backup (go run ./local restore) or name another with -data", name, layoutPrefix+strconv.Itoa(Layout))
	case version > Layout:
		return fmt.Errorf("the data folder %s was written by a newer version of this program (layout %d, this one knows %d); run that version", path, version, Layout)
	}
	return nil
}

// refuseForeign keeps the program out of a folder that holds something else.
func refuseForeign(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be read: %w", path, cause(err))
	}
	for _, e := range entries {
		if name := e.Name(); name != LockFile && name != "lost+found" && !strings.HasPrefix(name, TempPrefix) {
			return fmt.Errorf("the folder %s holds something else (%s); name an empty or a new folder with -data", path, name)
		}
	}
	return nil
}

// cause drops the operation and path from a file error: the sentence around it names them.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	if s, ok := errors.AsType[*os.SyscallError](err); ok {
		return s.Err
	}
	return err
}
