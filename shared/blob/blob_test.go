package blob

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/shared/awsconf"
)

// The bucket itself is tested on real servers: local/objects for the embedded one. Here is what only a server can do that
// answers wrongly.
func bucketOf(t *testing.T, h http.HandlerFunc) *Bucket {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	b, err := Open(Config{Name: "the-bucket", AWS: awsconf.Build("us-east-1", srv.URL, "key", "secret", "", nil)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func fail(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>no</Message></Error>")
	}
}

func TestOpenWantsAName(t *testing.T) {
	t.Parallel()
	if _, err := Open(Config{}); err == nil {
		t.Error("a bucket without a name was opened")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status   int
		code     string
		notFound bool
	}{
		{http.StatusNotFound, "NoSuchKey", true},
		{http.StatusNotFound, "", true},
		{http.StatusNotFound, "NoSuchBucket", false},
		{http.StatusForbidden, "AccessDenied", false},
		{http.StatusInsufficientStorage, "NoSpaceLeftOnDevice", false},
	} {
		b := bucketOf(t, fail(tt.status, tt.code))
		_, err := b.Get(t.Context(), "k", 10)
		if err == nil || errors.Is(err, ErrNotFound) != tt.notFound {
			t.Errorf("%d %s: got %v", tt.status, tt.code, err)
		}
		if err := b.Put(t.Context(), "k", nil, "text/plain"); err == nil {
			t.Errorf("%d %s: a failed put was acknowledged", tt.status, tt.code)
		}
		if err := b.Delete(t.Context(), "k"); (err == nil) != tt.notFound {
			t.Errorf("%d %s: delete: %v", tt.status, tt.code, err)
		}
	}
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	b := bucketOf(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		fail(http.StatusServiceUnavailable, "SlowDown")(w, r)
	})
	if err := b.Put(t.Context(), "k", []byte("v"), "text/plain"); err == nil || calls.Load() != 3 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

// A server other than AWS finds bucket and key in the path, escaped once, below whatever path it has itself.
func TestPathOfAServer(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Method + " " + r.RequestURI) }))
	t.Cleanup(srv.Close)
	for base, prefix := range map[string]string{srv.URL: "", srv.URL + "/": "", srv.URL + "/s3/v1": "/s3/v1", srv.URL + "/s3/v1/": "/s3/v1"} {
		b, err := Open(Config{Name: "the-bucket", AWS: awsconf.Build("us-east-1", base, "key", "secret", "", nil)})
		if err != nil {
			t.Fatal(err)
		}
		const key, escaped = "artifacts/ї +%2F/1", "/the-bucket/artifacts/%D1%97%20%2B%252F/1"
		for _, tt := range []struct {
			want string
			call func() error
		}{
			{"PUT " + prefix + escaped + "?x-id=PutObject", func() error { return b.Put(t.Context(), key, []byte("v"), "text/plain") }},
			{"GET " + prefix + escaped + "?x-id=GetObject", func() error { _, err := b.Get(t.Context(), key, 10); return err }},
			{"DELETE " + prefix + escaped + "?x-id=DeleteObject", func() error { return b.Delete(t.Context(), key) }},
			{"HEAD " + prefix + "/the-bucket", func() error { return b.Ensure(t.Context()) }},
		} {
			if err := tt.call(); err != nil || got.Load() != tt.want {
				t.Errorf("got %s, %v; want %s", got.Load(), err, tt.want)
			}
		}
	}
}

// An answer that is cut short is an error, never a shorter object.
func TestCutShort(t *testing.T) {
	t.Parallel()
	b := bucketOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	})
	if got, err := b.Get(t.Context(), "k", 100); err == nil {
		t.Errorf("got %q", got)
	}
}

// A server that tells no length, or a wrong one, does not get past the limit.
func TestLimitWithoutLength(t *testing.T) {
	t.Parallel()
	b := bucketOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
	})
	if _, err := b.Get(t.Context(), "k", 999); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if got, err := b.Get(t.Context(), "k", 1000); err != nil || len(got) != 1000 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	b := bucketOf(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server hears that its client is gone once it has read the body
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := b.Put(ctx, "k", []byte("v"), "text/plain"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 2*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestPresignedLinkOfAWS(t *testing.T) {
	t.Parallel()
	b, err := Open(Config{Name: "the-bucket", AWS: awsconf.Build("eu-west-1", "", "key", "secret", "session", nil)})
	if err != nil {
		t.Fatal(err)
	}
	link, err := b.PresignGet(t.Context(), "artifacts/t/1-x", 15*time.Minute, "result.txt")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Host != "the-bucket.s3.eu-west-1.amazonaws.com" || u.Path != "/artifacts/t/1-x" || q.Get("X-Amz-Expires") != "900" ||
		q.Get("X-Amz-Security-Token") != "session" || q.Get("response-content-disposition") != "attachment; filename=result.txt" {
		t.Errorf("got %s", link)
	}
}

func TestFromEnv(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	env := map[string]string{"BUCKET_NAME": "the-bucket", "BLOOM_PUBLIC_S3_ENDPOINT": "https://bloom.example"}
	b, err := FromEnv(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	link, err := b.PresignGet(t.Context(), "k", time.Minute, "")
	if err != nil || !strings.HasPrefix(link, "https://bloom.example/the-bucket/k?") {
		t.Errorf("got %s, %v", link, err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := FromEnv(func(string) string { return "" }); !errors.Is(err, awsconf.ErrNoCredentials) {
		t.Errorf("got %v", err)
	}
}
