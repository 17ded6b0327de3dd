// Package docs serves the API's description, and a page to read it and try it.
package docs

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/swaggest/swgui/v5emb"
)

const (
	page        = "/docs"
	description = "/openapi.yaml"
)

// policy lets the page load nothing from elsewhere. Swagger UI writes its start
// and its styles into the page.
const policy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

// Mounts are the handlers of an OpenAPI document in YAML, by the beginnings of
// their paths: /openapi.yaml is the document, /docs/ Swagger UI. Both are open to
// everybody: they say what the source says.
func Mounts(openapi []byte) map[string]http.Handler {
	return map[string]http.Handler{
		description: readOnly(description, document(openapi)),
		page + "/":  readOnly("", pages()),
		page:        readOnly(page, http.RedirectHandler(page+"/", http.StatusPermanentRedirect)),
	}
}

func document(openapi []byte) http.Handler {
	started := time.Now()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// https://www.rfc-editor.org/rfc/rfc9512
		w.Header().Set("Content-Type", "application/yaml")
		http.ServeContent(w, r, "", started, bytes.NewReader(openapi))
	})
}

func pages() http.Handler {
	ui := v5emb.New("BLOOM Runtime", description, page+"/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		ui.ServeHTTP(w, r)
	})
}

// readOnly takes GET and HEAD of one path, or of any where it is "".
func readOnly(path string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case path != "" && r.URL.Path != path:
			refuse(w, http.StatusNotFound, "not_found", "There is nothing at this path")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", "This can only be read: use GET or HEAD")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// refuse answers in the error shape of the API.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q,"code":%q}`, message, code) // the client may have gone
}
