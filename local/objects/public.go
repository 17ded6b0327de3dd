package objects

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Public answers presigned links: GET and HEAD of `/<bucket>/<key>?…X-Amz-Signature=…`. Anything else is refused before it
// reaches the server. The signature covers the Host header, which must arrive as the client sent it; the server checks it.
func (s *Server) Public() http.Handler {
	c := &client{s.handler}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "Only GET and HEAD are allowed here", "method_not_allowed")
			return
		}
		if r.URL.Query().Get("X-Amz-Signature") == "" {
			refuse(w, http.StatusForbidden, "This link carries no signature: ask the API for a download link", "forbidden")
			return
		}
		res, err := c.Do(strip(r))
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, "The object store does not answer", "unavailable")
			return
		}
		defer func() { _ = res.Body.Close() }()
		copyHeader(w.Header(), res.Header)
		w.WriteHeader(res.StatusCode)
		// The status has gone out: a failure now can only cut the answer short, which its length shows.
		_, _ = io.Copy(w, res.Body)
	})
}

// strip returns the request with the headers that mean something to S3 or its signature, and no body.
func strip(r *http.Request) *http.Request {
	out := r.Clone(r.Context())
	out.Body = http.NoBody
	out.ContentLength = 0
	for name := range out.Header {
		switch name {
		case "Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since":
		default:
			if !strings.HasPrefix(name, "X-Amz-") {
				delete(out.Header, name)
			}
		}
	}
	return out
}

func copyHeader(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Connection", "Server", "Date", "Transfer-Encoding":
		default:
			to[name] = values
		}
	}
	to.Set("X-Content-Type-Options", "nosniff")
}

func refuse(w http.ResponseWriter, status int, sentence, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": sentence, "code": code, "request_id": w.Header().Get("X-Request-Id")})
}
