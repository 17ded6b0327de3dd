package store

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// failure remembers the first error that ended the store's promises.
type failure struct {
	ch      chan struct{} // closed when failed
	once    sync.Once
	err     atomic.Pointer[error]
	onFatal func(error)
}

func (f *failure) init(onFatal func(error)) {
	f.ch = make(chan struct{})
	f.onFatal = onFatal
}

func (f *failure) Err() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *failure) fail(cause error) {
	f.once.Do(func() {
		err := failError(cause)
		f.err.Store(&err)
		close(f.ch)
		if f.onFatal != nil {
			go f.onFatal(err)
		}
	})
}

// Failed is closed when the store can write no more; Err then says why.
func (s *Store) Failed() <-chan struct{} { return s.failure.ch }

// Err returns nil, or the sentence that says why the store can write no more.
func (s *Store) Err() error { return s.failure.Err() }

// Writable returns nil, or the sentence that says why writes are refused. A full
// disk refuses writes until there is room again; a failure refuses them for good.
func (s *Store) Writable() error {
	if err := s.failure.Err(); err != nil {
		return err
	}
	if s.full.Load() {
		return fullError(s.dir)
	}
	return nil
}

// logger receives what pebble says. Pebble's own logger ends the process on
// Fatalf, with a stack trace; ours reports one sentence and stops the goroutine,
// since pebble does not expect Fatalf to return.
type logger struct{ s *Store }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		if cause, ok := a.(error); ok {
			err = cause
		}
	}
	l.s.failure.fail(err)
	select {}
}

func (s *Store) events() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			// Flushes are tried again by pebble; a full disk heals when there is room.
			if errors.Is(err, syscall.ENOSPC) {
				s.full.Store(true)
			}
		},
		WALCreated: func(i pebble.WALCreateInfo) {
			if i.Err == nil {
				s.mark.logMade(uint64(i.FileNum))
			}
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.failure.fail(damagedError(i.Path, i.Details))
		},
	}
}

const (
	minFree    = 32 << 20 // bytes that must be free: room for the log and a flush
	spaceEvery = time.Second
)

// watchSpace refuses writes while the disk is nearly full, so that the store
// never has to fail in the middle of one.
func (s *Store) watchSpace() {
	t := time.NewTicker(spaceEvery)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			if free, err := freeSpace(s.fs, s.dir); err == nil {
				s.full.Store(free < minFree)
			}
			if err := s.mark.sync(); err != nil {
				s.failure.fail(err)
			}
		}
	}
}

func freeSpace(fs vfs.FS, dir string) (uint64, error) {
	u, err := fs.GetDiskUsage(dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return math.MaxUint64, nil
	}
	return u.AvailBytes, err
}

func checkDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return openError(dir, err)
	}
	free, err := freeSpace(fs, dir)
	if err != nil {
		return openError(dir, err)
	}
	if free < minFree {
		return fullError(dir)
	}
	return nil
}

func lockDir(fs vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fs)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES), strings.Contains(err.Error(), "lock held by current process"):
		return nil, fmt.Errorf("another process is using the table data in %s: stop it, or choose another data directory", dir)
	default:
		return nil, openError(dir, err)
	}
}

func openError(dir string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fullError(dir)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the table data in %s cannot be written: %w", dir, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("the data directory %s is not a directory", dir)
	case pebble.IsCorruptionError(err), errors.Is(err, os.ErrNotExist), errors.Is(err, pebble.ErrDBNotPristine):
		return damagedError(dir, err)
	default:
		return fmt.Errorf("the table data in %s cannot be opened (%w): if it worked before, restore it from a backup%s", dir, oneLine(err), how)
	}
}

// how names the command of the local program.
const how = " (go run ./local restore)"

func damagedError(path string, err error) error {
	return fmt.Errorf("the table data in %s is damaged (%w): restore it from a backup%s", path, oneLine(err), how)
}

func fullError(dir string) error {
	return fmt.Errorf("the disk that holds the table data in %s is full: free some space", dir)
}

func failError(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the table data cannot be written since the disk is full: free some space and start again")
	}
	if strings.HasPrefix(err.Error(), "the table data ") {
		return err
	}
	return fmt.Errorf("the table data cannot be written: %w", oneLine(err))
}

// lineError shows an error on one line and keeps its cause.
type lineError struct{ err error }

func (e lineError) Error() string { return strings.Join(strings.Fields(e.err.Error()), " ") }
func (e lineError) Unwrap() error { return e.err }

func oneLine(err error) error { return lineError{err} }
