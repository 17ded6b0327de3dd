package objects

import (
	"context"
	"os"
	"path/filepath"
	"sync"

	"github.com/aws/smithy-go/ptr"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3response"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// durable makes a Put outlive a power cut: versitygw itself never calls fsync.
type durable struct {
	*posix.Posix
	// root is the folder of the buckets.
	root string
	// known holds the folders directly in a bucket whose names are on the disk, as their os.FileInfo, since the server
	// removes a folder with its last object: a handful, and every key lies in one.
	known sync.Map
}

// PutObject syncs the object's bytes before they get their name, and then the folders that lead to the name.
func (d *durable) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.PutObjectWithPostFunc(ctx, in, (*os.File).Sync)
	if err != nil {
		return out, err
	}
	bucket := filepath.Join(d.root, ptr.ToString(in.Bucket))
	return out, d.syncDirs(bucket, filepath.Dir(filepath.Join(bucket, ptr.ToString(in.Key))))
}

// syncDirs syncs dir and its parents as far as their names may be new, up to and with the bucket's folder.
func (d *durable) syncDirs(bucket, dir string) error {
	for ; len(dir) > len(bucket); dir = filepath.Dir(dir) {
		if err := datadir.SyncDir(dir); err != nil {
			return err
		}
		if filepath.Dir(dir) == bucket {
			return d.syncTop(bucket, dir)
		}
	}
	return datadir.SyncDir(bucket)
}

// syncTop syncs the name of a folder directly in the bucket, unless that was done before.
func (d *durable) syncTop(bucket, dir string) error {
	now, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if before, ok := d.known.Load(dir); ok && os.SameFile(before.(os.FileInfo), now) {
		return nil
	}
	if err := datadir.SyncDir(bucket); err != nil {
		return err
	}
	d.known.Store(dir, now)
	return nil
}
