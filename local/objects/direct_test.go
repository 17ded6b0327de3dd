package objects

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/bloom-runtime/bloom/shared/awsconf"
	"github.com/bloom-runtime/bloom/shared/blob"
)

// bothWays runs a test over the program's own way in and over the gateway's, with every call signed, as one from outside.
func bothWays(t *testing.T, test func(t *testing.T, cfg aws.Config, b *blob.Bucket)) {
	t.Run("direct", func(t *testing.T) {
		s, b := open(t, t.TempDir())
		test(t, s.Config(), b)
	})
	t.Run("gateway", func(t *testing.T) {
		s, _ := open(t, t.TempDir())
		cfg := awsconf.Build(awsconf.DefaultRegion, endpoint, s.credentials.AccessKey, s.credentials.SecretKey, "", &client{s.handler})
		b, err := blob.Open(blob.Config{Name: bucket, AWS: cfg})
		if err != nil {
			t.Fatal(err)
		}
		test(t, cfg, b)
	})
}

func sum(body string) string {
	h := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(h[:])
}

// ofTheAnswer is what an error says of the answer it comes in.
var ofTheAnswer = regexp.MustCompile(`<(RequestId|HostId)>[^<]*</(RequestId|HostId)>`)

func answerOf(t *testing.T, res *http.Response, err error) (int, http.Header, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err == nil {
		err = res.Body.Close()
	}
	if err != nil || res.Request.Method != http.MethodHead && res.ContentLength > 0 && res.ContentLength != int64(len(body)) {
		t.Errorf("%d bytes of %d, %v", len(body), res.ContentLength, err)
	}
	header := maps.Clone(res.Header)
	for _, name := range []string{"Date", "Server", "X-Amz-Request-Id", "X-Amz-Id-2"} {
		header.Del(name)
	}
	if len(body) == 0 || res.StatusCode >= 300 {
		header.Del("Content-Length")
		header.Del("Content-Type") // the gateway gives the emptiest answer one
	}
	return res.StatusCode, header, ofTheAnswer.ReplaceAllString(string(body), "")
}

// A plain call is answered as the gateway answers it, to the header.
func TestSameAnswers(t *testing.T) {
	s, b := open(t, t.TempDir())
	d := s.Config().HTTPClient.(*direct)
	large := strings.Repeat("x", inline+1)
	if err := b.Put(t.Context(), "there", []byte("body"), "text/plain"); err != nil {
		t.Fatal(err)
	}
	if err := b.Put(t.Context(), "large", []byte(large), "text/plain"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, path, body string
		header                   map[string]string
		plain                    bool
		want                     int
	}{
		{"put", http.MethodPut, "k", "body", map[string]string{"Content-Type": "text/x", "X-Amz-Checksum-Sha256": sum("body")}, true, 200},
		{"get", http.MethodGet, "k?x-id=GetObject", "", nil, true, 200},
		{"put with nothing said", http.MethodPut, "k?x-id=PutObject", "body", nil, true, 200},
		{"get it", http.MethodGet, "k", "", nil, true, 200},
		{"put nothing", http.MethodPut, "a//b/", "", map[string]string{"X-Amz-Checksum-Sha256": sum("")}, true, 200},
		{"get nothing", http.MethodGet, "a//b/", "", nil, true, 200},
		{"put a large one", http.MethodPut, "large", large, map[string]string{"X-Amz-Checksum-Sha256": sum(large)}, true, 200},
		{"get a large one", http.MethodGet, "large", "", nil, true, 200},
		{"an escaped key", http.MethodPut, "%D1%97%20%2B%252F%3F", "body", nil, true, 200},
		{"get by an escaped key", http.MethodGet, "%D1%97%20%2B%252F%3F", "", nil, true, 200},
		{"another body", http.MethodPut, "bad", "body", map[string]string{"X-Amz-Checksum-Sha256": sum("other")}, true, 400},
		{"no checksum of that length", http.MethodPut, "bad", "body", map[string]string{"X-Amz-Checksum-Sha256": "AAAA"}, false, 400},
		{"what was refused", http.MethodGet, "bad", "", nil, true, 404},
		{"metadata", http.MethodPut, "meta", "body", map[string]string{"X-Amz-Meta-A": "b", "Cache-Control": "no-store", "Content-Encoding": "x"}, false, 200},
		{"get with metadata", http.MethodGet, "meta", "", nil, true, 200},
		{"range", http.MethodGet, "there", "", map[string]string{"Range": "bytes=1-2"}, false, 206},
		{"condition", http.MethodGet, "there", "", map[string]string{"If-None-Match": `"841a2d689ad86bd1611447453c22c6fc"`}, false, 304},
		{"override", http.MethodGet, "there?response-content-type=a/b", "", nil, false, 200},
		{"version", http.MethodGet, "there?versionId=1", "", nil, false, 501},
		{"attributes", http.MethodGet, "there?attributes", "", nil, false, 0},
		{"copy", http.MethodPut, "copy", "", map[string]string{"X-Amz-Copy-Source": bucket + "/there"}, false, 501},
		{"head", http.MethodHead, "there", "", nil, false, 200},
		{"upload", http.MethodPost, "there?uploads", "", nil, false, 501},
		{"out of the bucket", http.MethodGet, "../other/k", "", nil, false, 400},
		{"list", http.MethodGet, "", "", nil, false, 200},
		{"no bucket", http.MethodPut, "../no-such-bucket/k", "body", nil, false, 400},
		{"delete", http.MethodDelete, "there", "", nil, true, 204},
		{"delete again", http.MethodDelete, "there?x-id=DeleteObject", "", nil, true, 204},
	} {
		call := func() *http.Request {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, endpoint+"/"+bucket+"/"+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range tt.header {
				req.Header.Set(name, v)
			}
			return req
		}
		if _, _, ok := d.plain(call()); ok != tt.plain {
			t.Errorf("%s: plain %v", tt.name, ok)
		}
		res, err := d.signed(call())
		status, header, body := answerOf(t, res, err)
		if tt.want != 0 && status != tt.want {
			t.Errorf("%s: the gateway answers %d %s", tt.name, status, body)
		}
		res, err = d.Do(call())
		gotStatus, gotHeader, gotBody := answerOf(t, res, err)
		if gotStatus != status || gotBody != body {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, gotStatus, gotBody, status, body)
		}
		if !maps.EqualFunc(gotHeader, header, func(a, b []string) bool { return strings.Join(a, ",") == strings.Join(b, ",") }) {
			t.Errorf("%s: got %v, want %v", tt.name, gotHeader, header)
		}
	}
}

// An object that is cut short on its way in is not stored, and neither is one whose caller gave up.
func TestNotWhole(t *testing.T) {
	dir := t.TempDir()
	s, b := open(t, dir)
	d := s.Config().HTTPClient.(*direct)
	for name, way := range map[string]func(*http.Request) (*http.Response, error){"direct": d.Do, "gateway": d.signed} {
		for _, n := range []int{1, inline + 1} {
			body := io.NopCloser(strings.NewReader(strings.Repeat("x", n)))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/"+bucket+"/k", body)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(n) + 1
			res, err := way(req)
			if status, _, answer := answerOf(t, res, err); status != http.StatusBadRequest || !strings.Contains(answer, "IncompleteBody") {
				t.Errorf("%s, %d bytes: got %d %s", name, n, status, answer)
			}
		}
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left over: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Put(ctx, "k", []byte("v"), "text/plain"); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := b.Get(t.Context(), "k", 1); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
