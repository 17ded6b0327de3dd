package objects

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sys/unix"

	"github.com/bloom-runtime/bloom/shared/blob"
)

const bucket = "bloom-artifacts"

// One server a process: the tests of this package run one after the other.
func open(t testing.TB, dir string) (*Server, *blob.Bucket) {
	t.Helper()
	s, err := Open(dir, Options{OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, openBucket(t, s, "")
}

func openBucket(t testing.TB, s *Server, public string) *blob.Bucket {
	t.Helper()
	b, err := blob.Open(blob.Config{Name: bucket, AWS: s.Config(), PublicEndpoint: public})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestPutGetDelete(t *testing.T) {
	bothWays(t, func(t *testing.T, _ aws.Config, b *blob.Bucket) {
		ctx := t.Context()
		for _, size := range []int{0, 1, 1024, 300_000, 5 << 20} {
			key := fmt.Sprintf("artifacts/0192-task/%d-ключ +%%.json", size)
			body := bytes.Repeat([]byte("пи"), size/4+1)[:size]
			for range 2 {
				if err := b.Put(ctx, key, body, "application/json"); err != nil {
					t.Fatal(err)
				}
			}
			got, err := b.Get(ctx, key, int64(size))
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
			}
			if size > 0 {
				if _, err := b.Get(ctx, key, int64(size-1)); !errors.Is(err, blob.ErrTooLarge) {
					t.Errorf("over the limit: got %v", err)
				}
			}
			for range 2 {
				if err := b.Delete(ctx, key); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.Get(ctx, key, 1); !errors.Is(err, blob.ErrNotFound) {
				t.Errorf("deleted: got %v", err)
			}
		}
	})
}

func TestConcurrentPuts(t *testing.T) {
	bothWays(t, func(t *testing.T, _ aws.Config, b *blob.Bucket) {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				key, body := fmt.Sprintf("artifacts/%d/1-x", i%4), []byte(strings.Repeat(fmt.Sprint(i%4), 2000))
				for range 4 {
					if err := b.Put(t.Context(), key, body, "text/plain"); err != nil {
						t.Error(err)
					}
					if got, err := b.Get(t.Context(), key, 1<<20); err != nil || !bytes.Equal(got, body) {
						t.Errorf("%s: got %d bytes, %v", key, len(got), err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestReopenKeepsObjectsAndCredentials(t *testing.T) {
	dir := t.TempDir()
	s, b := open(t, dir)
	if err := b.Put(t.Context(), "k", []byte("v"), "text/plain"); err != nil {
		t.Fatal(err)
	}
	link, err := b.PresignGet(t.Context(), "k", time.Minute, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, b = open(t, dir)
	if got, err := b.Get(t.Context(), "k", 10); err != nil || string(got) != "v" {
		t.Errorf("got %q, %v", got, err)
	}
	if got := get(t, s, http.MethodGet, link); got.Code != http.StatusOK || got.Body.String() != "v" {
		t.Errorf("a link from before: %d %s", got.Code, got.Body)
	}
	info, err := os.Stat(filepath.Join(dir, "credentials.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials: %v, %v", info.Mode(), err)
	}
}

func TestDamagedCredentials(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "credentials.json"), []byte(`{"access_key"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "credentials.json is damaged") {
		t.Errorf("got %v", err)
	}
}

func get(t testing.TB, s *Server, method, link string) *httptest.ResponseRecorder {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, u.RequestURI(), nil)
	r.Host = u.Host
	r.Header.Set("Cookie", "a=b")
	r.Header.Set("Authorization", "Basic Zm9vOmJhcg==")
	w := httptest.NewRecorder()
	s.Public().ServeHTTP(w, r)
	return w
}

func TestPresignedLinks(t *testing.T) {
	s, _ := open(t, t.TempDir())
	b := openBucket(t, s, "https://127.0.0.1:8443")
	ctx := t.Context()
	key := "artifacts/t/1-ab c+d"
	if err := b.Put(ctx, key, []byte(`{"a":1}`), "application/json"); err != nil {
		t.Fatal(err)
	}
	link, err := b.PresignGet(ctx, key, time.Minute, `résult "1".json`)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(link, "https://127.0.0.1:8443/"+bucket+"/artifacts/t/") {
		t.Errorf("link %s", link)
	}
	got := get(t, s, http.MethodGet, link)
	if got.Code != http.StatusOK || got.Body.String() != `{"a":1}` || got.Header().Get("Content-Type") != "application/json" ||
		!strings.Contains(got.Header().Get("Content-Disposition"), "attachment; filename*=utf-8''r%C3%A9sult") {
		t.Errorf("GET: %d %s %v", got.Code, got.Body, got.Header())
	}
	missing, err := b.PresignGet(ctx, "nope", time.Minute, "")
	if err != nil {
		t.Fatal(err)
	}
	expired, err := b.PresignGet(ctx, key, time.Second, "")
	if err != nil {
		t.Fatal(err)
	}
	unsigned, _, _ := strings.Cut(link, "?")
	for _, tt := range []struct {
		name, method, link string
		want               int
	}{
		{"another key", http.MethodGet, strings.Replace(link, "/t/1-", "/t/2-", 1), http.StatusForbidden},
		{"another host", http.MethodGet, strings.Replace(link, "127.0.0.1", "localhost", 1), http.StatusForbidden},
		{"longer life", http.MethodGet, strings.Replace(link, "X-Amz-Expires=60", "X-Amz-Expires=600", 1), http.StatusForbidden},
		{"no signature", http.MethodGet, unsigned, http.StatusForbidden},
		{"another method signed for", http.MethodHead, link, http.StatusForbidden},
		{"PUT", http.MethodPut, link, http.StatusMethodNotAllowed},
		{"DELETE", http.MethodDelete, link, http.StatusMethodNotAllowed},
		{"list of the bucket", http.MethodGet, "https://127.0.0.1:8443/" + bucket + "/?list-type=2", http.StatusForbidden},
		{"no object", http.MethodGet, missing, http.StatusNotFound},
	} {
		if got := get(t, s, tt.method, tt.link); got.Code != tt.want {
			t.Errorf("%s: got %d %s, want %d", tt.name, got.Code, got.Body, tt.want)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for get(t, s, http.MethodGet, expired).Code != http.StatusForbidden {
		if time.Now().After(deadline) {
			t.Fatal("a link did not end with its time")
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestPublicOverTheNetwork(t *testing.T) {
	s, _ := open(t, t.TempDir())
	srv := httptest.NewServer(s.Public())
	defer srv.Close()
	b := openBucket(t, s, srv.URL)
	body := bytes.Repeat([]byte("x"), 3<<20)
	if err := b.Put(t.Context(), "big", body, "text/plain"); err != nil {
		t.Fatal(err)
	}
	link, err := b.PresignGet(t.Context(), "big", time.Minute, "big.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rng    string
		status int
		want   []byte
	}{{"", http.StatusOK, body}, {"bytes=0-9", http.StatusPartialContent, body[:10]}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tt.rng != "" {
			req.Header.Set("Range", tt.rng)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != tt.status || !bytes.Equal(got, tt.want) {
			t.Errorf("range %q: %d, %d bytes, %v", tt.rng, res.StatusCode, len(got), err)
		}
	}
}

// Beside the usual figures: the processor time of an operation, the kernel's included. The clients share syncs, as functions do.
func BenchmarkObjects(b *testing.B) {
	_, bkt := open(b, b.TempDir())
	body := bytes.Repeat([]byte("x"), 1024)
	for _, clients := range []int{1, 8} {
		var puts, gets atomic.Int64
		key := func(n int64) string { return fmt.Sprintf("artifacts/%d-%d/1-abc", clients, n) }
		b.Run(fmt.Sprintf("put/%d", clients), func(b *testing.B) {
			inParallel(b, clients, func() error { return bkt.Put(b.Context(), key(puts.Add(1)), body, "text/plain") })
		})
		b.Run(fmt.Sprintf("get/%d", clients), func(b *testing.B) {
			inParallel(b, clients, func() error {
				_, err := bkt.Get(b.Context(), key(1+gets.Add(1)%puts.Load()), 4096)
				return err
			})
		})
	}
}

func inParallel(b *testing.B, clients int, call func() error) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	before := processorTime(b)
	for range clients {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
