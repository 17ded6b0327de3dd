package backup

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// running is a data folder held as a running stack holds it.
type running struct {
	dir  *datadir.Dir
	take func() (*Snapshot, error)
}

func run(t testing.TB, dir string) *running {
	t.Helper()
	d, err := datadir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var stores []*store.Store
	for _, folder := range []string{tableFolder, indexFolder} {
		s, err := store.Open(filepath.Join(dir, folder), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
	}
	t.Cleanup(func() {
		for _, s := range stores {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		_ = d.Close()
	})
	return &running{d, func() (*Snapshot, error) {
		table, index := stores[0].View(), stores[1].View()
		return &Snapshot{Table: table, Objects: index, Files: filepath.Join(dir, filesFolder), Release: func() {
			table.Release()
			index.Release()
		}}, nil
	}}
}

func (r *running) listen(t testing.TB) *Server {
	t.Helper()
	s, err := Listen(r.dir, r.take)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A backup of a folder that is in use comes from who uses it, whatever the length of the folder's path and whatever a kill
// left there.
func TestBackupWhileRunning(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"short path": filepath.Join(t.TempDir(), "data"),
		"long path":  filepath.Join(t.TempDir(), strings.Repeat("long/", 60), "data"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := makeData(t, dir)
			r := run(t, dir)
			write(t, filepath.Join(dir, socketName), "left behind") // no socket at all, like one that nobody serves
			s := r.listen(t)
			info, err := os.Stat(filepath.Join(dir, socketName))
			if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != os.ModeSocket {
				t.Errorf("the socket is %v, %v", info.Mode(), err)
			}
			to := filepath.Join(t.TempDir(), "backup")
			sum, err := Make(t.Context(), dir, to)
			if err != nil {
				t.Fatal(err)
			}
			if sum.TableEntries != entries {
				t.Errorf("the backup says %+v", sum)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(filepath.Join(dir, socketName)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is still there: %v", err)
			}
			restored := filepath.Join(t.TempDir(), "restored")
			if _, err := Restore(t.Context(), to, restored); err != nil {
				t.Fatal(err)
			}
			if got := readData(t, restored); !maps.Equal(got, want) {
				t.Errorf("%d of %d are restored, or differ", len(got), len(want))
			}
		})
	}
}

// Make waits for a stack that is starting, and says so when it waited in vain.
func TestBackupWhileStarting(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	makeData(t, dir)
	r := run(t, dir)
	to := filepath.Join(t.TempDir(), "backup")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Make(ctx, dir, to); err == nil {
		t.Error("a backup of a stack that does not answer")
	}
	made := make(chan error, 1)
	go func() {
		_, err := Make(t.Context(), dir, to)
		made <- err
	}()
	r.listen(t)
	if err := <-made; err != nil {
		t.Error(err)
	}
}

// One backup at a time; one whose stack stops in the middle is none.
func TestStackStopsInTheMiddle(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	makeData(t, dir)
	r := run(t, dir)
	taking, goOn := make(chan struct{}), make(chan struct{})
	var released atomic.Bool
	take := r.take
	r.take = func() (*Snapshot, error) {
		close(taking)
		<-goOn
		snap, err := take()
		release := snap.Release
		snap.Release = func() { release(); released.Store(true) }
		return snap, err
	}
	s := r.listen(t)
	to := filepath.Join(t.TempDir(), "backup")
	made := make(chan error, 1)
	go func() {
		_, err := Make(t.Context(), dir, to)
		made <- err
	}()
	<-taking
	_, err := Make(t.Context(), dir, to+"2")
	sentence(t, err, "is being made already")
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	sentence(t, <-made, "the running stack ended in the middle")
	close(goOn)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if !released.Load() {
		t.Error("Close did not wait for the backup")
	}
	alone(t, filepath.Join(filepath.Dir(to), "nothing"))
}

// An error of the stack is the command's.
func TestStackFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	makeData(t, dir)
	r := run(t, dir)
	r.take = func() (*Snapshot, error) { return nil, errors.New("the table is on fire") }
	r.listen(t)
	_, err := Make(t.Context(), dir, filepath.Join(t.TempDir(), "backup"))
	sentence(t, err, "the table is on fire")
}

// A backup may take longer than its request may.
func TestSlowBackup(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	makeData(t, dir)
	r := run(t, dir)
	take := r.take
	r.take = func() (*Snapshot, error) {
		<-time.After(askTime + askTime/4)
		return take()
	}
	r.listen(t)
	if _, err := Make(t.Context(), dir, filepath.Join(t.TempDir(), "backup")); err != nil {
		t.Error(err)
	}
}
