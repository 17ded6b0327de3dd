package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// noFlushFS holds back the making of sorted files while it is locked.
type noFlushFS struct {
	vfs.FS
	held sync.Mutex
}

func (fs *noFlushFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, ".sst") {
		fs.held.Lock()
		defer fs.held.Unlock()
	}
	return fs.FS.Create(name, c)
}

// keep commits keys from..to, each acknowledged.
func keep(t testing.TB, s *Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		b := s.NewBatch()
		b.Set(fmt.Appendf(nil, "key%06d", i), fmt.Appendf(nil, "%d %s", i, strings.Repeat("v", 300)))
		if err := wait(t, commitBatch(s, b)); err != nil {
			t.Fatal(err)
		}
	}
}

// kept returns the first key that is not there, as an error.
func kept(s *Store, n int) error {
	v := s.View()
	defer v.Release()
	for i := range n {
		got, ok, err := v.Get(nil, fmt.Appendf(nil, "key%06d", i))
		if err != nil || !ok || !bytes.HasPrefix(got, fmt.Appendf(nil, "%d v", i)) {
			return fmt.Errorf("key %d of %d: %v, %w", i, n, ok, err)
		}
	}
	return nil
}

// image is a directory as kill -9 leaves it, with so many acknowledged keys.
type image struct {
	name string
	dir  string
	keys int
}

// killed copies the files of a store that does nothing, without closing it.
func killed(t testing.TB, name string, s *Store, from string, keys int) image {
	t.Helper()
	until(t, func() bool {
		m := s.db.Metrics()
		return m.Compact.NumInProgress == 0 && m.Flush.NumInProgress == 0 || name == "two logs"
	})
	dir := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return image{name, dir, keys}
}

// images are: sorted files and a log, made over several starts; two logs of
// which none is in a sorted file; a log alone.
func images(t testing.TB) []image {
	t.Helper()
	first := t.TempDir()
	s := openStore(t, first, vfs.Default)
	keep(t, s, 0, 1000)
	closeStore(t, s)
	s = openStore(t, first, vfs.Default)
	keep(t, s, 1000, 2500)
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	keep(t, s, 2500, 3000)
	all := []image{killed(t, "files and a log", s, first, 3000)}
	closeStore(t, s)

	second := t.TempDir()
	fs := &noFlushFS{FS: vfs.Default}
	s = openStore(t, second, fs)
	fs.held.Lock()
	keep(t, s, 0, 1000) // more than the first memtable holds
	if logs, _ := filepath.Glob(filepath.Join(second, "*.log")); len(logs) < 2 {
		t.Fatalf("one log only: %v", logs)
	}
	all = append(all, killed(t, "two logs", s, second, 1000))
	fs.held.Unlock()
	closeStore(t, s)

	third := t.TempDir()
	s = openStore(t, third, vfs.Default)
	keep(t, s, 0, 200)
	all = append(all, killed(t, "a log", s, third, 200))
	closeStore(t, s)
	return all
}

// damages are what may become of a file.
func damages(random *rand.Rand) map[string]func(path string, content []byte) error {
	write := func(path string, content []byte) error { return os.WriteFile(path, content, 0o600) }
	all := map[string]func(string, []byte) error{
		"missing":     func(path string, _ []byte) error { return os.Remove(path) },
		"empty":       func(path string, _ []byte) error { return write(path, nil) },
		"one byte on": func(path string, content []byte) error { return write(path, append(bytes.Clone(content), 1)) },
		"one byte off": func(path string, content []byte) error {
			return write(path, content[:max(0, len(content)-1)])
		},
		"zeros at its end": func(path string, content []byte) error {
			return write(path, append(content[:len(content)/2:len(content)/2], make([]byte, len(content)-len(content)/2)...))
		},
	}
	for range 2 {
		at := random.Float64()
		all[fmt.Sprintf("cut off at %v", at)] = func(path string, content []byte) error {
			return write(path, content[:int(at*float64(len(content)))])
		}
	}
	for i := range 5 {
		at, bit := random.Float64(), random.IntN(8)
		if i < 3 {
			at = 1 - at*at*at/50 // near the end, where a log was written last
		}
		all[fmt.Sprintf("bit %d flipped at %v", bit, at)] = func(path string, content []byte) error {
			if len(content) == 0 {
				return nil
			}
			flipped := bytes.Clone(content)
			flipped[min(int(at*float64(len(content))), len(content)-1)] ^= 1 << bit
			return write(path, flipped)
		}
	}
	return all
}

