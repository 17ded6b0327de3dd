package gateway

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/certs"
)

// served is a server on a free port and what a client needs to trust it.
type served struct {
	*Server
	address string
	pool    *x509.CertPool
	done    chan error
}

func serve(t testing.TB, h http.Handler, l limits) *served {
	t.Helper()
	store, err := certs.Open(t.TempDir(), nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(store.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &served{
		Server:  newServer(h, store.Config(), slog.New(slog.DiscardHandler), l),
		address: ln.Addr().String(), pool: x509.NewCertPool(), done: make(chan error, 1),
	}
	s.pool.AppendCertsFromPEM(ca)
	go func() { s.done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // some tests leave connections open
	})
	return s
}

func (s *served) client(http2 bool) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.pool}, ForceAttemptHTTP2: http2, MaxIdleConnsPerHost: 64,
	}}
}

// dial opens a TLS connection for bytes of one's own.
func (s *served) dial(t testing.TB, protocols ...string) *tls.Conn {
	t.Helper()
	d := &net.Dialer{Timeout: 5 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", s.address, &tls.Config{RootCAs: s.pool, NextProtos: protocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// talk sends bytes and reads the answer to the end of the connection.
func (s *served) talk(t testing.TB, request string) string {
	t.Helper()
	c := s.dial(t)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Logf("the connection ended with %v", err)
	}
	return string(answer)
}

func hello() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, r.Proto)
	})
}

// short are limits that a test can wait for.
var short = limits{handshake: 300 * time.Millisecond, header: 300 * time.Millisecond, read: 600 * time.Millisecond, write: 900 * time.Millisecond, idle: 900 * time.Millisecond, connections: 8}

func get(t testing.TB, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestProtocols(t *testing.T) {
	t.Parallel()
	s := serve(t, hello(), defaultLimits)
	if got := get(t, s.client(true), "https://"+s.address); got != "HTTP/2.0" {
		t.Errorf("got %s, want HTTP/2.0", got)
	}
	if got := get(t, s.client(false), "https://"+s.address); got != "HTTP/1.1" {
		t.Errorf("got %s, want HTTP/1.1", got)
	}
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	s := serve(t, hello(), defaultLimits)
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		conf := &tls.Config{RootCAs: s.pool, MinVersion: version, MaxVersion: version}
		c, err := tls.Dial("tcp", s.address, conf)
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
}

// TestNoRequestAtAll sends what net/http refuses by itself; the answers have
// the error shape all the same.
func TestNoRequestAtAll(t *testing.T) {
	t.Parallel()
	s := serve(t, hello(), defaultLimits)
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"a broken escape":      {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid"},
		"a blank in the path":  {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid"},
		"no host":              {"GET / HTTP/1.1\r\n\r\n", 400, "invalid"},
		"two hosts":            {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "invalid"},
		"a NUL in a header":    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400, "invalid"},
		"a bad method":         {"G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid"},
		"no HTTP":              {"hello\r\n\r\n", 400, "invalid"},
		"two lengths":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400, "invalid"},
		"an unknown encoding":  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 400, "invalid"},
		"an unknown version":   {"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400, "invalid"},
		"a header without end": {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", maxHeaderBlock+8<<10), 431, "too_large"},
		"headers without end":  {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 10_000), 431, "too_large"},
		"a path without end":   {"GET /" + strings.Repeat("x", maxHeaderBlock+8<<10), 431, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRaw(t, s.talk(t, c.request), c.status, c.code)
		})
	}
}

// wantRaw checks an answer as it came over the wire.
func wantRaw(t *testing.T, raw string, status int, code string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), nil)
	if err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	defer func() { _ = resp.Body.Close() }()
	var body struct {
		Error, Code string
		RequestID   string `json:"request_id"`
	}
	err = json.NewDecoder(resp.Body).Decode(&body)
	if err != nil || resp.StatusCode != status || body.Code != code || body.Error == "" || body.RequestID != resp.Header.Get("X-Request-Id") ||
		resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%v in %q, want %d %s", err, raw, status, code)
	}
}

func TestPlainHTTPOnTheTLSPort(t *testing.T) {
	t.Parallel()
	s := serve(t, hello(), defaultLimits)
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	answer, _ := io.ReadAll(c)
	wantRaw(t, string(answer), 400, "invalid")
}

// TestAnswersAreNotRewritten: a handler's text that looks like an error of
// net/http stays as it is.
func TestAnswersAreNotRewritten(t *testing.T) {
	t.Parallel()
	text := "HTTP/1.1 400 Bad Request" + serverError + "400 Bad Request"
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(400)
		for range 1000 {
			_, _ = io.WriteString(w, text)
		}
	}), defaultLimits)
	resp, err := s.client(false).Get("https://" + s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != strings.Repeat(text, 1000) {
		t.Errorf("%d bytes came, %v", len(body), err)
	}
}

// closedWithin waits for the server to close a connection.
func closedWithin(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	_, err := io.Copy(io.Discard, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("still open after %s", d)
	}
}

