package objects

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/ptr"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/bloom-runtime/bloom/local/dynamodb/store"
)

// inline is the largest object whose bytes lie in the store itself.
const inline = 32 << 10

// object is what is kept of an object beside its bytes.
type object struct {
	Size        int64             `json:"size"`
	ETag        string            `json:"etag"`
	Modified    int64             `json:"modified"` // Unix ms
	Type        *string           `json:"type,omitempty"`
	Encoding    *string           `json:"encoding,omitempty"`
	Language    *string           `json:"language,omitempty"`
	Disposition *string           `json:"disposition,omitempty"`
	Cache       *string           `json:"cache,omitempty"`
	Expires     *string           `json:"expires,omitempty"`
	User        map[string]string `json:"user,omitempty"`
	Algorithm   string            `json:"algorithm"` // of the checksum
	Sum         string            `json:"sum"`
	File        string            `json:"file,omitempty"` // of the bytes; "" = they follow in the record
}

func (o object) modified() *time.Time { return new(time.UnixMilli(o.Modified).UTC()) }

// A record is the length of the description, the description and, of a small object, the bytes.
func encode(o object, body []byte) ([]byte, error) {
	head, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	record := binary.AppendUvarint(make([]byte, 0, len(head)+len(body)+binary.MaxVarintLen64), uint64(len(head)))
	return append(append(record, head...), body...), nil
}

func decode(record []byte) (o object, body []byte, err error) {
	length, n := binary.Uvarint(record)
	if n <= 0 || length > uint64(len(record)-n) {
		return o, nil, errors.New("an object's record is damaged")
	}
	head := record[n : n+int(length)]
	return o, record[n+int(length):], json.Unmarshal(head, &o)
}

// PutObject stores the object for good before it answers; readers see the old object or the new one.
func (s *storage) PutObject(ctx context.Context, in s3response.PutObjectInput) (out s3response.PutObjectOutput, err error) {
	defer func() { err = s.wireError(err) }()
	if ptr.ToString(in.Tagging) != "" || in.ObjectLockMode != "" || in.ObjectLockLegalHoldStatus != "" || ptr.ToString(in.WebsiteRedirectLocation) != "" {
		return out, s3err.GetAPIError(s3err.ErrNotImplemented)
	}
	bucket, key := ptr.ToString(in.Bucket), ptr.ToString(in.Key)
	if err := s.has(bucket); err != nil {
		return out, err
	}
	o, body, err := s.receive(in)
	if err != nil {
		return out, err
	}
	record, err := encode(o, body)
	if err != nil {
		return out, err
	}
	var replaced string
	err = s.apply(ctx, objectKey(bucket, key), func(before []byte, there bool, b *store.Batch) error {
		var old object
		if there {
			var err error
			if old, _, err = decode(before); err != nil {
				return err
			}
		}
		if err := backend.EvaluateObjectPutPreconditions(old.ETag, in.IfMatch, in.IfNoneMatch, there); err != nil {
			return err
		}
		b.Set(objectKey(bucket, key), record)
		if o.File != "" {
			b.Set(fileKey(o.File), objectKey(bucket, key))
		}
		replaced = s.forget(b, old)
		return nil
	})
	if err != nil {
		// After a context that ended the commit may yet come; then the sweep at the next start decides.
		if ctx.Err() == nil {
			s.remove(o.File)
		}
		return out, err
	}
	s.remove(replaced)
	out = s3response.PutObjectOutput{ETag: o.ETag, Size: &o.Size, ChecksumType: types.ChecksumTypeFullObject}
	o.checksum(&out.ChecksumSHA256, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1)
	return out, nil
}

// forget drops the old object's file from the store and returns its name; the file itself goes after the commit.
func (s *storage) forget(b *store.Batch, old object) string {
	if old.File != "" {
		b.Delete(fileKey(old.File))
	}
	return old.File
}

// remove deletes a file, or has the last snapshot delete it. One that stays is found by the sweep.
func (s *storage) remove(file string) {
	if file != "" && !s.held.keep(file) {
		_ = os.Remove(filepath.Join(s.files, file))
	}
}

// checksum sets the field of the algorithm that the object was stored with. One of another algorithm was checked on the way
// in and is not told again.
func (o object) checksum(sha256, crc32, crc32c, crc64, sha1 **string) {
	switch types.ChecksumAlgorithm(o.Algorithm) {
	case types.ChecksumAlgorithmSha256:
		*sha256 = &o.Sum
	case types.ChecksumAlgorithmCrc32:
		*crc32 = &o.Sum
	case types.ChecksumAlgorithmCrc32c:
		*crc32c = &o.Sum
	case types.ChecksumAlgorithmCrc64nvme:
		*crc64 = &o.Sum
	case types.ChecksumAlgorithmSha1:
		*sha1 = &o.Sum
	}
}

func (s *storage) load(bucket, key string) (object, []byte, error) {
	view := s.store.View()
	defer view.Release()
	record, ok, err := view.Get(nil, objectKey(bucket, key))
	if err != nil {
		return object{}, nil, err
	}
	if !ok {
		if err := s.has(bucket); err != nil {
			return object{}, nil, err
		}
		return object{}, nil, s3err.GetAPIError(s3err.ErrNoSuchKey)
	}
	return decode(record)
}

