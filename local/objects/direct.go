package objects

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// direct is the aws.HTTPClient of this program itself, which is trusted: its calls come unsigned. It answers plain calls, those
// that put, get or delete an object and ask for nothing else, from the storage; each other one it signs and hands to the gateway.
// The same call gets the same answer either way; a plain one costs a third.
type direct struct {
	storage     *storage
	gateway     *client
	signer      *v4.Signer
	credentials credentials
}

// Do answers req. The caller closes the response's body, which may be an open file. It fails when req's context ends; a write
// may still be carried out then, as over a network.
func (d *direct) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bucket, key, ok := d.plain(req)
	if !ok {
		return d.signed(req)
	}
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	var res *http.Response
	var err error
	switch req.Method {
	case http.MethodPut:
		res, err = d.put(req, bucket, key)
	case http.MethodGet:
		res, err = d.get(req, bucket, key)
	default:
		res, err = d.remove(req, bucket, key)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		res = failure(err)
	}
	res.Status = strconv.Itoa(res.StatusCode) + " " + http.StatusText(res.StatusCode)
	res.Proto, res.ProtoMajor, res.ProtoMinor = "HTTP/1.1", 1, 1
	res.Request = req
	return res, nil
}

// plain tells which object a plain call is about. A call that says more than it needs to is not plain, nor is one that the
// gateway refuses for its form.
func (d *direct) plain(req *http.Request) (bucket, key string, ok bool) {
	switch req.URL.RawQuery {
	case "", "x-id=PutObject", "x-id=GetObject", "x-id=DeleteObject":
	default:
		return "", "", false
	}
	for name, values := range req.Header {
		switch name {
		case "Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request", "Content-Length", "Expect", "User-Agent":
		case "Content-Type", "X-Amz-Checksum-Sha256":
			if req.Method != http.MethodPut || len(values) != 1 {
				return "", "", false
			}
		default:
			return "", "", false
		}
	}
	switch req.Method {
	case http.MethodPut:
		sum := req.Header.Get("X-Amz-Checksum-Sha256")
		ok = req.ContentLength >= 0 && (sum == "" || utils.IsValidChecksum(sum, types.ChecksumAlgorithmSha256))
	case http.MethodGet, http.MethodDelete:
		ok = req.ContentLength == 0
	}
	bucket, key, _ = strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	return bucket, key, ok && key != "" && utils.IsObjectNameValid(key) && d.storage.has(bucket) == nil
}

func (d *direct) put(req *http.Request, bucket, key string) (*http.Response, error) {
	in := s3response.PutObjectInput{
		Bucket: &bucket, Key: &key, ContentLength: &req.ContentLength, Body: http.NoBody,
		// What S3 takes an object for that says nothing of its type.
		ContentType: new(cmp.Or(req.Header.Get("Content-Type"), "binary/octet-stream")),
	}
	if req.Body != nil {
		in.Body = req.Body
	}
	if sum := req.Header.Get("X-Amz-Checksum-Sha256"); sum != "" {
		in.ChecksumSHA256 = &sum
	}
	out, err := d.storage.PutObject(req.Context(), in)
	if err != nil {
		return nil, err
	}
	header := http.Header{
		"Etag": {out.ETag}, "X-Amz-Checksum-Type": {string(out.ChecksumType)}, "X-Amz-Object-Size": {strconv.FormatInt(*out.Size, 10)},
	}
	set(header, "X-Amz-Checksum-Sha256", out.ChecksumSHA256)
	set(header, "X-Amz-Checksum-Crc64nvme", out.ChecksumCRC64NVME)
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody}, nil
}

func (d *direct) get(req *http.Request, bucket, key string) (*http.Response, error) {
	out, err := d.storage.GetObject(req.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	header := http.Header{
		"Accept-Ranges": {*out.AcceptRanges}, "Content-Length": {strconv.FormatInt(*out.ContentLength, 10)}, "Etag": {*out.ETag},
		"Last-Modified": {out.LastModified.Format(http.TimeFormat)}, "X-Amz-Storage-Class": {string(out.StorageClass)},
	}
	set(header, "Content-Type", out.ContentType)
	set(header, "Content-Encoding", out.ContentEncoding)
	set(header, "Content-Language", out.ContentLanguage)
	set(header, "Content-Disposition", out.ContentDisposition)
	set(header, "Cache-Control", out.CacheControl)
	set(header, "Expires", out.ExpiresString)
	for name, value := range out.Metadata {
		header.Set("X-Amz-Meta-"+name, value)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: out.Body, ContentLength: *out.ContentLength}, nil
}

func (d *direct) remove(req *http.Request, bucket, key string) (*http.Response, error) {
	if _, err := d.storage.DeleteObject(req.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody}, nil
}

func set(h http.Header, name string, value *string) {
	if value != nil {
		h[name] = []string{*value}
	}
}

// failure is the answer to a call that failed. What is no error of S3 is not told.
func failure(err error) *http.Response {
	wire, ok := errors.AsType[s3err.S3Error](err)
	if !ok {
		wire = s3err.GetAPIError(s3err.ErrInternalError)
	}
	id := utils.NewS3RequestID()
	body := wire.XMLBody(id, "")
	return &http.Response{
		StatusCode:    wire.StatusCode(),
		Header:        http.Header{"Content-Type": {"application/xml"}, "X-Amz-Request-Id": {id}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
	}
}
