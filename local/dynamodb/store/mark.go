package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The mark is a small file that says how much was acknowledged: pebble takes the
// first record of its log that it cannot read for the place where a crash cut
// the log off, and forgets what was behind it. With the mark, Open knows better.
//
// It is written with each commit after the commit's own sync, and synced once a
// second by itself: it never says too much. After kill -9 it is exact, since
// what was written stays in the system's memory; after a power cut it may be a
// second old.
const (
	markName    = "acknowledged"
	markLogs    = 28                   // log files that it remembers, the newest
	markSize    = 16 + 16*markLogs + 4 // in one sector of the disk, which is written whole or not
	markVersion = 1
)

// mark is what the file says.
type mark struct {
	seq  uint64 // pebble's sequence number of the last write that was acknowledged
	logs []logMark
}

// logMark is a log file: all writes from first on are in it, or in a later one.
type logMark struct {
	number uint64
	first  uint64 // sequence number; 0 = nothing was written to it
}

var errMarkDamaged = errors.New("not what was written there")

// encode writes the mark into buf, which has room for it.
func (m mark) encode(buf []byte) []byte {
	clear(buf[:markSize])
	b := binary.LittleEndian.AppendUint64(buf[:0], m.seq)
	b = binary.LittleEndian.AppendUint32(b, markVersion)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.logs)))
	for _, l := range m.logs {
		b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, l.number), l.first)
	}
	b = b[:markSize-4]
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func decodeMark(b []byte) (m mark, err error) {
	if len(b) != markSize || crc32.ChecksumIEEE(b[:markSize-4]) != binary.LittleEndian.Uint32(b[markSize-4:]) {
		return m, errMarkDamaged
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if binary.LittleEndian.Uint32(b[8:]) != markVersion || n > markLogs {
		return m, errMarkDamaged
	}
	m.seq = binary.LittleEndian.Uint64(b)
	for i := range n {
		at := b[16+16*i:]
		m.logs = append(m.logs, logMark{binary.LittleEndian.Uint64(at), binary.LittleEndian.Uint64(at[8:])})
	}
	return m, nil
}

// readMark returns the mark of a directory. ok is false where there is none: the
// directory is new, or of a version that made none.
func readMark(fs vfs.FS, dir string) (m mark, ok bool, err error) {
	b, err := readFile(fs, fs.PathJoin(dir, markName), markSize+1)
	if errors.Is(err, os.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, openError(dir, err)
	}
	if m, err = decodeMark(b); err != nil {
		return m, false, fmt.Errorf("the file %s, which tells what was acknowledged, is damaged: remove it to start without it if nothing else was touched, or restore the table data from a backup%s",
			fs.PathJoin(dir, markName), how)
	}
	return m, true, nil
}

// marker keeps the mark of an open store.
type marker struct {
	file  vfs.File
	dirty atomic.Bool // written since the last sync

	mu   sync.Mutex
	mark mark
	buf  []byte
}

// begin writes the first mark of this opening, for good.
func (k *marker) begin(fs vfs.FS, dir string, seq uint64, before []logMark) error {
	k.mu.Lock()
	k.mark.seq = seq
	k.mark.logs = append(append([]logMark(nil), before...), k.mark.logs...)
	k.trim()
	k.buf = make([]byte, markSize)
	content := k.mark.encode(k.buf)
	k.mu.Unlock()
	path := fs.PathJoin(dir, markName)
	if err := replaceFile(fs, dir, path, content); err != nil {
		return err
	}
	var err error
	k.file, err = fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	return err
}

// logMade notes a log file that pebble made; the next set writes it down, before
// anything in that log is acknowledged.
func (k *marker) logMade(number uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mark.logs = append(k.mark.logs, logMark{number: number})
	k.trim()
}

// writes notes that a write with that sequence number went into the newest log.
// Pebble makes a log while the first write to it is carried out.
func (k *marker) writes(seq uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n := len(k.mark.logs); n > 0 && k.mark.logs[n-1].first == 0 {
		k.mark.logs[n-1].first = seq
	}
}

func (k *marker) trim() {
	if over := len(k.mark.logs) - markLogs; over > 0 {
		k.mark.logs = append(k.mark.logs[:0:0], k.mark.logs[over:]...)
	}
}

// set says that everything up to seq is on the disk.
func (k *marker) set(seq uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mark.seq = seq
	k.dirty.Store(true)
	_, err := k.file.WriteAt(k.mark.encode(k.buf), 0)
	return err
}

// sync makes what set wrote outlast a power cut.
func (k *marker) sync() error {
	if !k.dirty.Swap(false) {
		return nil
	}
	return k.file.SyncData()
}

func (k *marker) close() error {
	if k.file == nil {
		return nil
	}
	return errors.Join(k.sync(), k.file.Close())
}

// replaceFile puts content in the place of a file as one durable step.
func replaceFile(fs vfs.FS, dir, path string, content []byte) error {
	tmp := path + ".tmp"
	f, err := fs.Create(tmp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(tmp, path); err != nil {
		return err
	}
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
