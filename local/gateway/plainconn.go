package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// plainConn is a connection that speaks HTTP/1.1. net/http answers a request
// that it cannot parse (a broken escape in the path, a NUL in a header, headers
// without end) by itself, in plain text, before any handler sees it; plainConn
// turns those answers into the API's error shape.
type plainConn struct {
	net.Conn
	answering atomic.Bool // a handler is at work: what is written is its answer
}

// secureConn is a plainConn within TLS. net/http asks it for its state.
type secureConn struct {
	plainConn
	tls *tls.Conn
}

// ConnectionState is what Request.TLS is made from.
func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// CloseWrite lets a client read the answer before the connection goes.
func (c *plainConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// serverError is what stands between the status line and the text of an answer
// of net/http's own (errorHeaders in net/http/server.go).
const serverError = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// Write passes p on, or what stands for it.
func (c *plainConn) Write(p []byte) (int, error) {
	if c.answering.Load() {
		return c.Conn.Write(p)
	}
	line, _, ok := bytes.Cut(p[:min(len(p), 256)], []byte(serverError))
	if !ok || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || len(line) < 12 {
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

type connKey struct{}

// plainOf is the HTTP/1.1 connection behind c; nil for HTTP/2.
func plainOf(c net.Conn) *plainConn {
	switch c := c.(type) {
	case *plainConn:
		return c
	case *secureConn:
		return &c.plainConn
	}
	return nil
}

// rememberConn is the server's ConnContext hook.
func rememberConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, plainOf(c))
}

// answering tells the connection that what follows is h's. The listener takes
// it back when the connection goes idle, after the answer's last byte.
func answering(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _ := r.Context().Value(connKey{}).(*plainConn); c != nil {
			c.answering.Store(true)
		}
		h.ServeHTTP(w, r)
	})
}
