package objects

import (
	"bytes"
	"crypto/md5" //nolint:gosec // S3's ETag is an MD5
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/ptr"
	"github.com/google/uuid"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"

	"github.com/bloom-runtime/bloom/local/datadir"
)

// receive reads the body that a Put sends, checks it against the checksum that came with it and describes it. The bytes of a
// large one are in a file, on the disk, when it returns; those of a small one are returned.
func (s *storage) receive(in s3response.PutObjectInput) (object, []byte, error) {
	o := object{
		Modified: time.Now().UnixMilli(), Type: given(in.ContentType), Encoding: given(in.ContentEncoding), Language: given(in.ContentLanguage),
		Disposition: given(in.ContentDisposition), Cache: given(in.CacheControl), Expires: given(in.Expires), User: in.Metadata,
	}
	digest := md5.New() //nolint:gosec // as above
	body := io.TeeReader(in.Body, digest)
	sum, body, err := checked(in, &o, body)
	if err != nil {
		return o, nil, err
	}
	var start bytes.Buffer
	start.Grow(int(min(max(ptr.ToInt64(in.ContentLength), 0), inline+1)) + bytes.MinRead)
	if o.Size, err = start.ReadFrom(io.LimitReader(body, inline+1)); err != nil {
		return o, nil, err
	}
	if o.Size > inline {
		if err := s.spill(&o, &start, body); err != nil {
			return o, nil, err
		}
	}
	if in.ContentLength != nil && *in.ContentLength != o.Size {
		s.remove(o.File)
		return o, nil, s3err.GetAPIError(s3err.ErrIncompleteBody)
	}
	o.ETag, o.Sum = backend.GenerateEtag(digest), sum()
	if o.File != "" {
		return o, nil, nil
	}
	return o, start.Bytes(), nil
}

// given is nil for a header that was not sent.
func given(s *string) *string {
	if s == nil || *s == "" {
		return nil
	}
	return s
}

// checked has the body's end compared with the checksum in the request's headers, or in its trailer. sum tells the checksum
// once all has been read.
func checked(in s3response.PutObjectInput, o *object, body io.Reader) (sum func() string, _ io.Reader, err error) {
	if trailer, ok := in.Body.(middlewares.ChecksumReader); ok && trailer.Algorithm() != "" {
		o.Algorithm = strings.ToUpper(trailer.Algorithm())
		return trailer.Checksum, body, nil
	}
	kind, want := utils.HashTypeCRC64NVME, ""
	for _, c := range []struct {
		value *string
		kind  utils.HashType
	}{
		{in.ChecksumSHA256, utils.HashTypeSha256}, {in.ChecksumCRC64NVME, utils.HashTypeCRC64NVME}, {in.ChecksumCRC32, utils.HashTypeCRC32},
		{in.ChecksumCRC32C, utils.HashTypeCRC32C}, {in.ChecksumSHA1, utils.HashTypeSha1}, {in.ChecksumSHA512, utils.HashTypeSha512},
		{in.ChecksumMD5, utils.HashTypeMd5}, {in.ChecksumXXHASH64, utils.HashTypeXXHASH64}, {in.ChecksumXXHASH3, utils.HashTypeXXHASH3},
		{in.ChecksumXXHASH128, utils.HashTypeXXHASH128},
	} {
		if c.value != nil {
			kind, want = c.kind, *c.value
		}
	}
	o.Algorithm = string(types.ChecksumAlgorithm(strings.ToUpper(string(kind))))
	r, err := utils.NewHashReader(body, want, kind)
	if err != nil {
		return nil, nil, err
	}
	return r.Sum, r, nil
}

// spill writes a large body to a file of its own.
func (s *storage) spill(o *object, start io.Reader, rest io.Reader) (err error) {
	o.File = uuid.NewString()
	path := filepath.Join(s.files, o.File)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			s.remove(o.File)
		}
	}()
	if o.Size, err = io.Copy(f, io.MultiReader(start, rest)); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return datadir.SyncDir(s.files)
}
