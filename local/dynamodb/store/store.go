// Package store keeps ordered keys and values durably in one directory.
//
// It is pebble with one rule added: a reader sees only what is fsynced. Pebble
// shows a commit to readers before its sync has ended, so a reader could act on
// a write that a crash then forgets. Here readers get a View, which is swapped
// for the next one only when the commit behind it is on disk.
//
// One goroutine writes (Commit, Latest); any number may read (View).
package store

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	packedFrom = 5 // levels below hold little, for a short time: packing them costs more than it saves
	inFlight   = 4 // commits that may wait for their sync at a time
)

// Options of a store.
type Options struct {
	// Memory is what memtables and blocks read may take together, in bytes. A
	// quarter of it is the largest memtable, of which there may be two for a moment.
	// 0 = pebble's 8 MB.
	Memory int64
	// OnFatal is called once, on a goroutine of its own, when the store can no
	// longer promise what it answers: a failed write or sync of its files, or a
	// damaged file met while reading. The error is one sentence. From then on
	// every Commit fails with it. The process is expected to end.
	OnFatal func(error)
}

// Store is an open directory. Its methods may be called from any goroutine
// unless they say otherwise.
type Store struct {
	dir     string
	fs      vfs.FS
	db      *pebble.DB
	lock    *pebble.Lock
	current atomic.Pointer[View]
	version uint64 // of the last commit; the committing goroutine's
	syncing chan pending
	synced  sync.WaitGroup // the goroutine that waits for syncs
	watch   sync.WaitGroup // the goroutines that look after the disk
	stop    chan struct{}
	failure failure
	mark    marker
	full    atomic.Bool // too little room on the disk: refuse writes until there is more
}

// Open opens the store in dir, which is made if it is missing. Every error is
// one sentence that says what to do.
func Open(dir string, opts Options) (*Store, error) { return open(dir, opts, vfs.Default) }

func open(dir string, opts Options, fs vfs.FS) (*Store, error) {
	if err := checkDir(fs, dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(fs, dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, fs: fs, lock: lock, syncing: make(chan pending, inFlight), stop: make(chan struct{})}
	s.failure.init(opts.OnFatal)
	last, before, err := inspect(fs, dir)
	if err == nil {
		s.db, err = s.openPebble(opts.Memory)
	}
	if err != nil {
		_ = lock.Close() // the error of the open says more
		return nil, err
	}
	if err = s.verifyAtStart(); err == nil {
		if err = s.mark.begin(fs, dir, last, before.logs); err != nil {
			err = openError(dir, err)
		}
	}
	if err != nil {
		s.stopWatching()
		_ = s.db.Close()
		_ = lock.Close()
		return nil, err
	}
	s.current.Store(newView(s.db, 0))
	s.synced.Go(s.waitForSyncs)
	s.watch.Go(s.watchSpace)
	return s, nil
}

// openPebble opens the files. Pebble panics on some that are damaged.
func (s *Store) openPebble(memory int64) (db *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = damagedError(s.dir, fmt.Errorf("%v", p))
		}
	}()
	if db, err = pebble.Open(s.dir, s.pebbleOptions(s.lock, memory)); err != nil {
		return nil, openError(s.dir, err)
	}
	return db, nil
}

func (s *Store) pebbleOptions(lock *pebble.Lock, memory int64) *pebble.Options {
	o := &pebble.Options{
		FS:                    s.fs,
		CacheSize:             memory, // pebble takes the memtables off it
		MemTableSize:          uint64(memory / 4),
		L0CompactionThreshold: 8,
		L0StopWritesThreshold: 32,
		MaxOpenFiles:          500,
		FormatMajorVersion:    pebble.FormatNewest,
		Lock:                  lock,
		Logger:                logger{s},
		EventListener:         s.events(),
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 4 << 10
		o.Levels[i].IndexBlockSize = 256 << 10 // one level of index in each file
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].Compression = func() *sstable.CompressionProfile {
			if i < packedFrom {
				return sstable.NoCompression
			}
			return sstable.SnappyCompression
		}
	}
	return o
}

// Close waits for the commits under way and closes the files. No Commit may be
// running or follow; every View must have been released. After a failure it only
// lets go of the directory: pebble would wait for what the failure stopped, and
// the process is about to end.
func (s *Store) Close() error {
	s.stopWatching()
	if err := s.failure.Err(); err != nil {
		_ = s.lock.Close() // the failure says more
		return err
	}
	close(s.syncing)
	synced := make(chan struct{})
	go func() {
		s.synced.Wait()
		close(synced)
	}()
	select {
	case <-synced:
	case <-s.failure.ch:
		_ = s.lock.Close()
		return s.failure.Err()
	}
	s.current.Load().Release()
	err := s.mark.close()
	if derr := s.db.Close(); err == nil {
		err = derr
	}
	if lerr := s.lock.Close(); err == nil {
		err = lerr
	}
	return err
}

func (s *Store) stopWatching() {
	close(s.stop)
	s.watch.Wait()
}
