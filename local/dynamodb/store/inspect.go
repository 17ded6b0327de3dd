package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// inspect reads a directory as pebble will, before pebble changes anything in it,
// and refuses one from which pebble would make a store that lacks something:
//
//   - no marker of the list of files (MANIFEST), or a list without a record:
//     pebble would begin anew;
//   - a log file that is gone, though what it holds is in no other file;
//   - a log that ends before the next one begins: pebble notices only where a
//     record was cut;
//   - a last log that ends before what was acknowledged: a crash cuts it off
//     behind that.
//
// It returns the last sequence number there is, and the mark.
func inspect(fs vfs.FS, dir string) (last uint64, m mark, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return 0, m, openError(dir, err)
	}
	m, marked, err := readMark(fs, dir)
	if err != nil {
		return 0, m, err
	}
	list, err := atomicfs.ReadMarker(fs, dir, "manifest")
	if err != nil {
		return 0, m, openError(dir, err)
	}
	logs := logNumbers(names)
	if list == "" {
		if marked || len(logs) > 0 || slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, ".sst") }) {
			return 0, m, damagedError(dir, errors.New("the file marker.manifest… is missing"))
		}
		return 0, m, nil
	}
	first, last, err := readList(fs, fs.PathJoin(dir, list))
	if err != nil {
		return 0, m, err
	}
	ends, err := readLogs(fs, dir, logs, first)
	if err != nil {
		return 0, m, err
	}
	for _, end := range ends {
		last = max(last, end)
	}
	return last, m, m.check(dir, first, last, ends)
}

// check holds the log files that are needed, by number and last sequence number,
// against the mark.
func (m mark) check(dir string, first, last uint64, ends map[uint64]uint64) error {
	want := m.seq + 1 // where what follows a log begins
	if last < m.seq {
		return damagedError(dir, fmt.Errorf("the log ends %d writes before the last one that was acknowledged", m.seq-last))
	}
	for _, l := range slices.Backward(m.logs) {
		if l.number < first {
			break
		}
		end, there := ends[l.number]
		switch {
		case !there:
			return damagedError(dir, fmt.Errorf("the file %06d.log is missing, or the list of files is cut off", l.number))
		case l.first == 0 || l.first >= want:
			continue
		case end+1 < want:
			return damagedError(dir, fmt.Errorf("the file %06d.log ends %d writes too early", l.number, want-1-end))
		}
		want = l.first
	}
	return nil
}

func logNumbers(names []string) []uint64 {
	var all []uint64
	for _, name := range names {
		text, ok := strings.CutSuffix(name, ".log")
		if n, err := strconv.ParseUint(text, 10, 64); ok && err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// Tags of what stands first in a record of the list of files.
// https://github.com/cockroachdb/pebble/blob/v2.1.7/internal/manifest/version_edit.go
const (
	tagComparator     = 1
	tagLogNumber      = 2
	tagNextFileNumber = 3
	tagLastSequence   = 4
	tagPrevLogNumber  = 9
)

// readList returns the number of the first log file that is needed, and the last
// sequence number when the list was written. A record that cannot be read ends
// the list, as it does for pebble; that what it told is missing shows then.
func readList(fs vfs.FS, path string) (firstLog, lastSeq uint64, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, 0, openError(path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	records := 0
	for r := record.NewReader(f, 0); ; records++ {
		edit, err := nextRecord(r)
		if err != nil {
			break
		}
		readEdit(edit, &firstLog, &lastSeq)
	}
	if records == 0 {
		return 0, 0, damagedError(path, errors.New("nothing in it can be read"))
	}
	return firstLog, lastSeq, nil
}

func nextRecord(r *record.Reader) ([]byte, error) {
	rec, err := r.Next()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(rec)
}

// readEdit takes the two numbers out of a record, where they stand first.
func readEdit(edit []byte, firstLog, lastSeq *uint64) {
	number := func() (v uint64, ok bool) {
		v, n := binary.Uvarint(edit)
		if n <= 0 {
			return 0, false
		}
		edit = edit[n:]
		return v, true
	}
	for {
		tag, ok := number()
		if !ok {
			return
		}
		v, ok := number()
		if !ok {
			return
		}
		switch tag {
		case tagLogNumber:
			*firstLog = v
		case tagLastSequence:
			*lastSeq = v
		case tagComparator: // its name's length
			if v > uint64(len(edit)) {
				return
			}
			edit = edit[v:]
		case tagNextFileNumber, tagPrevLogNumber:
		default:
			return
		}
	}
}

// readLogs reads the log files from the first that is needed on, and returns the
// last sequence number in each, 0 where there is none.
func readLogs(fs vfs.FS, dir string, numbers []uint64, first uint64) (map[uint64]uint64, error) {
	ends := map[uint64]uint64{}
	next := uint64(0) // what the next log must begin with; 0 = anything
	for _, n := range numbers {
		if n < first {
			continue
		}
		begin, end, err := readLog(fs, fs.PathJoin(dir, fmt.Sprintf("%06d.log", n)), n)
		if err != nil {
			return nil, openError(dir, err)
		}
		ends[n] = end
		if end == 0 {
			continue // nothing in it
		}
		if next != 0 && begin > next {
			return nil, damagedError(dir, fmt.Errorf("the log before %06d.log lacks its last %d writes", n, begin-next))
		}
		next = end + 1
	}
	return ends, nil
}

// readLog returns the first and the last sequence number in a log file, 0 for
// none. What cannot be read ends it: pebble decides whether it may.
func readLog(fs vfs.FS, path string, number uint64) (begin, end uint64, err error) {
	f, err := fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	r := logReader(record.NewReader, f, number)
	var buf bytes.Buffer
	for {
		rec, err := r.Next()
		if err != nil {
			return begin, end, nil
		}
		buf.Reset()
		if _, err := buf.ReadFrom(rec); err != nil {
			return begin, end, nil
		}
		h, ok := batchrepr.ReadHeader(buf.Bytes())
		if !ok || h.Count == 0 {
			continue
		}
		if begin == 0 {
			begin = uint64(h.SeqNum)
		}
		end = uint64(h.SeqNum) + uint64(h.Count) - 1
	}
}

// logReader calls make, whose type for numbers pebble does not export.
func logReader[N ~uint64](make func(io.Reader, N) *record.Reader, r io.Reader, number uint64) *record.Reader {
	return make(r, N(number))
}

// readFile reads a small file.
func readFile(fs vfs.FS, path string, most int64) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(f, most))
}
