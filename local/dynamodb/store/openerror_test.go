package store

import (
	"errors"
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

func TestNotADirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(file, "db"), Options{})
	wantSentence(t, err, "is not a directory")
}
