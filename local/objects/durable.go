package objects

import (
	"context"
	"os"
	"path/filepath"

	"github.com/aws/smithy-go/ptr"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3response"
)

// durable makes a Put outlive a power cut: versitygw itself never calls fsync.
type durable struct {
	*posix.Posix
	// root is the folder of the buckets.
	root string
}

// PutObject syncs the object's bytes before they get their name, and then the folders that lead to the name.
func (d *durable) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.PutObjectWithPostFunc(ctx, in, (*os.File).Sync)
	if err != nil {
		return out, err
	}
	bucket := filepath.Join(d.root, ptr.ToString(in.Bucket))
	return out, syncDirs(bucket, filepath.Dir(filepath.Join(bucket, ptr.ToString(in.Key))))
}

// syncDirs syncs dir and its parents up to and with the bucket's folder: any of them may be new.
func syncDirs(bucket, dir string) error {
	for {
		if err := syncDir(dir); err != nil {
			return err
		}
		if dir == bucket || len(dir) <= len(bucket) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

func syncDir(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Sync()
}
