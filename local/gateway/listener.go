package gateway

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// listener takes connections, bounded in number, and does their TLS handshakes
// itself, each with a deadline, so that net/http gets only clients that speak
// TLS. It hands HTTP/1.1 connections over as *plainConn or *secureConn, which
// give net/http's own error answers the project's shape.
//
// When all connections are in use, the one that has been idle for longest is
// closed for the next client; while none is idle, clients wait in the kernel's
// queue.
type listener struct {
	net.Listener
	conf   *tls.Config // nil: plain HTTP
	limits limits
	slots  chan struct{}
	ready  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	idle *list.List // of net.Conn, longest idle first
	at   map[net.Conn]*list.Element
}

func newListener(ln net.Listener, conf *tls.Config, l limits) *listener {
	out := &listener{
		Listener: ln, conf: conf, limits: l, slots: make(chan struct{}, l.connections),
		ready: make(chan net.Conn), closed: make(chan struct{}), idle: list.New(), at: map[net.Conn]*list.Element{},
	}
	go out.run()
	return out
}

// Accept returns the next connection that has done its handshake.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close stops taking connections; handshakes under way are given up.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

func (l *listener) run() {
	pause := 5 * time.Millisecond
	for l.acquire() {
		c, err := l.Listener.Accept()
		if err == nil {
			pause = 5 * time.Millisecond
			go l.admit(&countedConn{Conn: c, slots: l.slots})
			continue
		}
		<-l.slots
		if errors.Is(err, net.ErrClosed) {
			_ = l.Close() // somebody else has closed it
			return
		}
		// Out of file descriptors, most likely: it passes when clients leave.
		if !l.closeIdle() && !l.sleep(pause) {
			return
		}
		pause = min(2*pause, time.Second)
	}
}

// sleep waits; false when the listener is closed meanwhile.
func (l *listener) sleep(d time.Duration) bool {
	select {
	case <-l.closed:
		return false
	case <-time.After(d):
		return true
	}
}

// acquire takes a slot for one connection, or makes one.
func (l *listener) acquire() bool {
	for {
		select {
		case l.slots <- struct{}{}:
			return true
		case <-l.closed:
			return false
		default:
		}
		if l.closeIdle() {
			continue
		}
		select {
		case l.slots <- struct{}{}:
			return true
		case <-l.closed:
			return false
		case <-time.After(50 * time.Millisecond): // look again whether one has gone idle
		}
	}
}

// closeIdle closes the connection that has been idle for longest.
func (l *listener) closeIdle() bool {
	l.mu.Lock()
	e := l.idle.Front()
	if e == nil {
		l.mu.Unlock()
		return false
	}
	c := e.Value.(net.Conn)
	l.idle.Remove(e)
	delete(l.at, c)
	l.mu.Unlock()
	_ = c.Close() // the client finds out
	return true
}

// observe is the server's ConnState hook.
func (l *listener) observe(c net.Conn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.at[c]; ok {
		l.idle.Remove(e)
		delete(l.at, c)
	}
	if state == http.StateIdle {
		if p := plainOf(c); p != nil {
			p.answering.Store(false)
		}
		l.at[c] = l.idle.PushBack(c)
	}
}

// admit hands a new connection to Accept, after its handshake.
func (l *listener) admit(raw net.Conn) {
	out := net.Conn(&plainConn{Conn: raw})
	if l.conf != nil {
		c := l.handshake(raw)
		if c == nil {
			_ = raw.Close()
			return
		}
		out = c
		if c.ConnectionState().NegotiatedProtocol != "h2" {
			out = &secureConn{plainConn: plainConn{Conn: c}, tls: c}
		}
	}
	select {
	case l.ready <- out:
	case <-l.closed:
		_ = raw.Close()
	}
}

// handshake makes a TLS connection of a raw one; nil when it fails.
func (l *listener) handshake(raw net.Conn) *tls.Conn {
	c := tls.Server(raw, l.conf)
	_ = raw.SetDeadline(time.Now().Add(l.limits.handshake)) // if it fails, so does the handshake
	ctx, cancel := context.WithTimeout(context.Background(), l.limits.handshake)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		answerPlainHTTP(err)
		return nil
	}
	_ = raw.SetDeadline(time.Time{})
	return c
}

// answerPlainHTTP tells a client that speaks HTTP to the TLS port what is wrong.
func answerPlainHTTP(err error) {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil {
		return
	}
	switch string(record.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		_, _ = io.WriteString(record.Conn, "HTTP/1.1 400 Bad Request\r\n"+protocolError(400, "This port speaks HTTPS only"))
	}
}

// countedConn gives its slot back when it is closed.
type countedConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}

// CloseWrite is TCP's.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
