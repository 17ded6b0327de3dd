package objects

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/ptr"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// storage keeps buckets and objects: small objects in an ordered store, whose commits are fsynced for many writers at once,
// and the bytes of large ones in a file each, which is fsynced before the commit that names it.
//
// versitygw's own backend makes a file, a folder and three attributes for each object, 430 µs of CPU here and several fsyncs
// where one commit does.
type storage struct {
	backend.BackendUnsupported
	store *store.Store
	known sync.Map // names of buckets that were seen: none is ever removed
	files string   // folder of the large objects' bytes
	write chan *change
	end   chan struct{}
	work  sync.WaitGroup

	held    held         // files that snapshots need
	deletes sync.RWMutex // held for reading by each DeleteObject
}

var _ backend.Backend = (*storage)(nil)

// indexMemory is what the index may keep in memory, in bytes: objects are
// written once and seldom read.
const indexMemory = 16 << 20

func openStorage(dir string, onFatal func(error)) (*storage, error) {
	st, err := store.Open(filepath.Join(dir, "index"), store.Options{Memory: indexMemory, OnFatal: onFatal})
	if err != nil {
		return nil, err
	}
	s := &storage{store: st, files: filepath.Join(dir, "files"), write: make(chan *change, maxRequests), end: make(chan struct{})}
	if err = os.MkdirAll(s.files, 0o700); err == nil {
		err = datadir.SyncDir(dir)
	}
	if err == nil {
		err = s.sweep()
	}
	if err != nil {
		_ = st.Close() // the first error says more
		return nil, err
	}
	s.work.Go(s.run)
	return s, nil
}

func (s *storage) close() error {
	close(s.end)
	s.work.Wait()
	return s.store.Close()
}

// String names the backend in versitygw's messages.
func (s *storage) String() string { return "bloom" }

// Keys of the store. A bucket's name has no NUL; a large object's file points back at its object.
func bucketKey(bucket string) []byte      { return []byte("b" + bucket) }
func objectKey(bucket, key string) []byte { return []byte("o" + bucket + "\x00" + key) }
func fileKey(name string) []byte          { return []byte("f" + name) }

// sweep removes the files that no object names: a crash came between writing one and the commit, or between a commit and the
// removal of what it replaced.
func (s *storage) sweep() error {
	entries, err := os.ReadDir(s.files)
	if err != nil {
		return err
	}
	view := s.store.View()
	defer view.Release()
	for _, e := range entries {
		_, ok, err := view.Get(nil, fileKey(e.Name()))
		if err != nil {
			return err
		}
		if !ok {
			if err := os.Remove(filepath.Join(s.files, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucketRecord is what is kept of a bucket.
type bucketRecord struct {
	ACL []byte `json:"acl"`
}

func (s *storage) bucket(name string) (bucketRecord, error) {
	var r bucketRecord
	view := s.store.View()
	defer view.Release()
	b, ok, err := view.Get(nil, bucketKey(name))
	if err != nil {
		return r, err
	}
	if !ok {
		return r, s3err.GetBucketErr(s3err.ErrNoSuchBucket, name)
	}
	return r, json.Unmarshal(b, &r)
}

// has says whether there is such a bucket.
func (s *storage) has(bucket string) error {
	if _, ok := s.known.Load(bucket); ok {
		return nil
	}
	_, err := s.bucket(bucket)
	if err == nil {
		s.known.Store(bucket, nil)
	}
	return err
}

// CreateBucket makes a bucket whose only owner is the root account.
func (s *storage) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	name := ptr.ToString(in.Bucket)
	record, err := json.Marshal(bucketRecord{ACL: acl})
	if err != nil {
		return err
	}
	return s.apply(ctx, bucketKey(name), func(_ []byte, there bool, b *store.Batch) error {
		if there {
			return s3err.GetBucketErr(s3err.ErrBucketAlreadyOwnedByYou, name)
		}
		b.Set(bucketKey(name), record)
		return nil
	})
}

// HeadBucket says whether there is such a bucket.
func (s *storage) HeadBucket(_ context.Context, in *s3.HeadBucketInput) (*s3.HeadBucketOutput, error) {
	_, err := s.bucket(ptr.ToString(in.Bucket))
	return &s3.HeadBucketOutput{}, err
}

// GetBucketAcl returns what CreateBucket was given.
func (s *storage) GetBucketAcl(_ context.Context, in *s3.GetBucketAclInput) ([]byte, error) {
	r, err := s.bucket(ptr.ToString(in.Bucket))
	return r.ACL, err
}

// What buckets may have and these never do.

// GetBucketPolicy says that there is none.
func (s *storage) GetBucketPolicy(_ context.Context, bucket string) ([]byte, error) {
	return nil, s3err.GetBucketErr(s3err.ErrNoSuchBucketPolicy, bucket)
}

// GetBucketCors says that there is none.
func (s *storage) GetBucketCors(_ context.Context, bucket string) ([]byte, error) {
	return nil, s3err.GetBucketErr(s3err.ErrNoSuchCORSConfiguration, bucket)
}

// GetObjectLockConfiguration says that there is none.
func (s *storage) GetObjectLockConfiguration(context.Context, string) ([]byte, error) {
	return nil, s3err.GetAPIError(s3err.ErrObjectLockConfigurationNotFound)
}

// GetBucketVersioning says that it was never configured.
func (s *storage) GetBucketVersioning(context.Context, string) (s3response.GetBucketVersioningOutput, error) {
	return s3response.GetBucketVersioningOutput{}, nil
}

// GetBucketOwnershipControls says that ACLs mean nothing here.
func (s *storage) GetBucketOwnershipControls(context.Context, string) (types.ObjectOwnership, error) {
	return types.ObjectOwnershipBucketOwnerEnforced, nil
}

// wireError tells versitygw, and so the client, of a disk that takes no more; anything else is an internal error there.
func (s *storage) wireError(err error) error {
	var wire s3err.S3Error
	if err == nil || errors.As(err, &wire) {
		return err
	}
	if s.store.Writable() != nil || isFull(err) {
		return s3err.GetAPIError(s3err.ErrNoSpaceLeftOnDevice)
	}
	return err
}