// GetObject returns the object, or the range asked for.
func (s *storage) GetObject(_ context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	if ptr.ToString(in.VersionId) != "" || in.PartNumber != nil {
		return nil, s3err.GetAPIError(s3err.ErrNotImplemented)
	}
	o, bytesOf, err := s.open(ptr.ToString(in.Bucket), ptr.ToString(in.Key))
	if err != nil {
		return nil, err
	}
	err = backend.EvaluatePreconditions(o.ETag, *o.modified(), backend.PreConditions{
		IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch, IfModSince: in.IfModifiedSince, IfUnmodeSince: in.IfUnmodifiedSince,
	})
	var start, length int64
	var ranged bool
	if err == nil {
		start, length, ranged, err = backend.ParseObjectRange(o.Size, ptr.ToString(in.Range))
	}
	if err == nil && start > 0 {
		_, err = bytesOf.Seek(start, io.SeekStart)
	}
	if err != nil {
		_ = bytesOf.Close()
		return nil, err
	}
	out := &s3.GetObjectOutput{
		AcceptRanges: new("bytes"), ContentLength: &length, ContentType: o.Type, ContentEncoding: o.Encoding, ContentLanguage: o.Language,
		ContentDisposition: o.Disposition, CacheControl: o.Cache, ExpiresString: o.Expires, Metadata: o.User, ETag: &o.ETag,
		LastModified: o.modified(), StorageClass: types.StorageClassStandard,
		Body: &section{io.LimitReader(bytesOf, length), bytesOf},
	}
	if ranged {
		out.ContentRange = new(fmt.Sprintf("bytes %d-%d/%d", start, start+length-1, o.Size))
	} else if in.ChecksumMode == types.ChecksumModeEnabled {
		out.ChecksumType = types.ChecksumTypeFullObject
		o.checksum(&out.ChecksumSHA256, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1)
	}
	return out, nil
}

// section is a part of an object's bytes.
type section struct {
	io.Reader
	io.Closer
}

// small are the bytes of a small object.
type small struct{ *bytes.Reader }

func (small) Close() error { return nil }

// open finds the object and its bytes. A file that went away between the two was replaced: the object is looked up again.
func (s *storage) open(bucket, key string) (object, io.ReadSeekCloser, error) {
	for try := 0; ; try++ {
		o, body, err := s.load(bucket, key)
		if err != nil {
			return o, nil, err
		}
		if o.File == "" {
			return o, small{bytes.NewReader(body)}, nil
		}
		f, err := os.Open(filepath.Join(s.files, o.File))
		if err == nil {
			return o, f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || try == 3 {
			return o, nil, err
		}
	}
}

// HeadObject describes the object.
func (s *storage) HeadObject(_ context.Context, in *s3.HeadObjectInput) (*s3.HeadObjectOutput, error) {
	if ptr.ToString(in.VersionId) != "" || in.PartNumber != nil {
		return nil, s3err.GetAPIError(s3err.ErrNotImplemented)
	}
	o, _, err := s.load(ptr.ToString(in.Bucket), ptr.ToString(in.Key))
	if err != nil {
		return nil, err
	}
	err = backend.EvaluatePreconditions(o.ETag, *o.modified(), backend.PreConditions{
		IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch, IfModSince: in.IfModifiedSince, IfUnmodeSince: in.IfUnmodifiedSince,
	})
	if err != nil {
		return nil, err
	}
	out := &s3.HeadObjectOutput{
		AcceptRanges: new("bytes"), ContentLength: &o.Size, ContentType: o.Type, ContentEncoding: o.Encoding, ContentLanguage: o.Language,
		ContentDisposition: o.Disposition, CacheControl: o.Cache, ExpiresString: o.Expires, Metadata: o.User, ETag: &o.ETag,
		LastModified: o.modified(), StorageClass: types.StorageClassStandard,
	}
	if in.ChecksumMode == types.ChecksumModeEnabled {
		out.ChecksumType = types.ChecksumTypeFullObject
		o.checksum(&out.ChecksumSHA256, &out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumSHA1)
	}
	return out, nil
}

// DeleteObject removes the object for good before it answers. One that is not there is no error.
func (s *storage) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (out *s3.DeleteObjectOutput, err error) {
	defer func() { err = s.wireError(err) }()
	if ptr.ToString(in.VersionId) != "" || in.IfMatch != nil {
		return nil, s3err.GetAPIError(s3err.ErrNotImplemented)
	}
	bucket, key := ptr.ToString(in.Bucket), ptr.ToString(in.Key)
	if err := s.has(bucket); err != nil {
		return nil, err
	}
	s.deletes.RLock()
	defer s.deletes.RUnlock()
	var removed string
	err = s.apply(ctx, objectKey(bucket, key), func(before []byte, there bool, b *store.Batch) error {
		if !there {
			return nil
		}
		old, _, err := decode(before)
		if err != nil {
			return err
		}
		b.Delete(objectKey(bucket, key))
		removed = s.forget(b, old)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.remove(removed)
	return &s3.DeleteObjectOutput{}, nil
}
