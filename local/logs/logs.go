// Package logs keeps log files of one day each and deletes the old ones.
package logs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const day = "2006-01-02"

// File is an io.WriteCloser over `<name>-<day>.log` in a folder. A write goes to the file of the day (UTC) it happens on.
// It is safe for concurrent use.
type File struct {
	dir, name string
	keep      int
	now       func() time.Time

	mu   sync.Mutex
	day  string
	file *os.File
}

// Open makes the folder and today's file. Of the files of that name the newest keep are kept, today's among them.
func Open(dir, name string, keep int, now func() time.Time) (*File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f := &File{dir: dir, name: name, keep: keep, now: now}
	return f, f.turn(now().UTC().Format(day))
}

// Write appends p to the file of the day. When the day's file cannot be opened the last one goes on.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if today := f.now().UTC().Format(day); today != f.day && f.file != nil {
		if err := f.turn(today); err != nil {
			f.day = today // tried again tomorrow, not with each line
		}
	}
	if f.file == nil {
		return 0, os.ErrClosed
	}
	return f.file.Write(p)
}

// Close closes the file; later writes fail.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}

func (f *File) turn(today string) error {
	next, err := os.OpenFile(filepath.Join(f.dir, f.name+"-"+today+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if f.file != nil {
		_ = f.file.Close() // nothing is buffered in it
	}
	f.file, f.day = next, today
	f.prune()
	return nil
}

// prune deletes the oldest files. One that cannot be deleted is tried again the next day.
func (f *File) prune() {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return
	}
	var files []string
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), f.name+"-")
		if date, isLog := strings.CutSuffix(rest, ".log"); ok && isLog {
			if _, err := time.Parse(day, date); err == nil {
				files = append(files, e.Name())
			}
		}
	}
	slices.Sort(files)
	for _, name := range files[:max(0, len(files)-f.keep)] {
		_ = os.Remove(filepath.Join(f.dir, name))
	}
}