// Whatever happens to one file: the store opens with all that was acknowledged,
// or is refused with a sentence that says what to do.
func TestDamage(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	for _, im := range images(t) {
		names, err := filepath.Glob(filepath.Join(im.dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for i, path := range names {
			name := filepath.Base(path)
			t.Run(im.name+" "+name, func(t *testing.T) {
				t.Parallel()
				refused := 0
				for what, damage := range damages(rand.New(rand.NewPCG(seed, uint64(i)))) {
					dir := filepath.Join(t.TempDir(), "damaged")
					if err := os.CopyFS(dir, os.DirFS(im.dir)); err != nil {
						t.Fatal(err)
					}
					content, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := damage(filepath.Join(dir, name), content); err != nil {
						t.Fatal(err)
					}
					if err := openDamaged(t, dir, im.keys); err != nil {
						refused++
						wantSentence(t, err, "restore", "backup")
					} else if t.Failed() {
						t.Fatalf("seed %d: %s %s: it opened without what was acknowledged", seed, name, what)
					}
				}
				t.Logf("%s: refused %d times", name, refused)
			})
		}
	}
}

// openDamaged returns the refusal, or fails the test if not all keys are there.
func openDamaged(t *testing.T, dir string, keys int) error {
	t.Helper()
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	err = kept(s, keys)
	if fatal := s.Err(); fatal != nil {
		_ = s.Close()
		return fatal // met while reading
	}
	closeStore(t, s)
	if err != nil {
		t.Error(err)
	}
	return nil
}

// Two files that go together may be gone together.
func TestFilesGone(t *testing.T) {
	t.Parallel()
	for _, im := range images(t) {
		for _, pattern := range []string{"marker.*", "*.log", "*.sst", "MANIFEST-*"} {
			dir := filepath.Join(t.TempDir(), "damaged")
			if err := os.CopyFS(dir, os.DirFS(im.dir)); err != nil {
				t.Fatal(err)
			}
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 {
				continue
			}
			for _, f := range found {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := filepath.Glob(filepath.Join(dir, "*"))
			_, err = Open(dir, Options{})
			wantSentence(t, err, "is damaged", "restore it from a backup")
			if after, _ := filepath.Glob(filepath.Join(dir, "*")); len(after) < len(before) {
				t.Errorf("%s, %s: files were removed: %v, %v", im.name, pattern, before, after)
			}
		}
	}
}

// A record that the last log lacks is no damage if nobody was told that it is
// there: kill -9 may come in the middle of writing it.
func TestTornLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, vfs.Default)
	keep(t, s, 0, 100)
	before := killed(t, "before", s, dir, 100)
	keep(t, s, 100, 101)
	closeStore(t, s)
	logs, err := filepath.Glob(filepath.Join(before.dir, "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	short, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	long, err := os.ReadFile(filepath.Join(dir, filepath.Base(logs[0])))
	if err != nil {
		t.Fatal(err)
	}
	short, long = bytes.TrimRight(short, "\x00"), bytes.TrimRight(long, "\x00")
	if len(long) <= len(short) {
		t.Fatalf("%d and %d bytes", len(short), len(long))
	}
	for _, cut := range []int{len(short), len(short) + 1, len(short) + 20, (len(short) + len(long)) / 2} {
		if err := os.WriteFile(logs[0], long[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		torn := filepath.Join(t.TempDir(), "torn")
		if err := os.CopyFS(torn, os.DirFS(before.dir)); err != nil {
			t.Fatal(err)
		}
		if err := openDamaged(t, torn, 100); err != nil {
			t.Errorf("cut off at %d: %v", cut, err)
		}
	}
}

// A directory of a version that made no mark opens, and has one from then on.
func TestOldDirectory(t *testing.T) {
	t.Parallel()
	for _, im := range images(t) {
		if err := os.Remove(filepath.Join(im.dir, markName)); err != nil {
			t.Fatal(err)
		}
		if err := openDamaged(t, im.dir, im.keys); err != nil {
			t.Errorf("%s: %v", im.name, err)
		}
		if _, err := os.Stat(filepath.Join(im.dir, markName)); errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: no mark", im.name)
		}
	}
}
