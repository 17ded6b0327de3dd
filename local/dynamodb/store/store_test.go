package store

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// patience bounds every wait of a test.
const patience = 10 * time.Second

func TestMain(m *testing.M) {
	if dir := os.Getenv("STORE_TEST_OPEN"); dir != "" {
		_, err := Open(dir, Options{})
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func openStore(t testing.TB, dir string, fs vfs.FS) *Store {
	t.Helper()
	s, err := open(dir, Options{}, fs)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// commit starts a commit of one key; the channel gives its outcome.
func commit(s *Store, key, value string) <-chan error {
	b := s.NewBatch()
	b.Set([]byte(key), []byte(value))
	return commitBatch(s, b)
}

func commitBatch(s *Store, b *Batch) <-chan error {
	done := make(chan error, 1)
	s.Commit(b, func(err error) { done <- err })
	return done
}

func wait(t testing.TB, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("a commit did not end")
		return nil
	}
}

func read(t testing.TB, s *Store, key string) string {
	t.Helper()
	v := s.View()
	defer v.Release()
	value, ok, err := v.Get(nil, []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "none"
	}
	return string(value)
}

func TestCommitAndReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, vfs.Default)
	old := s.View()
	if err := wait(t, commit(s, "a", "1")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "a"); got != "1" {
		t.Errorf("got %s", got)
	}
	if _, ok, _ := old.Get(nil, []byte("a")); ok {
		t.Error("a view changed")
	}
	old.Release()
	b := s.NewBatch()
	b.Set([]byte("b"), []byte("2"))
	b.Set([]byte("c"), []byte("3"))
	b.DeleteRange([]byte("a"), []byte("b"))
	if err := wait(t, commitBatch(s, b)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = openStore(t, dir, vfs.Default)
	defer closeStore(t, s)
	for key, want := range map[string]string{"a": "none", "b": "2", "c": "3"} {
		if got := read(t, s, key); got != want {
			t.Errorf("%s: got %s", key, got)
		}
	}
}

// slowFS holds back syncs of the log while held is locked, and fails them with
// fault once that is set.
type slowFS struct {
	vfs.FS
	held  sync.Mutex
	fault atomic.Pointer[error]
}

func (fs *slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return fs.wrap(name, f), err
}

func (fs *slowFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, c)
	return fs.wrap(newname, f), err
}

func (fs *slowFS) wrap(name string, f vfs.File) vfs.File {
	if !strings.HasSuffix(name, ".log") {
		return f
	}
	return &slowFile{f, fs}
}

type slowFile struct {
	vfs.File
	fs *slowFS
}

func (f *slowFile) sync(do func() error) error {
	f.fs.held.Lock()
	defer f.fs.held.Unlock()
	if err := f.fs.fault.Load(); err != nil {
		return *err
	}
	return do()
}

func (f *slowFile) Sync() error     { return f.sync(f.File.Sync) }
func (f *slowFile) SyncData() error { return f.sync(f.File.SyncData) }
func (f *slowFile) SyncTo(int64) (bool, error) {
	err := f.sync(f.File.SyncData)
	return true, err
}

// TestReadsAreDurable holds a sync back: the writer sees its commit, readers do
// not, and a commit without writes waits for the one that it follows.
func TestReadsAreDurable(t *testing.T) {
	t.Parallel()
	fs := &slowFS{FS: vfs.NewMem()}
	s := openStore(t, "db", fs)
	defer closeStore(t, s)
	fs.held.Lock()
	first := commit(s, "a", "1")
	second := commit(s, "a", "2")
	empty := commitBatch(s, s.NewBatch())
	if v, ok, err := s.Latest(nil, []byte("a")); !ok || err != nil || string(v) != "2" {
		t.Errorf("the writer sees %q, %v, %v", v, ok, err)
	}
	if got := read(t, s, "a"); got != "none" {
		t.Errorf("a reader sees %s, which is not durable", got)
	}
	if len(first)+len(second)+len(empty) > 0 {
		t.Error("a commit ended before its sync")
	}
	fs.held.Unlock()
	for _, done := range []<-chan error{first, second, empty} {
		if err := wait(t, done); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, s, "a"); got != "2" {
		t.Errorf("got %s", got)
	}
}

