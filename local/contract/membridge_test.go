package contract

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb"
	"github.com/bloom-runtime/bloom/local/stacktest"
)

const planeRoutes = "/api/membridge"

// builtIn starts a stack with its own Membridge and returns a client of each.
func builtIn(t *testing.T, opts stacktest.Options) (s *stacktest.Stack, c, m *stacktest.Client) {
	t.Helper()
	opts.Args = append(opts.Args, "-membridge", "127.0.0.1:0")
	s = stacktest.Start(t, opts)
	at := regexp.MustCompile(`Membridge (http://127\.0\.0\.1:\d+)`).FindStringSubmatch(s.Log())
	if at == nil {
		t.Fatalf("the ready line does not say where Membridge is: %s", s.Log())
	}
	return s, s.Client(), &stacktest.Client{Base: at[1], HTTP: &http.Client{Timeout: 20 * time.Second}}
}

// plane sends a request to Membridge with its admin key.
func plane(t *testing.T, s *stacktest.Stack, m *stacktest.Client, method, path string, body any) stacktest.Response {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(s.Data, "membridge.key"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, m.Base+path, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-MEMBRIDGE-ADMIN", strings.TrimSpace(string(key)))
	resp, err := m.Send(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestReadmeMembridge runs README's lines as they stand there, with the addresses and the folder of this stack.
func TestReadmeMembridge(t *testing.T) {
	t.Parallel()
	root, err := stacktest.Root()
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	alias := regexp.MustCompile(`(?m)^alias bloom=.*$`).FindString(string(readme))
	lines := regexp.MustCompile("(?s)\n## Membridge\n.*?```sh\n(.*?)```").FindStringSubmatch(string(readme))
	if alias == "" || lines == nil {
		t.Fatal("README has no lines about Membridge")
	}
	s, c, m := builtIn(t, stacktest.Options{})
	script := strings.NewReplacer("https://127.0.0.1:8443", s.URL, "http://127.0.0.1:8000", m.Base).Replace(lines[1])
	dir := t.TempDir()
	if err := os.Symlink(s.Data, filepath.Join(dir, ".bloom")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -euo pipefail; shopt -s expand_aliases\n"+alias+"\n"+script)
	cmd.Dir = dir
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w := getWorker(t, c, "worker-01")
	if w.Status != "online" || w.Capabilities.MaxConcurrency != 1 || w.RegisteredAt > began.Add(12*time.Second).UnixMilli() {
		t.Errorf("%+v, registered %d ms after the start", w, w.RegisteredAt-began.UnixMilli())
	}
	if !strings.Contains(string(out), `"status":"completed"`) || !strings.Contains(string(out), `"worker_id":"worker-01"`) {
		t.Errorf("README's lines printed:\n%s", out)
	}
}

// TestMembridgeRoutes: the routes under /api/membridge against the built-in Membridge; a promotion is audited; the worker's own
// registration keeps its capacity; what Membridge no longer lists stays as long as it is heard from.
func TestMembridgeRoutes(t *testing.T) {
	t.Parallel()
	s, c, m := builtIn(t, stacktest.Options{})
	stacktest.Want[stacktest.Worker](t, c, http.StatusCreated, "POST", workers, object{"name": "both", "capabilities": object{"max_concurrency": 4}})
	for _, name := range []string{"both", "there", "bad/name"} {
		if resp := plane(t, s, m, "POST", "/agents", object{"name": name, "url": ""}); resp.Status != http.StatusCreated {
			t.Fatalf("%s: %s", name, resp)
		}
	}
	for _, node := range []string{"n1", "n2"} {
		if resp := plane(t, s, m, "POST", "/agent/heartbeat", object{"node_id": node, "canonical_id": "c1", "project_id": "garden"}); resp.Status != http.StatusOK {
			t.Fatalf("%s: %s", node, resp)
		}
	}
	wantShape(t, ask(t, c, "GET", planeRoutes+"/health", nil), http.StatusOK, obj(shape{"status": is("ok"), "service": is("membridge-control-plane"),
		"version": text, "projects": is(0), "agents": is(3)}))
	projects := stacktest.Want[[]object](t, c, http.StatusOK, "GET", planeRoutes+"/projects", nil)
	if len(projects) != 1 || projects[0]["name"] != "garden" || projects[0]["canonical_id"] != "c1" || projects[0]["source"] != "heartbeat" {
		t.Errorf("projects %v", projects)
	}
	if nodes := stacktest.Want[[]object](t, c, http.StatusOK, "GET", planeRoutes+"/projects/c1/nodes", nil); len(nodes) != 2 || nodes[0]["role"] != "unknown" {
		t.Errorf("nodes %v", nodes)
	}
	if nodes := stacktest.Want[[]object](t, c, http.StatusOK, "GET", planeRoutes+"/projects/nobody/nodes", nil); len(nodes) != 0 {
		t.Errorf("an unknown project: %v", nodes)
	}
	promote := planeRoutes + "/projects/c1/leadership/select"
	f := wantFailure(t, ask(t, c, "POST", promote, object{"primary_node_id": "ghost"}), http.StatusNotFound, "membridge_refused")
	if !strings.Contains(f.Error, "Node 'ghost' not found") {
		t.Errorf("the sentence is Membridge's own: %q", f.Error)
	}
	got := stacktest.Want[object](t, c, http.StatusOK, "POST", promote, object{"primary_node_id": "n2", "lease_seconds": 60})
	if got["ok"] != true || got["epoch"] != 1.0 || got["lease_seconds"] != 60.0 {
		t.Errorf("promoted: %v", got)
	}
	l := stacktest.Want[object](t, c, http.StatusOK, "GET", planeRoutes+"/projects/c1/leadership", nil)
	if l["preferred_primary"] != "n2" || l["primary_node_id"] != "n2" || l["needs_ui_selection"] != false || l["epoch"] != 1.0 {
		t.Errorf("leadership %v", l)
	}
	stacktest.Eventually(t, auditWithin, func() error {
		all, err := stacktest.All[stacktest.Audit](t.Context(), c, "/api/runtime/audit?limit=200")
		n := 0
		for _, e := range all {
			if e.Action == "leadership_promote" && e.EntityType == "membridge_project" && e.EntityID == "c1" && strings.Contains(e.Detail, "n2") {
				n++
			}
		}
		if err == nil && n != 1 {
			err = fmt.Errorf("%d promotions in the audit log, want the one that was made", n)
		}
		return err
	})
	stacktest.Eventually(t, 15*time.Second, func() error {
		if resp := ask(t, c, "GET", workers+"/there", nil); resp.Status != http.StatusOK {
			return fmt.Errorf("not synced: %s", resp)
		}
		return nil
	})
	if w := getWorker(t, c, "both"); w.Status != "online" || w.Capabilities.MaxConcurrency != 4 {
		t.Errorf("its own registration: %+v", w)
	}
	if w := getWorker(t, c, "there"); w.Status != "unknown" {
		t.Errorf("as Membridge says: %+v", w)
	}
	if !strings.Contains(s.Log(), `bad/name`) {
		t.Error("the log does not name the agent that can't be a worker")
	}
	stacktest.Invariants(t, c)
}

// TestMembridgeSurvives: what the built-in Membridge knows survives kill -9, and so does the link.
func TestMembridgeSurvives(t *testing.T) {
	t.Parallel()
	s, _, m := builtIn(t, stacktest.Options{Env: []string{"MEMBRIDGE_ADMIN_KEY=a-key-of-the-environment"}})
	for _, call := range []struct {
		path string
		body object
	}{
		{"/agents", object{"name": "a", "status": "online", "capabilities": object{"max_concurrency": 3}}},
		{"/projects", object{"name": "p"}},
		{"/agent/heartbeat", object{"node_id": "n", "canonical_id": "c"}},
		{"/projects/c/leadership/select", object{"primary_node_id": "n"}},
	} {
		if resp := plane(t, s, m, "POST", call.path, call.body); resp.Status > 201 {
			t.Fatalf("%s: %s", call.path, resp)
		}
	}
	read := func(m *stacktest.Client) (all string) {
		for _, path := range []string{"/agents", "/projects", "/projects/c/nodes", "/projects/c/leadership"} {
			all += string(plane(t, s, m, "GET", path, nil).Body) + "\n"
		}
		return all
	}
	before := read(m)
	s.Kill9(t)
	s.Restart(t)
	c := s.Client()
	config := stacktest.Want[object](t, c, http.StatusOK, "GET", "/api/runtime/config", nil)
	again := &stacktest.Client{Base: config["membridge_server_url"].(string), HTTP: m.HTTP}
	if after := read(again); after != before {
		t.Errorf("before\n%safter\n%s", before, after)
	}
	if config["admin_key_masked"] != "a-ke****ment" {
		t.Errorf("config %v", config)
	}
	stacktest.Eventually(t, 30*time.Second, func() error {
		if resp := ask(t, c, "GET", workers+"/a", nil); resp.Status != http.StatusOK {
			return fmt.Errorf("not synced: %s", resp)
		}
		return nil
	})
}

// TestProxyAnswers: what the routes answer for what Membridge answers.
func TestProxyAnswers(t *testing.T) {
	t.Parallel()
	c := stacktest.Start(t, stacktest.Options{}).Client()
	wantFailure(t, ask(t, c, "GET", planeRoutes+"/health", nil), http.StatusBadGateway, "membridge_unreachable")
	wantFailure(t, ask(t, c, "POST", planeRoutes+"/projects/c/leadership/select", object{"primary_node_id": "n"}), http.StatusBadGateway, "membridge_unreachable")

	var status atomic.Int32
	var body, path atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/agents") { // not the sync's
			path.Store(r.URL.EscapedPath())
		}
		if status.Load() == http.StatusFound {
			w.Header().Set("Location", "http://127.0.0.1:1/")
		}
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write([]byte(body.Load().(string)))
	}))
	t.Cleanup(srv.Close)
	status.Store(200)
	body.Store("[]")
	setConfig(t, c, srv.URL+"/base", "0123456789")
	const nodes = planeRoutes + "/projects/f64551fcd6f07823/nodes"
	for _, tt := range []struct {
		status, want int
		body, code   string
	}{
		{200, 200, `[{"any":"thing","n":1.50}]`, ""}, {201, 200, `{"a":[]}`, ""},
		{400, 400, `{"detail":"no"}`, "membridge_refused"}, {401, 401, `{"detail":"Unauthorized"}`, "membridge_refused"}, {403, 403, ``, "membridge_refused"},
		{404, 404, `{"detail":"Not Found"}`, "membridge_refused"}, {409, 409, `{"detail":"twice"}`, "membridge_refused"},
		{422, 422, `{"detail":[{"loc":["body","name"],"msg":"Field required","type":"missing","input":{}}]}`, "membridge_refused"},
		{429, 429, `slow down`, "membridge_refused"}, {499, 499, `<html>`, "membridge_refused"},
		{500, 502, `Internal Server Error`, "membridge_unreachable"}, {503, 502, `{"detail":"away"}`, "membridge_unreachable"}, {302, 502, ``, "membridge_unreachable"},
		{200, 502, `<html>`, "membridge_unreachable"}, {200, 502, ``, "membridge_unreachable"}, {204, 502, ``, "membridge_unreachable"},
		{200, 502, `"` + strings.Repeat("x", 3<<20) + `"`, "membridge_unreachable"},
	} {
		status.Store(int32(tt.status))
		body.Store(tt.body)
		resp := ask(t, c, "GET", nodes, nil)
		if tt.code != "" {
			wantFailure(t, resp, tt.want, tt.code)
			continue
		}
		if resp.Status != tt.want || strings.TrimSpace(string(resp.Body)) != tt.body || path.Load() != "/base/projects/f64551fcd6f07823/nodes" {
			t.Errorf("%d %s: %s at %v", tt.status, tt.body, resp, path.Load())
		}
	}
	status.Store(200)
	body.Store("{}")
	for _, seg := range oddSegments {
		for _, r := range []struct{ method, path string }{{"GET", "/leadership"}, {"GET", "/nodes"}, {"POST", "/leadership/select"}} {
			path.Store("")
			resp := c.Raw(t, rawRequest(r.method, planeRoutes+"/projects/"+seg+r.path, object{"primary_node_id": "n"}))
			if resp.Status == http.StatusOK { // a plain id, handed on as it is
				if want := "/base/projects/" + seg + r.path; path.Load() != want {
					t.Errorf("%q was handed on as %v", shortName(seg), path.Load())
				}
			} else if _, err := failure(resp); err != nil || resp.Status < 400 || resp.Status > 499 || path.Load() != "" {
				t.Errorf("%s %q: want one 4xx, got %v %s, handed on as %v", r.method, shortName(seg), err, resp, path.Load())
			}
		}
	}
}

