package membridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	bloom "github.com/bloom-runtime/bloom"
	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/objects"
	"github.com/bloom-runtime/bloom/local/provision"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/blob"
	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/dynamo"
)

const key = "the-admin-key"

// rig is a server over a table and a bucket of its own, with a clock that a test sets.
type rig struct {
	*Server
	t    *testing.T
	http *httptest.Server
	s3   *bucket
	ms   atomic.Int64
}

func (r *rig) now() clock.Millis { return clock.Millis(r.ms.Load()) }

func (r *rig) advance(d time.Duration) { r.ms.Add(d.Milliseconds()) }

func open(t *testing.T) *rig {
	t.Helper()
	store, err := dynamodb.Open(t.TempDir(), dynamodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	cfg := awsconf.Build("us-east-1", "http://dynamodb.local", "", "", "", store.HTTPClient())
	stack, err := template.Parse(bloom.Template, template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := provision.Table(t.Context(), cfg, stack.Tables[0]); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, s3: newBucket(t)}
	r.ms.Store(1_800_000_000_250)
	table := dynamo.Open(cfg, dynamo.Settings{Name: stack.Tables[0].Name, Partitions: 2, Now: r.now})
	r.Server = New(Options{Table: table, Bucket: r.s3.Bucket, Key: key, Now: r.now, Log: slog.New(slog.DiscardHandler)})
	r.http = httptest.NewServer(r.Server)
	t.Cleanup(r.http.Close)
	return r
}

// s3 is the embedded S3, one for the whole process; every test has a bucket of its own.
var s3 *objects.Server

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "bloom-membridge-")
	if err != nil {
		panic(err)
	}
	if s3, err = objects.Open(dir, objects.Options{}); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = s3.Close()        // the process ends
	_ = os.RemoveAll(dir) // a leftover in the temporary folder harms nobody
	os.Exit(code)
}

// bucket is one of the embedded S3 that can be away.
type bucket struct {
	*blob.Bucket
	away atomic.Bool
	s3   aws.HTTPClient
	t    *testing.T
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{s3: s3.Config().HTTPClient, t: t}
	cfg := s3.Config()
	cfg.HTTPClient = b
	var err error
	if b.Bucket, err = blob.Open(blob.Config{Name: "b-" + dynamo.NewID(), AWS: cfg}); err != nil {
		t.Fatal(err)
	}
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// Do is the SDK's way to the server.
func (b *bucket) Do(r *http.Request) (*http.Response, error) {
	if b.away.Load() {
		return nil, errors.New("the bucket is away")
	}
	return b.s3.Do(r)
}

// get is the object's text; "" when there is none.
func (b *bucket) get(name string) string {
	b.t.Helper()
	text, err := b.Get(b.t.Context(), name, 1<<20)
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *bucket) put(name, text string) {
	b.t.Helper()
	if err := b.Put(b.t.Context(), name, []byte(text), "application/json"); err != nil {
		b.t.Fatal(err)
	}
}

// response is one answer.
type response struct {
	status int
	header http.Header
	body   string
}

func (r *rig) send(method, path, body string, headers ...string) response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.http.URL+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("X-MEMBRIDGE-ADMIN", key)
	for n := 0; n < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response{res.StatusCode, res.Header, string(text)}
}

// want sends a request and demands the status and, as JSON, the body.
func (r *rig) want(method, path, body string, status int, answer string) {
	r.t.Helper()
	got := r.send(method, path, body)
	if got.status != status || !sameJSON(got.body, answer) {
		r.t.Errorf("%s %s %s:\n got %d %s\nwant %d %s", method, path, body, got.status, got.body, status, answer)
	}
}

func sameJSON(a, b string) bool {
	var x, y any
	if a == "" || b == "" || json.NewDecoder(bytes.NewReader([]byte(a))).Decode(&x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}
