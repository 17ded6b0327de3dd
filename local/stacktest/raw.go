package stacktest

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Raw sends bytes over a TLS connection of their own, as no well-behaved client
// would, and reads one answer.
func (c *Client) Raw(t testing.TB, request string) Response {
	t.Helper()
	conf := c.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.ServerName = "127.0.0.1"
	dialer := tls.Dialer{Config: conf}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(c.Base, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // the answer has been read or the test has failed
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Logf("write: %v (the server may answer before it has read all)", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer to %q: %v", shorten(request), err)
	}
	defer func() { _ = resp.Body.Close() }() // what it held has been read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		t.Fatalf("answer to %q: %v", shorten(request), err)
	}
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: body}
}