// TestAdminKeyStaysSecret: the key is in its two files, mode 0600, and nowhere else: not in the table, in an answer, or in a log,
// whatever Membridge does with it.
func TestAdminKeyStaysSecret(t *testing.T) {
	t.Parallel()
	const key = "Sup3rSecretAdminKey-0123456789"
	db, err := dynamodb.Open(t.TempDir(), dynamodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	table := httptest.NewServer(db)
	t.Cleanup(table.Close)
	s := stacktest.Start(t, stacktest.Options{Args: []string{"-dynamodb", table.URL}})
	c := s.Client()
	var status atomic.Int32
	status.Store(200)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status.Load() == http.StatusFound {
			http.Redirect(w, r, "http://127.0.0.1:1/?key="+r.Header.Get("X-MEMBRIDGE-ADMIN"), http.StatusFound)
			return
		}
		w.WriteHeader(int(status.Load()))
		if status.Load() != 200 { // an error that repeats what it was sent
			_, _ = fmt.Fprintf(w, `{"detail":"the key %s is not good"}`, r.Header.Get("X-MEMBRIDGE-ADMIN"))
			return
		}
		_, _ = w.Write([]byte(`[]`))
	}))
	t.Cleanup(echo.Close)
	answers := ""
	note := func(resp stacktest.Response) { answers += string(resp.Body) + fmt.Sprint(resp.Header) }
	for _, url := range []string{echo.URL, "http://127.0.0.1:1", "http://no-such-host.invalid"} {
		note(setConfig(t, c, url, key))
		codes := []int32{200, 302, 401, 404, 422, 500}
		if url != echo.URL {
			codes = codes[:1]
		}
		for _, code := range codes {
			status.Store(code)
			note(ask(t, c, "POST", "/api/runtime/test-connection", nil))
			note(ask(t, c, "GET", planeRoutes+"/projects", nil))
			note(ask(t, c, "POST", planeRoutes+"/projects/c/leadership/select", object{"primary_node_id": "n"}))
		}
	}
	stacktest.Eventually(t, 30*time.Second, func() error { // a sync has failed, too
		resp := ask(t, c, "GET", "/api/runtime/health", nil)
		note(resp)
		var h struct{ Membridge struct{ LastError *string } }
		err := resp.Decode(&h)
		if err == nil && h.Membridge.LastError == nil {
			err = fmt.Errorf("no failed call yet: %s", resp)
		}
		return err
	})
	for _, path := range []string{"/api/runtime/config", "/api/runtime/audit?limit=200", "/api/runtime/workers"} {
		note(ask(t, c, "GET", path, nil))
	}
	items := scan(t, table.URL, tableName(t, table.URL))
	if !strings.Contains(items, "Sup3****6789") {
		t.Fatalf("the table was not read: %.300s", items)
	}
	for where, text := range map[string]string{"an answer": answers, "the table": items, "the log": s.Log()} {
		if strings.Contains(text, key) {
			t.Errorf("the key is in %s", where)
		}
	}
	s.Stop(t)
	holders := ""
	err = filepath.WalkDir(s.Data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), key) {
			info, _ := e.Info()
			holders += fmt.Sprintf("%s %v;", e.Name(), info.Mode().Perm())
		}
		return err
	})
	if err != nil || holders != "secrets.json -rw-------;" {
		t.Errorf("files with the key: %s %v", holders, err)
	}
}

// scan reads a whole table over the wire.
func scan(t *testing.T, url, name string) string {
	t.Helper()
	c := &stacktest.Client{Base: url, HTTP: http.DefaultClient}
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/", strings.NewReader(`{"TableName":"`+name+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.Scan")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	resp, err := c.Send(req)
	if err != nil || resp.Status != http.StatusOK {
		t.Fatalf("%v %s", err, resp)
	}
	return string(resp.Body)
}
