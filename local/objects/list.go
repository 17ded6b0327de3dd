package objects

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/ptr"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// page is one page of a listing.
type page struct {
	objects  []s3response.Object
	prefixes []types.CommonPrefix
	next     string // the last name of the page when there is more
}

// list walks the keys after marker in order. Keys that share what follows prefix up to the delimiter are one entry.
func (s *storage) list(bucket, prefix, delimiter, marker string, limit int32) (p page, err error) {
	if err := s.has(bucket); err != nil {
		return p, err
	}
	view := s.store.View()
	defer view.Release()
	lower, upper := objectKey(bucket, prefix), objectKey(bucket, prefix+"\xff\xff\xff\xff")
	it, err := view.Iter(lower, upper)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	base, last := len(objectKey(bucket, "")), ""
	for ok := seek(it.First, it.SeekGE, objectKey(bucket, marker), marker); ok; {
		key := string(it.Key()[base:])
		name, folded := fold(key, prefix, delimiter)
		if name <= marker {
			ok = it.Next()
			continue
		}
		if int32(len(p.objects)+len(p.prefixes)) >= limit {
			p.next = last
			break
		}
		last = name
		if folded {
			p.prefixes = append(p.prefixes, types.CommonPrefix{Prefix: &name})
			ok = it.SeekGE(objectKey(bucket, name+"\xff\xff\xff\xff"))
			continue
		}
		value, verr := it.ValueAndErr()
		if verr != nil {
			return p, verr
		}
		o, _, derr := decode(value)
		if derr != nil {
			return p, derr
		}
		p.objects = append(p.objects, s3response.Object{
			Key: &key, ETag: &o.ETag, Size: &o.Size, LastModified: o.modified(), StorageClass: types.ObjectStorageClassStandard,
		})
		ok = it.Next()
	}
	return p, it.Error()
}

// seek positions at the marker, or at the beginning without one.
func seek(first func() bool, at func([]byte) bool, key []byte, marker string) bool {
	if marker == "" {
		return first()
	}
	return at(key)
}

// fold is the name under which a key is listed: itself, or the common prefix it belongs to.
func fold(key, prefix, delimiter string) (name string, folded bool) {
	if delimiter == "" || !strings.HasPrefix(key, prefix) {
		return key, false
	}
	head, _, ok := strings.Cut(key[len(prefix):], delimiter)
	if !ok {
		return key, false
	}
	return prefix + head + delimiter, true
}

// ListObjectsV2 lists a page.
func (s *storage) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input) (s3response.ListObjectsV2Result, error) {
	bucket, limit := ptr.ToString(in.Bucket), ptr.ToInt32(in.MaxKeys)
	marker := max(ptr.ToString(in.StartAfter), ptr.ToString(in.ContinuationToken))
	p, err := s.list(bucket, ptr.ToString(in.Prefix), ptr.ToString(in.Delimiter), marker, limit)
	if err != nil {
		return s3response.ListObjectsV2Result{}, err
	}
	out := s3response.ListObjectsV2Result{
		Name: &bucket, Prefix: in.Prefix, Delimiter: in.Delimiter, StartAfter: in.StartAfter, ContinuationToken: in.ContinuationToken,
		MaxKeys: &limit, KeyCount: new(int32(len(p.objects) + len(p.prefixes))), IsTruncated: new(p.next != ""),
		Contents: p.objects, CommonPrefixes: p.prefixes,
	}
	if p.next != "" {
		out.NextContinuationToken = &p.next
	}
	return out, nil
}

// ListObjects lists a page in the older form.
func (s *storage) ListObjects(_ context.Context, in *s3.ListObjectsInput) (s3response.ListObjectsResult, error) {
	bucket, limit := ptr.ToString(in.Bucket), ptr.ToInt32(in.MaxKeys)
	p, err := s.list(bucket, ptr.ToString(in.Prefix), ptr.ToString(in.Delimiter), ptr.ToString(in.Marker), limit)
	if err != nil {
		return s3response.ListObjectsResult{}, err
	}
	out := s3response.ListObjectsResult{
		Name: &bucket, Prefix: in.Prefix, Delimiter: in.Delimiter, Marker: in.Marker, MaxKeys: &limit, IsTruncated: new(p.next != ""),
		Contents: p.objects, CommonPrefixes: p.prefixes,
	}
	if p.next != "" {
		out.NextMarker = &p.next
	}
	return out, nil
}

// DeleteObjects removes each object by itself.
func (s *storage) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	var out s3response.DeleteResult
	for _, o := range in.Delete.Objects {
		_, err := s.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: in.Bucket, Key: o.Key, VersionId: o.VersionId})
		if err != nil {
			out.Error = append(out.Error, s3err.ObjectDeleteError(o.Key, o.VersionId, err))
		} else {
			out.Deleted = append(out.Deleted, types.DeletedObject{Key: o.Key})
		}
	}
	return out, nil
}
