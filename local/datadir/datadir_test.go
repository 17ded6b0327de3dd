package datadir

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a", "b")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "used by another process (pid ") {
		t.Errorf("second open: got %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = Open(path); err != nil {
		t.Fatalf("after close: %v", err)
	}
	if got, want := d.Path("x", "y"), filepath.Join(path, "x", "y"); got != want {
		t.Errorf("Path: got %s, want %s", got, want)
	}
	_ = d.Close()
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(t *testing.T, dir string) string
		want    string
	}{
		{"file in its place", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "f"), "")
			return filepath.Join(dir, "f")
		}, "a file stands in its place"},
		{"file as its parent", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "f"), "")
			return filepath.Join(dir, "f", "data")
		}, "a file stands in its place"},
		{"something else in it", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, "holiday.jpg"), "")
			return dir
		}, "holds something else (holiday.jpg)"},
		{"damaged layout", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, LayoutFile), "\x00\x00")
			return dir
		}, "is damaged"},
		{"newer layout", func(t *testing.T, dir string) string {
			write(t, filepath.Join(dir, LayoutFile), layoutPrefix+"99\n")
			return dir
		}, "newer version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := tt.prepare(t, t.TempDir())
			_, err := Open(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

// What a crash in the middle of the first start leaves behind is no foreign folder.
// A folder that somebody fills, or empties, is refused from before the first to after the last of it.
func TestMark(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opens := func(d *Dir, want bool) {
		t.Helper()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		opened, err := Open(dir)
		if err == nil {
			_ = opened.Close()
		}
		if (err == nil) != want || IsData(dir) != want {
			t.Errorf("opens: %v; is data: %v; want %v", err, IsData(dir), want)
		}
	}
	lock := func() *Dir {
		d, err := Lock(dir)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := lock()
	if err := os.WriteFile(d.Path("half"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opens(d, false)
	d = lock()
	if err := d.Mark(); err != nil {
		t.Fatal(err)
	}
	opens(d, true)
	d = lock()
	for range 2 {
		if err := d.Unmark(); err != nil {
			t.Fatal(err)
		}
	}
	opens(d, false)
}

func TestOpenAfterCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, LockFile), "12345\n")
	write(t, filepath.Join(dir, TempPrefix+"123"), "bloom")
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = d.Close()
}

func TestOpenUnwritable(t *testing.T) {
	t.Parallel()
	// /proc refuses new entries to everybody, root too.
	if _, err := Open("/proc/bloom-data"); err == nil || !strings.Contains(err.Error(), "cannot be made") {
		t.Errorf("got %v", err)
	}
	if _, err := Open("/proc/self"); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("got %v", err)
	}
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "two"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "d"), nil); err == nil {
		t.Error("a folder was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestCause(t *testing.T) {
	t.Parallel()
	_, err := os.Open("/does/not/exist")
	if errno, ok := cause(err).(syscall.Errno); !ok || errno != syscall.ENOENT { //nolint:errorlint // it must be the bare cause
		t.Errorf("got %v", cause(err))
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
