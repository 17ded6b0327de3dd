package client

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func parse(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// serving starts a TLS server and returns a client of it.
func serving(t testing.TB, path string, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	tr, err := NewTransport(Trust{File: caOf(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return New(parse(t, s.URL+path), "the-key", tr)
}

func caOf(t testing.TB, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRequests(t *testing.T) {
	t.Parallel()
	var got, body, key string
	c := serving(t, "/live/", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, body, key = r.Method+" "+r.URL.EscapedPath(), string(b), r.Header.Get("X-Runtime-API-Key")
		_, _ = w.Write([]byte(`{"claims":[{"task":{"id":"t","prompt":"p","new_field":1},"lease":{"id":"l","ttl_seconds":60}}],"poll_after_ms":7}`))
	})
	tests := []struct {
		call       func() error
		path, body string
	}{
		{func() error { return c.Register(t.Context(), Registration{Name: "w", Status: Online}) }, "POST /live/api/runtime/workers",
			`{"name":"w","status":"online","capabilities":{"claude_cli":false,"max_concurrency":0,"labels":null},"ip_addrs":null}`},
		{func() error {
			claims, err := c.Claim(t.Context(), "a b?%я", 2, 60)
			if len(claims.Claims) != 1 || claims.Claims[0].Task.Prompt != "p" || claims.PollAfterMS != 7 || time.Since(time.UnixMilli(claims.ServerTime)) > time.Minute {
				t.Errorf("%+v", claims)
			}
			return err
		}, "POST /live/api/runtime/workers/a%20b%3F%25%D1%8F/claim", `{"max":2,"ttl_seconds":60}`},
		{func() error { return c.Heartbeat(t.Context(), "t", "l") }, "POST /live/api/runtime/llm-tasks/t/heartbeat", `{"lease_id":"l"}`},
		{func() error { return c.Complete(t.Context(), "t", json.RawMessage(`{"any":"<b>"}`)) }, "POST /live/api/runtime/llm-tasks/t/complete", `{"any":"<b>"}`},
	}
	for _, tt := range tests {
		if err := tt.call(); err != nil || got != tt.path || body != tt.body || key != "the-key" {
			t.Errorf("%s %s with key %q: %v; want %s %s", got, body, key, err, tt.path, tt.body)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	const shape = `{"error":"a\nsentence","code":"word","request_id":"r"}`
	tests := []struct {
		status                          int
		body                            string
		header                          []string
		gone, conflict, refused, denied bool
		retry                           time.Duration
		say                             string
	}{
		{400, shape, nil, false, false, true, false, 0, "the server answered 400 word: a sentence"},
		{401, shape, nil, false, false, false, true, 0, "401 word"},
		{403, "<html>", nil, false, false, false, true, 0, "403: Forbidden"},
		{404, shape, nil, true, false, false, false, 0, "404 word"},
		{404, "<html>", nil, false, false, false, false, 0, "404: Not Found"},
		{409, shape, nil, false, true, false, false, 0, "409 word"},
		{409, "", nil, false, false, false, false, 0, "409: Conflict"},
		{413, "<html>", nil, false, false, true, false, 0, "413: Request Entity Too Large"},
		{422, shape, nil, false, false, true, false, 0, "422 word"},
		{429, shape, []string{"Retry-After", "17"}, false, false, false, false, 17 * time.Second, "429 word"},
		{429, shape, []string{"Retry-After", "999999"}, false, false, false, false, 5 * time.Minute, "429 word"},
		{503, shape, []string{"Retry-After", "soon"}, false, false, false, false, 0, "503 word"},
		{308, "", []string{"Location", "https://other/"}, false, false, false, false, 0, "it redirects to https://other/; give that address with -url"},
		{500, `{"error":{"a":1}}`, nil, false, false, false, false, 0, "500: Internal Server Error"},
		{500, `{"error":"` + strings.Repeat("я", 600) + `","code":"c"}`, nil, false, false, false, false, 0, "я…"},
	}
	for _, tt := range tests {
		c := serving(t, "", func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i+1 < len(tt.header); i += 2 {
				w.Header().Set(tt.header[i], tt.header[i+1])
			}
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		})
		err := c.Heartbeat(t.Context(), "t", "l")
		if err == nil || !strings.Contains(err.Error(), tt.say) || strings.Contains(err.Error(), "the-key") {
			t.Errorf("%d: %v", tt.status, err)
		}
		if Gone(err) != tt.gone || Conflict(err) != tt.conflict || Refused(err) != tt.refused || Denied(err) != tt.denied || RetryAfter(err) != tt.retry {
			t.Errorf("%d %s: gone %v, conflict %v, refused %v, denied %v, retry after %v",
				tt.status, tt.body, Gone(err), Conflict(err), Refused(err), Denied(err), RetryAfter(err))
		}
	}
}

// The key does not follow a redirect.
func TestRedirectNotFollowed(t *testing.T) {
	t.Parallel()
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	c := serving(t, "", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusPermanentRedirect)
	})
	if err := c.Heartbeat(t.Context(), "t", "l"); err == nil || asked {
		t.Errorf("%v, other server asked: %v", err, asked)
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"promises":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"claims":7}`) },
		"larger than": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswer+1)) },
		"EOF": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"claims":[`)
		},
	} {
		c := serving(t, "", h)
		if _, err := c.Claim(t.Context(), "w", 1, 1); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	ask := func(trust Trust) error {
		tr, err := NewTransport(trust)
		if err != nil {
			return err
		}
		defer tr.CloseIdleConnections()
		return New(parse(t, s.URL), "", tr).Heartbeat(t.Context(), "t", "l")
	}
	ca, missing := caOf(t, s), filepath.Join(t.TempDir(), "missing.pem")
	for _, trust := range []Trust{{File: ca}, {File: ca, Added: true}} {
		if err := ask(trust); err != nil {
			t.Errorf("%+v: %v", trust, err)
		}
	}
	for _, tt := range []struct {
		trust Trust
		say   string
	}{
		{Trust{}, "unknown authority"},
		{Trust{File: missing, Added: true}, "unknown authority"},
		{Trust{File: missing}, "no such file"},
		{Trust{File: t.TempDir()}, "is a directory"},
		{Trust{File: t.TempDir(), Added: true}, "is a directory"},
	} {
		if err := ask(tt.trust); err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%+v: %v", tt.trust, err)
		}
	}
}
