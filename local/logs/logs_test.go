package logs

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOneFileADay(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	now := time.Date(2026, 1, 30, 23, 59, 0, 0, time.UTC)
	f, err := Open(dir, "bloom", 3, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bloom-notes.log"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		for range 2 {
			if _, err := fmt.Fprintf(f, "day %d\n", n); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(24 * time.Hour)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := filepath.Glob(filepath.Join(dir, "*"))
	want := []string{"bloom-2026-02-01.log", "bloom-2026-02-02.log", "bloom-2026-02-03.log", "bloom-notes.log"}
	if err != nil || len(got) != len(want) {
		t.Fatalf("got %v, %v", got, err)
	}
	for n, name := range want {
		if filepath.Base(got[n]) != name {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	text, err := os.ReadFile(got[1])
	if err != nil || string(text) != "day 3\nday 3\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("a closed file took a line")
	}
}

func TestReopenAppends(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }
	for _, line := range []string{"a", "b"} {
		f, err := Open(dir, "x", 1, now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	text, err := os.ReadFile(filepath.Join(dir, "x-2026-01-01.log"))
	if err != nil || string(text) != "ab" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestNoFolder(t *testing.T) {
	t.Parallel()
	if _, err := Open("/proc/none", "x", 1, time.Now); err == nil {
		t.Error("a log in /proc was opened")
	}
}
