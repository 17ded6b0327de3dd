package membridge

import (
	_ "embed" // the page
	"net/http"
)

// page is the path of the page that shows it all in a browser.
const page = "/static/ui.html"

//go:embed ui.html
var ui []byte

// redirect is a body that sends the browser elsewhere.
type redirect string

// html is a body that is a page.
type html []byte

func (h html) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// The page runs its own script and calls its own server; it is shown within no other.
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(h) // the client may have gone
}

func (s *Server) ui(request) (answer, error) {
	return answer{http.StatusTemporaryRedirect, redirect(page)}, nil
}

func (s *Server) page(request) (answer, error) { return answer{http.StatusOK, html(ui)}, nil }
