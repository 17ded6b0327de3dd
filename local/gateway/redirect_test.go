package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

func redirectServer(t *testing.T, https string) func(request string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewRedirect(https, slog.New(slog.DiscardHandler))
	go func() { _ = s.Serve(ln) }() // ends with Shutdown
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return func(request string) string {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, request)
		answer, _ := io.ReadAll(c)
		return string(answer)
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ https, request, want string }{
		{"127.0.0.1:8443", "GET /a%2Fb/?q=%20x&y HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", "https://127.0.0.1:8443/a%2Fb/?q=%20x&y"},
		{"127.0.0.1:8443", "POST /a HTTP/1.1\r\nHost: bloom.example\r\nContent-Length: 3\r\n\r\nabc", "https://bloom.example:8443/a"},
		{"0.0.0.0:443", "GET / HTTP/1.1\r\nHost: bloom.example:80\r\n\r\n", "https://bloom.example/"},
		{"[::1]:8443", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "https://[::1]:8443/"},
		{"[::1]:443", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "https://[::1]/"},
		{"bloom.example:8443", "GET /x HTTP/1.0\r\n\r\n", "https://bloom.example:8443/x"},
		{"127.0.0.1:8443", "GET //evil.example/ HTTP/1.1\r\nHost: a\r\n\r\n", "https://a:8443//evil.example/"},
		{"127.0.0.1:8443", "GET http://a/x HTTP/1.1\r\nHost: b\r\n\r\n", "https://a:8443/x"},
	} {
		answer := redirectServer(t, c.https)(c.request)
		if !strings.HasPrefix(answer, "HTTP/1.") || !strings.Contains(answer, " 308 Permanent Redirect\r\n") ||
			!strings.Contains(answer, "\r\nLocation: "+c.want+"\r\n") || strings.Contains(answer, "Strict-Transport") {
			t.Errorf("%q: got %q, want %s", c.request, answer, c.want)
		}
	}
}

func TestRedirectRefuses(t *testing.T) {
	t.Parallel()
	ask := redirectServer(t, "127.0.0.1:8443")
	for _, c := range []struct {
		request string
		status  int
		code    string
	}{
		{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400, "invalid"},
		{"GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n", 400, "invalid"},
		{"GET /" + strings.Repeat("x", maxURL) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414, "too_large"},
		{"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid"},
		{"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 404, "not_found"},
	} {
		wantRaw(t, ask(c.request), c.status, c.code)
	}
}
