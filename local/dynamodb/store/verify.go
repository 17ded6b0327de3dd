package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/sstable"
)

// verifyBudget is how long Open checks files before it leaves the rest to a
// goroutine: a small store is known to be whole when it opens, a big one opens
// quickly all the same.
const verifyBudget = time.Second

// verifyAtStart reads every block of every file and checks its checksum. The
// log and the list of files are checked by pebble when it opens them.
func (s *Store) verifyAtStart() error {
	levels, err := s.db.SSTables()
	if err != nil {
		return openError(s.dir, err)
	}
	var files []string
	for _, level := range levels {
		for _, t := range level {
			files = append(files, filepath.Join(s.dir, fmt.Sprintf("%06d.sst", t.BackingSSTNum)))
		}
	}
	deadline := time.Now().Add(verifyBudget)
	for i, f := range files {
		if time.Now().After(deadline) {
			rest := files[i:]
			s.watch.Go(func() { s.verifyRest(rest) })
			return nil
		}
		if err := s.verifyFile(f); err != nil {
			return err
		}
	}
	return nil
}

// verifyRests is how many times as long as it works the rest of the check waits,
// file by file: it leaves the processors to the requests.
const verifyRests = 9

func (s *Store) verifyRest(files []string) {
	for _, f := range files {
		began := time.Now()
		if err := s.verifyFile(f); err != nil {
			s.failure.fail(err)
			return
		}
		pause := time.NewTimer(verifyRests * time.Since(began))
		select {
		case <-pause.C:
		case <-s.stop:
			pause.Stop()
			return
		}
	}
}

// verifyFile checks one file. A file that is gone was compacted away.
func (s *Store) verifyFile(name string) error {
	f, err := s.fs.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return openError(name, err)
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		_ = f.Close()
		return openError(name, err)
	}
	r, err := sstable.NewReader(context.Background(), readable, sstable.ReaderOptions{})
	if err != nil {
		_ = readable.Close()
		return damagedError(name, err)
	}
	err = r.ValidateBlockChecksums()
	_ = r.Close() // it was only read
	if err != nil {
		return damagedError(name, err)
	}
	return nil
}