func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := serve(t, hello(), short)
	raw := func(t *testing.T) net.Conn {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	for name, open := range map[string]func(t *testing.T) net.Conn{
		"silent before the handshake": raw,
		"half a handshake": func(t *testing.T) net.Conn {
			c := raw(t)
			_, _ = c.Write([]byte{22, 3, 1, 2, 0, 1})
			return c
		},
		"silent after it": func(t *testing.T) net.Conn { return s.dial(t) },
		// One that sends no preface either is closed by net/http after 10 s.
		"silent in HTTP/2": func(t *testing.T) net.Conn {
			return drip(t, s.dial(t, "h2"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", "")
		},
		"headers drop by drop": func(t *testing.T) net.Conn { return drip(t, s.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n", "X: y\r\n") },
		"a body drop by drop": func(t *testing.T) net.Conn {
			return drip(t, s.dial(t), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", "x")
		},
		"idle after one request": func(t *testing.T) net.Conn { return drip(t, s.dial(t), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "") },
		"a body that never comes": func(t *testing.T) net.Conn {
			return drip(t, s.dial(t), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closedWithin(t, open(t), 5*time.Second)
		})
	}
}

// drip sends the start at once and the drop every 50 ms until the end.
func drip(t *testing.T, c net.Conn, start, drop string) net.Conn {
	t.Helper()
	if _, err := io.WriteString(c, start); err != nil {
		t.Fatal(err)
	}
	if drop != "" {
		go func() {
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for range tick.C {
				if _, err := io.WriteString(c, drop); err != nil {
					return
				}
			}
		}()
	}
	return c
}

// TestSlowReaders: who does not read an answer is cut off.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<20)
		for {
			if _, err := w.Write(block); err != nil {
				close(ended)
				return
			}
		}
	}), short)
	c := s.dial(t)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the server still writes")
	}
}

// TestConnectionsAreBounded opens more connections than there may be.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	l := defaultLimits
	l.connections = 8
	s := serve(t, hello(), l)
	var idle []net.Conn
	for range 2 * l.connections { // each does a request and then idles
		c := s.dial(t)
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		idle = append(idle, c)
	}
	closed := make(chan struct{}, len(idle))
	for _, c := range idle {
		go func() {
			_, _ = io.Copy(io.Discard, c) // ends when either side closes
			closed <- struct{}{}
		}()
	}
	for n := range l.connections { // as many made room as came over the limit
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of %d idle connections were closed, want %d", n, len(idle), l.connections)
		}
	}
	if got := get(t, s.client(true), "https://"+s.address); got != "HTTP/2.0" {
		t.Errorf("a client among idle ones: %s", got)
	}
}

// TestSilentConnectionsDoNotLockOut fills every place with clients that say
// nothing: a good client gets in when their handshake time is over.
func TestSilentConnectionsDoNotLockOut(t *testing.T) {
	t.Parallel()
	s := serve(t, hello(), short)
	for range 3 * short.connections {
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	if got := get(t, s.client(false), "https://"+s.address); got != "HTTP/1.1" {
		t.Errorf("got %s", got)
	}
}

func TestShutdownWaitsForRequests(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2 %v", http2), func(t *testing.T) {
			t.Parallel()
			entered, release := make(chan struct{}), make(chan struct{})
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				close(entered)
				<-release
				_, _ = io.WriteString(w, "done")
			}), defaultLimits)
			answer := make(chan string, 1)
			go func() {
				resp, err := s.client(http2).Get("https://" + s.address)
				if err != nil {
					answer <- err.Error()
					return
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				answer <- string(body)
			}()
			<-entered
			stopped := make(chan error, 1)
			go func() { stopped <- s.Shutdown(context.Background()) }()
			if err := <-s.done; err != nil {
				t.Errorf("Serve: %v", err)
			}
			if c, err := net.Dial("tcp", s.address); err == nil {
				_ = c.Close()
				t.Error("the port is still open")
			}
			close(release)
			if got := <-answer; got != "done" {
				t.Errorf("the request under way got %q", got)
			}
			if err := <-stopped; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-release
	}), defaultLimits)
	go func() {
		if resp, err := s.client(false).Get("https://" + s.address); err == nil {
			_ = resp.Body.Close() // it does not come to that
		}
	}()
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestServeSaysWhyItEnds(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	s := NewServer(hello(), &tls.Config{Certificates: make([]tls.Certificate, 1)}, slog.New(slog.DiscardHandler))
	if err := s.Serve(ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// TestElevenMegabytes: a client that is still sending gets the answer.
func TestElevenMegabytes(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open POST /a", "POST /b")}, echo(), allowAll())
	s := serve(t, g, defaultLimits)
	for _, http2 := range []bool{false, true} {
		for path, want := range map[string]int{"/a": 413, "/b": 401, "/c": 404} {
			for _, announced := range []bool{true, false} {
				var body io.Reader = &zeros{left: 11 << 20}
				if announced {
					body = strings.NewReader(strings.Repeat("a", 11<<20))
				}
				resp, err := s.client(http2).Post("https://"+s.address+path, "application/json", body)
				if err != nil {
					t.Errorf("http2 %v, %s, announced %v: %v", http2, path, announced, err)
					continue
				}
				_ = resp.Body.Close()
				if resp.StatusCode != want {
					t.Errorf("http2 %v, %s, announced %v: %d, want %d", http2, path, announced, resp.StatusCode, want)
				}
			}
		}
	}
}

func TestThroughTLS(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open GET /a/{id}")}, echo(), allowAll())
	s := serve(t, g, defaultLimits)
	for _, http2 := range []bool{false, true} {
		var e struct {
			Path           string
			RequestContext struct {
				Protocol, DomainName string
				Identity             struct{ SourceIP string }
			}
		}
		if err := json.Unmarshal([]byte(get(t, s.client(http2), "https://"+s.address+"/a/x%2Fy?q=1")), &e); err != nil {
			t.Fatal(err)
		}
		protocol := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		if e.Path != "/a/x%2Fy" || e.RequestContext.Protocol != protocol || e.RequestContext.DomainName != s.address || e.RequestContext.Identity.SourceIP != "127.0.0.1" {
			t.Errorf("http2 %v: %+v", http2, e)
		}
	}
}
