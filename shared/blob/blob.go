// Package blob keeps payloads in an S3 bucket: AWS S3, MinIO, or the server embedded in the local program.
// It is the only importer of service/s3.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// ErrNotFound means that the bucket holds no object of that key.
var ErrNotFound = errors.New("no such object")

// ErrTooLarge means that an object is larger than the caller's limit.
var ErrTooLarge = errors.New("object is larger than the limit")

// callTimeout bounds one call with its retries. A function has 29 s for a request, a payload at most 6 MB.
const callTimeout = 10 * time.Second

// Config says which bucket and how to reach it.
type Config struct {
	// Name of the bucket. It must exist.
	Name string
	// AWS is where the bucket is and with which credentials; see awsconf.FromEnv(awsconf.S3). With a BaseEndpoint,
	// which means a server other than AWS, the bucket is named in the path and not in the host.
	AWS aws.Config
	// PublicEndpoint is the URL (scheme and host) under which clients outside reach the bucket: presigned links are made
	// for it. Empty means that they reach it where this process does. Environment: BLOOM_PUBLIC_S3_ENDPOINT.
	PublicEndpoint string
}

// Bucket is safe for concurrent use.
type Bucket struct {
	name    string
	client  *s3.Client
	presign *s3.PresignClient
}

// Open makes the bucket's client. It makes no call: a bucket that is not there shows at the first one.
func Open(c Config) (*Bucket, error) {
	if c.Name == "" {
		return nil, errors.New("blob: the bucket's name is empty")
	}
	public := c.AWS.BaseEndpoint
	if c.PublicEndpoint != "" {
		public = &c.PublicEndpoint
	}
	return &Bucket{
		name:    c.Name,
		client:  s3.NewFromConfig(c.AWS, options(c.AWS.BaseEndpoint), forServer(c.Name)),
		presign: s3.NewPresignClient(s3.NewFromConfig(c.AWS, options(public))),
	}, nil
}

func options(endpoint *string) func(*s3.Options) {
	return func(o *s3.Options) {
		o.BaseEndpoint = endpoint
		o.UsePathStyle = endpoint != nil
		// An object read with a checksum the SDK does not validate is no event worth a log line each.
		o.DisableLogOutputChecksumValidationSkipped = true
	}
}

// Ensure creates the bucket where there is none. In the cloud the stack does it.
func (b *Bucket) Ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name})
	if err == nil {
		return nil
	}
	if re, ok := errors.AsType[*awshttp.ResponseError](err); !ok || re.HTTPStatusCode() != http.StatusNotFound {
		return fmt.Errorf("look for bucket %s: %w", b.name, err)
	}
	_, err = b.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &b.name})
	if _, ok := errors.AsType[*types.BucketAlreadyOwnedByYou](err); err != nil && !ok {
		return fmt.Errorf("create bucket %s: %w", b.name, err)
	}
	return nil
}

// Put stores body under key, replacing what is there; repeating it is safe. The store checks the body against its SHA-256 on
// the way in and keeps the checksum. When Put returns nil the object is stored as durably as the store stores anything.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, contentType string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	sum := sha256.Sum256(body)
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:         &b.name,
		Key:            &key,
		Body:           bytes.NewReader(body),
		ContentLength:  aws.Int64(int64(len(body))),
		ContentType:    &contentType,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	if err != nil {
		return fmt.Errorf("put object %s: %w", key, err)
	}
	return nil
}

// Get reads the object of that key, at most limit bytes. Errors: ErrNotFound, ErrTooLarge.
func (b *Bucket) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		if isNotFound(err) {
			err = ErrNotFound
		}
		return nil, fmt.Errorf("get object %s: %w", key, err)
	}
	defer func() { _ = out.Body.Close() }()
	size := aws.ToInt64(out.ContentLength)
	if size > limit {
		return nil, fmt.Errorf("get object %s (%d bytes): %w", key, size, ErrTooLarge)
	}
	var buf bytes.Buffer
	buf.Grow(int(max(size, 0)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(out.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("get object %s: %w", key, err)
	case n > limit:
		return nil, fmt.Errorf("get object %s: %w", key, ErrTooLarge)
	case out.ContentLength != nil && n != size:
		return nil, fmt.Errorf("get object %s: %w", key, io.ErrUnexpectedEOF)
	}
	return buf.Bytes(), nil
}

// Delete removes the object of that key; a key that is not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	if err != nil && !isNotFound(err) {
		return fmt.Errorf("delete object %s: %w", key, err)
	}
	return nil
}

// PresignGet makes a link by which anybody can read the object for ttl (at most 7 days) and which a browser saves as
// filename. It makes no call: the object need not exist. A link made with a role's credentials, as in Lambda, ends with
// them, whatever ttl says.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
func (b *Bucket) PresignGet(ctx context.Context, key string, ttl time.Duration, filename string) (string, error) {
	in := &s3.GetObjectInput{Bucket: &b.name, Key: &key}
	if filename != "" {
		in.ResponseContentDisposition = aws.String(mime.FormatMediaType("attachment", map[string]string{"filename": filename}))
	}
	req, err := b.presign.PresignGetObject(ctx, in, s3.WithPresignExpires(ttl))
	if err != nil {
		return "", fmt.Errorf("presign object %s: %w", key, err)
	}
	return req.URL, nil
}

// isNotFound says that the object is not there. A bucket that is not there is a broken installation and stays an error.
func isNotFound(err error) bool {
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "NoSuchBucket" {
		return false
	}
	re, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && re.HTTPStatusCode() == http.StatusNotFound
}