func TestSyncFails(t *testing.T) {
	t.Parallel()
	for cause, want := range map[error]string{
		syscall.ENOSPC: "the disk is full",
		syscall.EIO:    "input/output error",
	} {
		fs := &slowFS{FS: vfs.NewMem()}
		fatal := make(chan error, 1)
		s, err := open("db", Options{OnFatal: func(err error) { fatal <- err }}, fs)
		if err != nil {
			t.Fatal(err)
		}
		if err := wait(t, commit(s, "a", "1")); err != nil {
			t.Fatal(err)
		}
		fs.fault.Store(&cause)
		err = wait(t, commit(s, "a", "2"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: got %v", cause, err)
		}
		if err := wait(t, fatal); !strings.Contains(err.Error(), want) {
			t.Errorf("%v: OnFatal got %v", cause, err)
		}
		// Reads still show what is durable; writes are refused at once.
		if got := read(t, s, "a"); got != "1" {
			t.Errorf("a reader sees %s, which is not durable", got)
		}
		if s.Writable() == nil {
			t.Error("still writable")
		}
		if err := s.Close(); err == nil {
			t.Error("Close says nothing of the failure")
		}
	}
}

// TestPowerLoss copies the files as a power cut would leave them, while commits
// run: whatever was acknowledged before the cut is there.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	const rounds, commits = 5, 200
	for round := range rounds {
		fs := vfs.NewCrashableMem()
		s := openStore(t, "db", fs)
		var acked atomic.Uint64
		var all sync.WaitGroup
		all.Add(commits)
		cutAfter := uint64(rand.IntN(commits))
		cut := make(chan struct{})
		go func() {
			for i := range uint64(commits) {
				b := s.NewBatch()
				b.Set(binary.BigEndian.AppendUint64(nil, i), []byte("x"))
				b.Set([]byte("last"), binary.BigEndian.AppendUint64(nil, i))
				s.Commit(b, func(err error) {
					if err != nil {
						t.Error(err)
					}
					if acked.Store(i + 1); i == cutAfter {
						close(cut)
					}
					all.Done()
				})
			}
		}()
		<-cut
		promised := acked.Load()
		after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 20, RNG: rand.New(rand.NewPCG(uint64(round), 1))})
		all.Wait()
		closeStore(t, s)
		s = openStore(t, "db", after)
		for i := range promised {
			if read(t, s, string(binary.BigEndian.AppendUint64(nil, i))) == "none" {
				t.Fatalf("round %d: commit %d of %d is lost", round, i, promised)
			}
		}
		// The last commit is whole.
		last := binary.BigEndian.Uint64([]byte(read(t, s, "last")))
		if read(t, s, string(binary.BigEndian.AppendUint64(nil, last))) == "none" {
			t.Errorf("round %d: half of commit %d", round, last)
		}
		closeStore(t, s)
	}
}

// fullFS is a disk with no room.
type fullFS struct {
	vfs.FS
	free atomic.Uint64
}

func (fs *fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: fs.free.Load()}, nil
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	fs := &fullFS{FS: vfs.NewMem()}
	_, err := open("db", Options{}, fs)
	wantSentence(t, err, "is full", "free some space")
	fs.free.Store(1 << 40)
	s := openStore(t, "db", fs)
	defer closeStore(t, s)
	if err := s.Writable(); err != nil {
		t.Fatal(err)
	}
	fs.free.Store(1 << 20)
	until(t, func() bool { return s.Writable() != nil })
	wantSentence(t, s.Writable(), "is full", "free some space")
	fs.free.Store(1 << 40)
	until(t, func() bool { return s.Writable() == nil })
}

// until polls, since the store looks at the disk by itself now and then.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about")
		}
		time.Sleep(5 * time.Millisecond)
	}
}
