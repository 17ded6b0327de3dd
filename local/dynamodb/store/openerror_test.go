package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func wantSentence(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("got %q, want …%s…", err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
		t.Errorf("not a sentence: %q", err)
	}
}

func TestSecondOpener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, vfs.Default)
	defer closeStore(t, s)
	_, err := Open(dir, Options{})
	wantSentence(t, err, "another process is using the table data", dir)

	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "STORE_TEST_OPEN="+dir)
	out, err := child.Output()
	if err != nil {
		t.Fatal(err)
	}
	wantSentence(t, errors.New(strings.TrimSpace(string(out))), "another process is using the table data", dir)
	if err := wait(t, commit(s, "a", "1")); err != nil {
		t.Fatal(err)
	}
}

// fill makes a store with files of each kind and some of its log not yet flushed.
func fill(t *testing.T, dir string) {
	t.Helper()
	s := openStore(t, dir, vfs.Default)
	for i := range 2000 {
		b := s.NewBatch()
		b.Set(fmt.Appendf(nil, "key%06d", i), []byte(strings.Repeat(fmt.Sprint(rand.Uint64()), 20)))
		done := commitBatch(s, b)
		if i == 1000 || i == 1999 {
			if err := wait(t, done); err != nil {
				t.Fatal(err)
			}
		}
		if i == 1000 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	closeStore(t, s)
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"*.sst", "*.log", "MANIFEST-*"} {
		t.Run(pattern, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fill(t, dir)
			largest, size := "", int64(0)
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if info, err := os.Stat(f); err == nil && info.Size() > size {
					largest, size = f, info.Size()
				}
			}
			content, err := os.ReadFile(largest)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 16 {
				content[len(content)/3+i] ^= 0xff
			}
			if err := os.WriteFile(largest, content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(dir, Options{})
			if err == nil {
				_ = s.Close()
			}
			wantSentence(t, err, "is damaged", "restore it from a backup")
		})
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir)
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, Options{})
	wantSentence(t, err, "is damaged", "restore it from a backup")
}

func TestNotADirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(file, "db"), Options{})
	wantSentence(t, err, "is not a directory")
}
