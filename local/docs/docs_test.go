package docs

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func ask(t *testing.T, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	for prefix, h := range Mounts([]byte("openapi: 3.1.0")) {
		mux.Handle(prefix, h)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestDocument(t *testing.T) {
	t.Parallel()
	w := ask(t, http.MethodGet, "/openapi.yaml")
	if w.Code != http.StatusOK || w.Body.String() != "openapi: 3.1.0" || w.Header().Get("Content-Type") != "application/yaml" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	if w := ask(t, http.MethodPost, "/openapi.yaml"); w.Code != http.StatusMethodNotAllowed || !strings.Contains(w.Body.String(), `"code":"method_not_allowed"`) {
		t.Errorf("POST: %d %s", w.Code, w.Body)
	}
}

// The page names the document, and all that it loads is here.
func TestPageIsWhole(t *testing.T) {
	t.Parallel()
	if w := ask(t, http.MethodGet, "/docs"); w.Code != http.StatusPermanentRedirect || w.Header().Get("Location") != "/docs/" {
		t.Errorf("/docs: %d %v", w.Code, w.Header())
	}
	w := ask(t, http.MethodGet, "/docs/")
	html := w.Body.String()
	if w.Code != http.StatusOK || !strings.Contains(html, "/openapi.yaml") || w.Header().Get("Content-Security-Policy") != policy {
		t.Fatalf("%d %v %.200s", w.Code, w.Header(), html)
	}
	loads := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(html, -1)
	if len(loads) < 3 {
		t.Fatalf("the page loads %v", loads)
	}
	for _, l := range loads {
		if !strings.HasPrefix(l[1], "/docs/") {
			t.Errorf("the page loads %s", l[1])
		}
		if w := ask(t, http.MethodGet, l[1]); w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d", l[1], w.Code)
		}
	}
}
