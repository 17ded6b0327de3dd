package membridge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const key = "very-secret-admin-key"

func client(retries int) *Client {
	c := New(Timeout, retries)
	c.backoff = time.Millisecond
	return c
}

func TestHealth(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prefix/health" || r.Header.Get("X-MEMBRIDGE-ADMIN") != key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"status":"ok","agents":3}`))
	}))
	defer srv.Close()
	for _, base := range []string{srv.URL + "/prefix", srv.URL + "/prefix/"} {
		got, err := client(0).Health(t.Context(), Server{base, key})
		if err != nil || string(got) != `{"status":"ok","agents":3}` {
			t.Errorf("%s: got %s, %v", base, got, err)
		}
	}
	_, err := client(3).Health(t.Context(), Server{srv.URL + "/prefix", "wrong"})
	var status *StatusError
	if !errors.As(err, &status) || status.Status != http.StatusUnauthorized || !strings.Contains(err.Error(), "refused the admin key") {
		t.Errorf("wrong key: got %v", err)
	}
}

func TestHealthRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		retries       int
		statuses      []int
		wantCalls     int32
		wantErrStatus int
	}{
		{"5xx then ok", 3, []int{503, 500, 200}, 3, 0},
		{"5xx for ever", 1, []int{500, 502, 200}, 2, 502},
		{"4xx at once", 3, []int{404, 200}, 1, 404},
		{"redirect not followed", 3, []int{302, 200}, 1, 302},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.statuses[calls.Add(1)-1])
				_, _ = w.Write([]byte(`{}`))
			}))
			defer srv.Close()
			_, err := client(tt.retries).Health(t.Context(), Server{srv.URL, key})
			if calls.Load() != tt.wantCalls {
				t.Errorf("got %d calls, want %d", calls.Load(), tt.wantCalls)
			}
			var status *StatusError
			if tt.wantErrStatus == 0 && err != nil || tt.wantErrStatus != 0 && (!errors.As(err, &status) || status.Status != tt.wantErrStatus) {
				t.Errorf("got error %v, want status %d", err, tt.wantErrStatus)
			}
		})
	}
}

func TestHealthBadAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, want string
	}{
		{"not JSON", "<html>", "not JSON"},
		{"empty", "", "not JSON"},
		{"too large", `"` + strings.Repeat("x", maxBody) + `"`, "more than 2 MB"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(tt.body))
		}))
		_, err := client(0).Health(t.Context(), Server{srv.URL, key})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		srv.Close()
	}
}

func TestHealthNetworkErrors(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	for _, tt := range []struct {
		name, url, want string
	}{
		{"refused", "http://127.0.0.1:1", "the connection was refused"},
		{"silent", "http://" + silent.Addr().String(), "did not answer in time"},
		{"no TLS there", strings.Replace(plain.URL, "http:", "https:", 1), "Membridge cannot be reached: "},
		{"untrusted", untrusted.URL, "certificate is not trusted"},
		{"metadata", "http://169.254.169.254", "must not be a link-local or metadata address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := client(0)
			c.http.Timeout = 200 * time.Millisecond
			if tt.name != "silent" {
				c.http.Timeout = Timeout
			}
			_, err := c.Health(t.Context(), Server{tt.url, key})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if strings.Contains(err.Error(), key) {
				t.Fatalf("the error carries the key: %v", err)
			}
		})
	}
}

// A name that resolves to a link-local address is refused by the dialer, whatever ValidateURL saw.
func TestDialerRefusesLinkLocal(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"169.254.169.254:80":          true,
		"169.254.170.2:80":            true,
		"[::ffff:169.254.169.254]:80": true,
		"[fe80::1%eth0]:80":           true,
		"[fd00:ec2::254]:80":          true,
		"127.0.0.1:8000":              false,
		"10.0.0.1:8000":               false,
		"[::1]:8000":                  false,
	} {
		if got := errors.Is(refuseLinkLocal("tcp", address, nil), errLinkLocal); got != want {
			t.Errorf("%s: refused = %v, want %v", address, got, want)
		}
	}
	c := client(3)
	c.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		d := net.Dialer{Control: refuseLinkLocal}
		return d.DialContext(ctx, network, "169.254.169.254:80")
	}
	start := time.Now()
	_, err := c.Health(t.Context(), Server{"http://membridge.example", key})
	if err == nil || !strings.Contains(err.Error(), "link-local") {
		t.Errorf("got %v", err)
	}
	if time.Since(start) > time.Second {
		t.Error("a refused address was tried again")
	}
}

func TestHealthFollowsContext(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer srv.Close()
	c := New(Timeout, 3)
	c.backoff = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Health(ctx, Server{srv.URL, key}); err == nil || err.Error() != "Membridge answered HTTP 500" {
		t.Errorf("got %v", err)
	}
}

// A function that has 4 s hears of a silent server before they are over.
func TestHealthLeavesTimeToItsCaller(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 4100*time.Millisecond)
	defer cancel()
	if _, err := New(Timeout, 3).Health(ctx, Server{"http://" + silent.Addr().String(), key}); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
	if ctx.Err() != nil {
		t.Error("no time was left")
	}
}

func TestValidateURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"http://127.0.0.1:8000", "https://membridge.example", "https://example.org/membridge/", "http://[::1]:8000"} {
		if err := ValidateURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"":                                    "http or https",
		"file:///etc/passwd":                  "http or https",
		"ftp://example.org":                   "http or https",
		"example.org:8000":                    "http or https",
		"http:example.org":                    "http or https",
		"http://exa mple.org":                 "http or https",
		"http://example.org\n":                "http or https",
		"http://":                             "host",
		"http://:8000":                        "host",
		"http://user@example.org":             "user name",
		"http://user:pw@example.org":          "user name",
		"http://example.org/?a=b":             "query",
		"http://example.org/?":                "query",
		"http://example.org/#x":               "query or fragment",
		"http://example.org/#":                "query or fragment",
		"http://example.org:0":                "port",
		"http://example.org:":                 "port",
		"http://example.org:70000":            "port",
		"http://169.254.169.254/":             "link-local",
		"http://[fe80::1]/":                   "link-local",
		"http://[::ffff:169.254.1.1]":         "link-local",
		"http://" + strings.Repeat("a", 2048): "2048",
	} {
		if err := ValidateURL(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", bad, err, want)
		}
	}
}
