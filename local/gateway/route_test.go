package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/local/template"
)

var tableRoutes = []string{
	"GET /", "GET /tasks", "POST /tasks", "GET /tasks/{id}", "GET /tasks/stats", "POST /tasks/{id}/lease",
	"DELETE /tasks/{id}", "GET /files/{path+}", "GET /files/{name}/meta", "ANY /any/{x}", "POST /any/{x}",
}

func tree(t testing.TB, routes ...string) *routeNode {
	t.Helper()
	n := &routeNode{}
	for _, r := range routes {
		method, path, _ := strings.Cut(r, " ")
		if err := n.add(&route{Route: template.Route{Method: method, Path: path}}); err != nil {
			t.Fatalf("%s: %v", r, err)
		}
	}
	return n
}

func TestRouting(t *testing.T) {
	t.Parallel()
	root := tree(t, tableRoutes...)
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/", "GET /"},
		{"GET", "/tasks", "GET /tasks"},
		{"GET", "/tasks/", "GET /tasks"},
		{"GET", "/tasks//", "404"},
		{"GET", "//tasks", "404"},
		{"GET", "/%74asks", "GET /tasks"},
		{"GET", "/tasks%2F1", "404"},
		{"GET", "/tasks/1", "GET /tasks/{id} id=1"},
		{"GET", "/tasks/1/", "GET /tasks/{id} id=1"},
		{"GET", "/tasks/stats", "GET /tasks/stats"},
		{"GET", "/tasks/Stats", "GET /tasks/{id} id=Stats"},
		{"DELETE", "/tasks/stats", "405 GET"},
		{"POST", "/tasks/stats/lease", "POST /tasks/{id}/lease id=stats"},
		{"PUT", "/tasks", "405 GET, POST"},
		{"HEAD", "/tasks", "405 GET, POST"},
		{"GET", "/tasks/1/lease", "405 POST"},
		{"GET", "/tasks/a%2Fb", "GET /tasks/{id} id=a%2Fb"},
		{"GET", "/tasks/%00", "GET /tasks/{id} id=%00"},
		{"GET", "/tasks/..", "404"},
		{"GET", "/tasks/%2e%2E", "404"},
		{"GET", "/tasks/.%2e", "404"},
		{"GET", "/tasks/.", "404"},
		{"GET", "/tasks/...", "GET /tasks/{id} id=..."},
		{"GET", "/tasks/{id}", "GET /tasks/{id} id={id}"},
		{"GET", "/files/a/b/c", "GET /files/{path+} path=a/b/c"},
		{"GET", "/files/a/../c", "404"},
		{"GET", "/files/a//c", "404"},
		{"GET", "/files", "404"},
		{"GET", "/files/a/meta", "GET /files/{name}/meta name=a"},
		{"GET", "/files/a/b/meta", "GET /files/{path+} path=a/b/meta"},
		{"PATCH", "/any/1", "ANY /any/{x} x=1"},
		{"POST", "/any/1", "POST /any/{x} x=1"},
		{"GET", "", "404"},
		{"GET", "*", "404"},
	} {
		if got := describe(root, c.method, c.path); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

func describe(root *routeNode, method, path string) string {
	var params []param
	m := root.find(path, &params)
	if m == nil {
		return "404"
	}
	r := m.route(method)
	if r == nil {
		return "405 " + m.allow()
	}
	out := r.Method + " " + r.Path
	for _, p := range params {
		out += " " + p.name + "=" + p.value
	}
	return out
}

func TestRoutesThatClash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ a, b, want string }{
		{"/a/{b}", "/a/{b}", "there twice"},
		{"/a/{b}/c", "/a/{d}", "{d} and {b} stand in the same place"},
	} {
		n := &routeNode{}
		err := n.add(&route{Route: template.Route{Method: "GET", Path: c.a}})
		if err == nil {
			err = n.add(&route{Route: template.Route{Method: "GET", Path: c.b}})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: got %v, want %q", c.a, c.b, err, c.want)
		}
	}
}

func TestUnknownRouteAndWrongMethod(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("GET /tasks", "POST /tasks")}, echo(), allowAll())
	wantError(t, send(g, "GET", "/nowhere", nil), 404, "not_found") // before anybody is asked for a key
	w := send(g, "DELETE", "/tasks", nil)
	wantError(t, w, 405, "method_not_allowed")
	if got := w.Header().Get("Allow"); got != "GET, POST" {
		t.Errorf("Allow is %q", got)
	}
}

