// Package backup writes the data folder of one machine into one file and makes a data folder from such a file.
//
// A backup is a tar archive, compressed with zstd. First comes backup.json, which says what the archive is, then the parts:
// small files as they lie in the data folder, the table's and the objects' entries in chunks (records.go), the bytes of large
// objects in a file each. Lists of the parts' SHA-256 (SHA256SUMS.000001, …, as `sha256sum -c` reads them) come between them,
// and end.json, with the SHA-256 of all lists, comes last. Both ways the archive is streamed: memory is bounded.
//
// What is in it is one moment of the table, and every object that the table names then: payloads are written before the table
// names them and never change, so the objects are taken right after the table, with deletions held back between the two.
package backup

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
	"github.com/bloom-runtime/bloom/local/objects"
)

const (
	formatName = "bloom-backup"
	// formatVersion is raised by a change that an older program cannot read.
	formatVersion = 1

	headName = "backup.json"
	endName  = "end.json"
	sumsName = "SHA256SUMS."

	tableFolder  = "table"
	indexFolder  = "objects/index"
	filesFolder  = "objects/files"
	maxSmallFile = 16 << 20 // bytes of what is read whole
)

// head is the first part: what the archive is.
type head struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Layout  int    `json:"layout"` // of the data folder
	Created int64  `json:"created_ms"`
	// Table and Objects say whether they are in it: a stack may have them on another server.
	Table   bool `json:"table"`
	Objects bool `json:"objects"`
}

// end is the last part: with it the archive is whole.
type end struct {
	Parts int    `json:"parts"`
	Lists string `json:"lists_sha256"` // hex, of all lists one after the other
	Summary
}

// Summary says what a backup holds.
type Summary struct {
	TableEntries  int64 `json:"table_entries"` // items, index entries, stream records, definitions
	ObjectEntries int64 `json:"object_entries"`
	LargeObjects  int64 `json:"large_objects"` // those with a file each
	Bytes         int64 `json:"bytes"`         // of all parts, before compression
	Created       int64 `json:"-"`             // Unix ms; known after a restore
}

// Snapshot is one moment of the stores. A nil view is a store that is elsewhere.
type Snapshot struct {
	Table   *store.View
	Objects *store.View
	Files   string // folder of the large objects' bytes
	Release func()
}

// Write writes a backup of the data folder dir to w. take gives the stores' present moment; it is called once, after the
// small files were read: a reader of the stream is never ahead of the table. The caller sees to it that w does not block for
// ever.
func Write(ctx context.Context, w io.Writer, dir string, take func() (*Snapshot, error)) (Summary, error) {
	files, err := readSmallFiles(dir)
	if err != nil {
		return Summary{}, err
	}
	snap, err := take()
	if err != nil {
		return Summary{}, err
	}
	defer snap.Release()
	a, err := newArchive(while{ctx, w})
	if err != nil {
		return Summary{}, err
	}
	defer a.abandon()
	h := head{formatName, formatVersion, datadir.Layout, time.Now().UnixMilli(), snap.Table != nil, snap.Objects != nil}
	if err := a.addJSON(headName, h); err != nil {
		return Summary{}, err
	}
	for _, f := range files {
		if err := a.addBytes(f.name, f.mode, f.content); err != nil {
			return Summary{}, err
		}
	}
	if err := a.addStores(snap); err != nil {
		return Summary{}, err
	}
	return a.finish()
}

// while writes until its context ends.
type while struct {
	ctx context.Context
	w   io.Writer
}

func (u while) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

func (a *archive) addStores(snap *Snapshot) (err error) {
	if snap.Table != nil {
		if a.summary.TableEntries, err = a.addView(tableFolder, snap.Table); err != nil {
			return err
		}
	}
	if snap.Objects == nil {
		return nil
	}
	if a.summary.ObjectEntries, err = a.addView(indexFolder, snap.Objects); err != nil {
		return err
	}
	return objects.EachFile(snap.Objects, func(name string) error {
		a.summary.LargeObjects++
		return a.addFile(filesFolder+"/"+name, filepath.Join(snap.Files, name))
	})
}

// cause drops the operation and the path from a file error: the sentence around it names them.
func cause(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}
