package gateway

import (
	"bytes"
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"
)

// plainConn is a TLS connection that speaks HTTP/1.1. net/http answers a
// request that it cannot parse (a broken escape in the path, a NUL in a header,
// headers without end) by itself, in plain text, before any handler sees it;
// plainConn turns those answers into the API's error shape.
type plainConn struct{ *tls.Conn }

// serverError is what stands between the status line and the text of such an
// answer (errorHeaders in net/http/server.go). No handler's answer looks like
// it: those always have a Date.
const serverError = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// Write passes p on, or what stands for it.
func (c *plainConn) Write(p []byte) (int, error) {
	line, _, ok := bytes.Cut(p[:min(len(p), 256)], []byte(serverError))
	if !ok || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || bytes.IndexByte(line, '\n') >= 0 || len(line) < 12 {
		return c.Conn.Write(p)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return c.Conn.Write(p)
	}
	sentence := "The request is not valid HTTP"
	if status == http.StatusRequestHeaderFieldsTooLarge {
		sentence = errHeaderTooLarge.sentence
	} else if status >= 500 { // an unknown transfer encoding or version: what the client sent is wrong
		status = http.StatusBadRequest
	}
	head := "HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n"
	if _, err := c.Conn.Write([]byte(head + protocolError(status, sentence))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// protocolError is the rest of an answer to what is no request: headers, body.
func protocolError(status int, sentence string) string {
	id := newRequestID()
	f := refusal{status: status, code: "invalid", sentence: sentence}
	if status == http.StatusRequestHeaderFieldsTooLarge {
		f.code = errHeaderTooLarge.code
	}
	body := f.appendBody(nil, id)
	var b strings.Builder
	b.WriteString("Content-Type: application/json\r\nConnection: close\r\nX-Request-Id: " + id)
	b.WriteString("\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nContent-Length: ")
	b.WriteString(strconv.Itoa(len(body)) + "\r\n\r\n")
	b.Write(body)
	return b.String()
}