// TestOddSegments sends what no client should: one 4xx in the error shape, or
// the function, which is told what was sent.
func TestOddSegments(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("GET /tasks/{id}", "POST /tasks/{id}/lease"), AuthOff: true}, echo(), allowAll())
	for _, s := range []string{
		"..", ".", "%2e%2e", "", "%2F", "a%2Fb", "%00", "a%0Ab", "%ff", "%ed%a0%80", "%25", "%2500", "*", ";", "'--", "{id}", "\xff", "ї",
		strings.Repeat("x", 3000), strings.Repeat("x", maxURL),
	} {
		for _, c := range []struct{ method, path string }{{"GET", "/tasks/" + s}, {"POST", "/tasks/" + s + "/lease"}} {
			u, err := url.ParseRequestURI(c.path)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(c.method, "/", nil)
			r.URL, r.RequestURI = u, c.path
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			if w.Code == 200 {
				e := eventOf(t, w)
				if got, err := url.PathUnescape(e.PathParameters["id"]); err != nil || got != unescaped(s) {
					t.Errorf("%q: the function got %q (%v)", s, got, err)
				}
				continue
			}
			if w.Code < 400 || w.Code > 499 {
				t.Errorf("%s %q: %d %s", c.method, s, w.Code, w.Body)
			}
		}
	}
}

// FuzzRouting holds what every path must: no panic, parameters whose values are
// segments of the path, no dot segments, and the same answer for a path that is
// escaped once more and unescaped by the client.
func FuzzRouting(f *testing.F) {
	for _, s := range []string{"/", "/tasks/1", "/files/a/b/c", "/tasks/%2e%2e", "/tasks//x", "/%74asks/%zz", "/files/a/meta/"} {
		f.Add(s)
	}
	root := tree(f, tableRoutes...)
	f.Fuzz(func(t *testing.T, path string) {
		var params []param
		m := root.find(path, &params)
		if m == nil {
			return
		}
		if !strings.HasPrefix(path, "/") {
			t.Fatalf("%q was found", path)
		}
		for _, p := range params {
			if p.value == "" || !strings.Contains(path, p.value) {
				t.Fatalf("%q: parameter %s is %q", path, p.name, p.value)
			}
			for segment := range strings.SplitSeq(p.value, "/") {
				if s := unescaped(segment); s == "" || s == "." || s == ".." {
					t.Fatalf("%q: parameter %s is %q", path, p.name, p.value)
				}
			}
		}
	})
}

func TestMounts(t *testing.T) {
	t.Parallel()
	say := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=5")
			w.WriteHeader(206)
			_, _ = fmt.Fprintf(w, "%s %s", s, r.URL.Path)
		})
	}
	var log strings.Builder
	access := NewAccessLog(&log)
	g := with(t, Options{Stack: testStack("GET /bucket/{x}"), Access: access,
		Mounts: map[string]http.Handler{"/bucket/": say("a"), "/bucket/deep/": say("b")}}, echo(), allowAll())
	for path, want := range map[string]string{"/bucket/1": "a /bucket/1", "/bucket/deep/2?X-Amz-Signature=secret": "b /bucket/deep/2"} {
		w := send(g, "GET", path, nil)
		if w.Code != 206 || w.Body.String() != want || w.Header().Get("Cache-Control") != "max-age=5" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %s %v", path, w.Code, w.Body, w.Header())
		}
	}
	_ = access.Close()
	if s := log.String(); strings.Contains(s, "secret") || !strings.Contains(s, `"resource":"/bucket/deep/","status":206,`) {
		t.Errorf("access log: %s", s)
	}
}

func TestOptionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	two := testStack("GET /a")
	two.API.UsagePlans = make([]template.Plan, 2)
	for name, o := range map[string]Options{
		"no API":           {Stack: &template.Stack{}},
		"no handler":       {Stack: testStack("GET /a")},
		"two plans":        {Stack: two},
		"a mount in sight": {Stack: testStack(), Mounts: map[string]http.Handler{"bucket": nil}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestTheRealTemplate makes a gateway of the project's own.
func TestTheRealTemplate(t *testing.T) {
	t.Parallel()
	stack, err := template.Load("../../template.yaml", template.Options{})
	if err != nil {
		t.Fatal(err)
	}
	functions := map[string]lambda.Handler{}
	for _, f := range stack.Functions {
		functions[f.Name] = echo()
	}
	functions["authorize"] = allowAll()
	g, err := New(Options{Stack: stack, Functions: functions})
	if err != nil {
		t.Fatal(err)
	}
	if e := eventOf(t, send(g, "POST", "/api/runtime/llm-tasks/7/lease", nil, "X-Runtime-API-Key: good")); e.Resource != "/api/runtime/llm-tasks/{id}/lease" {
		t.Errorf("resource %s", e.Resource)
	}
	wantError(t, send(g, "POST", "/api/runtime/llm-tasks/7/lease", nil), 401, "unauthorized")
	if n := passed(t, g, 40, "POST", "/api/runtime/test-connection"); n != 20 {
		t.Errorf("%d connection tests passed, want 20", n)
	}
}
