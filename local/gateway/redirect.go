package gateway

import (
	"log/slog"
	"net"
	"net/http"
	"time"
)

// redirectLimits are for clients that have one short thing to say.
var redirectLimits = limits{
	header: 5 * time.Second, read: 5 * time.Second, write: 5 * time.Second, idle: 5 * time.Second, connections: 256,
}

// NewRedirect makes the server for plain HTTP. It answers every request with
// 308 to the same path and query at the https address, whose host is the one
// the client asked for (that of address when the client named none) and whose
// port is that of address. It reads no body and serves one request a
// connection.
func NewRedirect(address string, log *slog.Logger) *Server {
	s := newServer(redirect(address), nil, log, redirectLimits)
	s.http.SetKeepAlivesEnabled(false)
	return s
}

func redirect(address string) http.HandlerFunc {
	configured, port, err := net.SplitHostPort(address)
	if err != nil {
		configured, port = address, ""
	}
	return func(w http.ResponseWriter, r *http.Request) {
		f := (*refusal)(nil)
		switch {
		case len(r.RequestURI) > maxURL:
			f = errURITooLong
		case r.URL.Path == "" || r.URL.Path[0] != '/':
			f = errNoRoute
		case r.Host != "" && !validHost(r.Host):
			f = errBadHost
		}
		secure(w.Header())
		w.Header().Del("Strict-Transport-Security") // it means nothing over HTTP, says RFC 6797
		if f != nil {
			id := newRequestID()
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Request-Id", id)
			w.WriteHeader(f.status)
			_, _ = w.Write(f.appendBody(nil, id)) // a client that has gone is its own affair
			return
		}
		w.Header().Set("Location", "https://"+httpsHost(r.Host, configured, port)+location(r))
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}

// location is the path and query as the client sent them.
func location(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return r.URL.EscapedPath()
	}
	return r.URL.EscapedPath() + "?" + r.URL.RawQuery
}

func httpsHost(asked, configured, port string) string {
	host := asked
	if h, _, err := net.SplitHostPort(asked); err == nil {
		host = h
	}
	if host == "" {
		host = configured
	}
	if len(host) > 1 && host[0] == '[' { // "[::1]" without a port
		host = host[1 : len(host)-1]
	}
	if port != "" && port != "443" {
		return net.JoinHostPort(host, port)
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "[" + host + "]"
	}
	return host
}
