package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds of the servers: what a slow, silent or greedy client can hold.
const (
	handshakeTime  = 10 * time.Second // from the connection to its first request
	headerTime     = 10 * time.Second
	readTime       = 30 * time.Second // headers and body
	writeTime      = 70 * time.Second // from the headers to the answer's end: body, function, slow reader
	idleTime       = 75 * time.Second
	maxHeaderBlock = 24 << 10 // bytes; net/http allows 4 KB beyond. More than maxURL and maxHeaders together
	maxConnections = 4_096
	maxStreams     = 128 // requests at once on one HTTP/2 connection
)

// Server serves a handler; see NewServer and NewRedirect.
type Server struct {
	http   *http.Server
	tls    *tls.Config // nil: plain HTTP
	limits limits
}

// limits are the constants above; tests shorten them.
type limits struct {
	handshake, header, read, write, idle time.Duration
	connections                          int
}

var defaultLimits = limits{handshakeTime, headerTime, readTime, writeTime, idleTime, maxConnections}

// NewServer makes a server that speaks TLS (1.2 and later), with HTTP/2 and
// HTTP/1.1 in it. Of conf it wants certificates only.
func NewServer(h http.Handler, conf *tls.Config, log *slog.Logger) *Server {
	return newServer(h, conf, log, defaultLimits)
}

func newServer(h http.Handler, conf *tls.Config, log *slog.Logger, l limits) *Server {
	if conf != nil {
		conf = conf.Clone()
		conf.MinVersion = max(conf.MinVersion, tls.VersionTLS12)
		conf.NextProtos = []string{"h2", "http/1.1"} // tells net/http, too, to speak HTTP/2
		// Answers are small and wanted whole: one record, one write.
		conf.DynamicRecordSizingDisabled = true
	}
	return &Server{tls: conf, limits: l, http: &http.Server{
		Handler:           answering(h),
		TLSConfig:         conf,
		ConnContext:       rememberConn,
		ReadHeaderTimeout: l.header,
		ReadTimeout:       l.read,
		WriteTimeout:      l.write,
		IdleTimeout:       l.idle,
		MaxHeaderBytes:    maxHeaderBlock,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      l.read, // finds half-open connections
			PingTimeout:          l.header,
			WriteByteTimeout:     l.read,
		},
	}}
}

// Serve takes connections from ln until Shutdown, then returns nil at once;
// Shutdown waits for what is under way. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	l := newListener(ln, s.tls, s.limits)
	s.http.ConnState = l.observe
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops taking requests and waits until those under way are answered,
// or until ctx ends: then it closes their connections and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // what it closes is given up anyway
		return err
	}
	return nil
}
