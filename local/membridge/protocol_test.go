package membridge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	unauthorized = `{"detail":"Unauthorized — invalid or missing X-MEMBRIDGE-ADMIN header"}`
	notFound     = `{"detail":"Not Found"}`
	notAllowed   = `{"detail":"Method Not Allowed"}`
)

// TestObserved holds the server to what the original 0.3.0 was seen to answer, request by request, in this order. Moments are
// this clock's; what is ours beside it is in the other tests.
func TestObserved(t *testing.T) {
	t.Parallel()
	r := open(t)
	const at = "1800000000.25"
	n129 := strings.Repeat("n", 129)
	node1 := `{"node_id":"n1","canonical_id":"c1","role":"%s","obs_count":1,"db_sha":null,"last_seen":1,"ip_addrs":[],"registered_at":` + at + `,"project_id":null}`
	node2 := `{"node_id":"n2","canonical_id":"c1","role":"%s","obs_count":12,"db_sha":null,"last_seen":1700000000,"ip_addrs":[],"registered_at":1800000001.25,"project_id":null}`
	nodes := func(first, second string) string { return fmt.Sprintf("["+node1+","+node2+"]", first, second) }
	for _, c := range []struct {
		request string
		status  int
		answer  string
	}{
		{`GET /health`, 200, `{"status":"ok","service":"membridge-control-plane","version":"0.3.0","projects":0,"agents":0}`},
		{`GET /nothing`, 404, notFound},
		{`PUT /agents {}`, 405, notAllowed},
		{`POST /health`, 405, notAllowed},
		{`OPTIONS /agents`, 405, notAllowed},
		{`GET /agents/x`, 405, notAllowed},
		{`GET /projects/c1/leadership/select`, 405, notAllowed},
		{`GET /agents`, 200, `[]`},
		{`POST /agents`, 422, `{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}`},
		{`POST /agents null`, 422, `{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":null}]}`},
		{`POST /agents []`, 422, `{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[]}]}`},
		{`POST /agents "x"`, 422, `{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"x"}]}`},
		{`POST /agents {"name":"","url":5}`, 422, `{"detail":[{"type":"string_too_short","loc":["body","name"],"msg":"String should have at least 1 character","input":"","ctx":{"min_length":1}},{"type":"string_type","loc":["body","url"],"msg":"Input should be a valid string","input":5}]}`},
		{`POST /agents {"name":null,"url":null}`, 422, `{"detail":[{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":null},{"type":"string_type","loc":["body","url"],"msg":"Input should be a valid string","input":null}]}`},
		{`POST /agents {"url":"http://h"}`, 422, `{"detail":[{"type":"missing","loc":["body","name"],"msg":"Field required","input":{"url":"http://h"}}]}`},
		{`POST /agents {"name":"` + n129 + `","url":""}`, 422, `{"detail":[{"type":"string_too_long","loc":["body","name"],"msg":"String should have at most 128 characters","input":"` + n129 + `","ctx":{"max_length":128}}]}`},
		{`POST /agents {"name":"w1","url":"http://h:1//"}`, 201, `{"name":"w1","url":"http://h:1","status":"unknown","registered_at":` + at + `,"last_seen":null}`},
		{`POST /agents {"name":"w1","url":"x"}`, 409, `{"detail":"Agent 'w1' already registered"}`},
		{`POST /agents {"name":"w2","url":""}`, 201, `{"name":"w2","url":"","status":"unknown","registered_at":` + at + `,"last_seen":null}`},
		{`GET /agents`, 200, `[{"name":"w1","url":"http://h:1","status":"unknown","registered_at":` + at + `,"last_seen":null},{"name":"w2","url":"","status":"unknown","registered_at":` + at + `,"last_seen":null}]`},
		{`DELETE /agents/w2`, 204, ``},
		{`DELETE /agents/w2`, 404, `{"detail":"Agent 'w2' not found"}`},
		{`DELETE /agents/a%2Fb`, 404, notFound},
		{`GET /projects`, 200, `[]`},
		{`POST /projects {"name":"p1","canonical_id":"zzz"}`, 201, `{"name":"p1","canonical_id":"f64551fcd6f07823","created_at":` + at + `,"last_seen":null,"nodes_count":0,"source":"manual"}`},
		{`POST /projects {"name":"p1"}`, 409, `{"detail":"Project 'p1' already exists"}`},
		{`POST /projects {"name":7}`, 422, `{"detail":[{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":7}]}`},
		{`POST /agent/heartbeat {}`, 422, `{"detail":[{"type":"missing","loc":["body","node_id"],"msg":"Field required","input":{}},{"type":"missing","loc":["body","canonical_id"],"msg":"Field required","input":{}}]}`},
		{`POST /agent/heartbeat {"node_id":"n1","canonical_id":"c1"}`, 200, `{"ok":true,"role":"unknown","canonical_id":"c1"}`},
		{`+1s`, 0, ``},
		{`POST /agent/heartbeat {"node_id":"n2","canonical_id":"c1","project_id":"proj","obs_count":"12","db_sha":"ab","last_seen":1700000000.5,"ip_addrs":["1.2.3.4"],"agent_version":"0.4.0"}`, 200, `{"ok":true,"role":"unknown","canonical_id":"c1"}`},
		{`POST /agent/heartbeat {"node_id":"n2","canonical_id":"c1","obs_count":12.0,"last_seen":"1700000000"}`, 200, `{"ok":true,"role":"unknown","canonical_id":"c1"}`},
		{`POST /agent/heartbeat {"node_id":"n1","canonical_id":"c1","obs_count":1.5,"last_seen":"x","ip_addrs":null,"db_sha":4,"project_id":[]}`, 422, `{"detail":[{"type":"int_from_float","loc":["body","obs_count"],"msg":"Input should be a valid integer, got a number with a fractional part","input":1.5},{"type":"string_type","loc":["body","db_sha"],"msg":"Input should be a valid string","input":4},{"type":"float_parsing","loc":["body","last_seen"],"msg":"Input should be a valid number, unable to parse string as a number","input":"x"},{"type":"list_type","loc":["body","ip_addrs"],"msg":"Input should be a valid list","input":null},{"type":"string_type","loc":["body","project_id"],"msg":"Input should be a valid string","input":[]}]}`},
		{`POST /agent/heartbeat {"node_id":"n1","canonical_id":"c1","obs_count":"x","ip_addrs":[1],"last_seen":[]}`, 422, `{"detail":[{"type":"int_parsing","loc":["body","obs_count"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"},{"type":"float_type","loc":["body","last_seen"],"msg":"Input should be a valid number","input":[]},{"type":"string_type","loc":["body","ip_addrs",0],"msg":"Input should be a valid string","input":1}]}`},
		{`POST /agent/heartbeat {"node_id":"n1","canonical_id":"c1","obs_count":true,"last_seen":true}`, 200, `{"ok":true,"role":"unknown","canonical_id":"c1"}`},
		{`POST /agent/heartbeat {"node_id":"n1","canonical_id":"c1","obs_count":{},"ip_addrs":{}}`, 422, `{"detail":[{"type":"int_type","loc":["body","obs_count"],"msg":"Input should be a valid integer","input":{}},{"type":"list_type","loc":["body","ip_addrs"],"msg":"Input should be a valid list","input":{}}]}`},
		{`POST /agent/heartbeat {"node_id":"n1","canonical_id":"c1","obs_count":1e30}`, 422, `{"detail":[{"type":"int_parsing_size","loc":["body","obs_count"],"msg":"Unable to parse input string as an integer, exceeded maximum size","input":1e30}]}`},
		{`POST /agent/heartbeat {"node_id":"","canonical_id":""}`, 200, `{"ok":true,"role":"unknown","canonical_id":""}`},
		{`GET /projects/c1/nodes`, 200, nodes("unknown", "unknown")},
		{`GET /projects/zz/nodes`, 200, `[]`},
		{`GET /projects/c1/leadership`, 200, `{"canonical_id":"c1","preferred_primary":null,"node_count":2,"nodes":` + nodes("unknown", "unknown") + `}`},
		{`GET /projects/zz/leadership`, 200, `{"canonical_id":"zz","preferred_primary":null,"node_count":0,"nodes":[]}`},
		{`POST /projects/c1/leadership/select {}`, 422, `{"detail":[{"type":"missing","loc":["body","primary_node_id"],"msg":"Field required","input":{}}]}`},
		{`POST /projects/c1/leadership/select {"primary_node_id":"n1","lease_seconds":1.5}`, 422, `{"detail":[{"type":"int_from_float","loc":["body","lease_seconds"],"msg":"Input should be a valid integer, got a number with a fractional part","input":1.5}]}`},
		{`GET /projects`, 200, `[{"name":"p1","canonical_id":"f64551fcd6f07823","created_at":` + at + `,"last_seen":null,"nodes_count":0,"source":"manual"},{"name":"proj","canonical_id":"c1","created_at":null,"last_seen":1800000001.25,"nodes_count":2,"source":"heartbeat"}]`},
		{`DELETE /projects/proj`, 404, `{"detail":"Project 'proj' not found"}`},
		{`DELETE /projects/p1`, 204, ``},
		{`DELETE /projects/p1`, 404, `{"detail":"Project 'p1' not found"}`},
		{`GET /jobs`, 200, `[]`},
		{`GET /jobs/x`, 404, `{"detail":"Job 'x' not found"}`},
		{`GET /health`, 200, `{"status":"ok","service":"membridge-control-plane","version":"0.3.0","projects":0,"agents":1}`},
	} {
		method, rest, _ := strings.Cut(c.request, " ")
		if method == "+1s" {
			r.advance(time.Second)
			continue
		}
		path, body, _ := strings.Cut(rest, " ")
		r.want(method, path, body, c.status, c.answer)
	}
}

// TestBadJSON: the original's positions and sentences are Python's; the shape is the same.
func TestBadJSON(t *testing.T) {
	t.Parallel()
	r := open(t)
	for _, body := range []string{"{", "nope", `{"name":"a",}`, `{"name":"a" "b":1}`, `{"a":1}{}`, `{"name":NaN}`, "{\"name\":\"\xff\"}", `{"name":"\ud800"}`, "\xef\xbb\xbf{}",
		strings.Repeat("[", 20_000), `{"z":` + strings.Repeat("[", 20_000)} {
		got := r.send("POST", "/agents", body)
		if got.status != 422 || !strings.HasPrefix(got.body, `{"detail":[{"type":"json_invalid","loc":["body",`) || !strings.Contains(got.body, `"msg":"JSON decode error","input":{}`) {
			t.Errorf("%.40q: %d %s", body, got.status, got.body)
		}
	}
	if got := r.send("POST", "/agents", `{"name":"first","name":"last","url":""}`); got.status != 201 || !strings.Contains(got.body, `"name":"last"`) {
		t.Errorf("a name twice: %d %s", got.status, got.body)
	}
	if got := r.send("POST", "/agents", `{"name":"`+strings.Repeat("x", maxBody)+`"}`); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %d %.100s", got.status, got.body)
	}
}

// TestKeys: who may call what, and that the comparison takes any bytes.
func TestKeys(t *testing.T) {
	t.Parallel()
	r := open(t)
	for _, wrong := range []string{"", "wrong", key + "x", key[1:], "Bearer " + key, "ключ", "\xff\xfe", strings.Repeat("k", 10_000)} {
		for _, path := range []string{"/agents", "/projects", "/nothing", "/health/", "/projects/c/nodes"} {
			if got := r.send("GET", path, "", "X-MEMBRIDGE-ADMIN", wrong); got.status != 401 || got.body != unauthorized {
				t.Errorf("%.20q %s: %d %s", wrong, path, got.status, got.body)
			}
		}
		for _, path := range []string{"/health", "/ui", "/static/ui.html"} {
			if got := r.send("GET", path, "", "X-MEMBRIDGE-ADMIN", wrong); got.status == 401 {
				t.Errorf("%s is open: %d", path, got.status)
			}
		}
	}
	none := New(Options{Table: r.Table, Bucket: r.Bucket, Now: r.now, Log: r.Log})
	req, err := http.NewRequestWithContext(t.Context(), "GET", "/agents", nil)
	if err != nil {
		t.Fatal(err)
	}
	if none.authorized(req) {
		t.Error("no key configured must not mean that everybody may")
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	r := open(t)
	for _, c := range []struct{ method, path, location, allow string }{
		{"GET", "/health/", "/health", ""},
		{"GET", "/agents/?a=b", "/agents?a=b", ""},
		{"GET", "/projects/c1/leadership/", "/projects/c1/leadership", ""},
		{"GET", "/ui", "/static/ui.html", ""},
		{"PUT", "/agents", "", "GET"},
		{"GET", "/agents/x", "", "DELETE"},
		{"GET", "//evil.example/", "", ""},
	} {
		got := r.send(c.method, c.path, "", "X-Request-ID", "mine")
		if got.header.Get("Location") != c.location || got.header.Get("Allow") != c.allow || got.header.Get("X-Request-Id") != "mine" {
			t.Errorf("%s %s: %d %v", c.method, c.path, got.status, got.header)
		}
		if c.location != "" && got.status != http.StatusTemporaryRedirect {
			t.Errorf("%s: %d", c.path, got.status)
		}
	}
	if id := r.send("GET", "/agents", "", "X-MEMBRIDGE-ADMIN", "").header.Get("X-Request-Id"); len(id) != 12 {
		t.Errorf("an id of our own: %q", id)
	}
}

// TestSeedBody: the seed's registration, and what it may hold.
func TestSeedBody(t *testing.T) {
	t.Parallel()
	r := open(t)
	const seed = `{"name":"worker-01","status":"online","capabilities":{"claude_cli":true,"max_concurrency":1,"labels":["production"]}}`
	view := `{"name":"worker-01","url":"","status":"online","registered_at":1800000000.25,"last_seen":null,"capabilities":{"claude_cli":true,"max_concurrency":1,"labels":["production"]}}`
	r.want("POST", "/agents", seed, 201, view)
	r.want("POST", "/agents", `{"name":"b","ip_addrs":["10.0.0.1"],"capabilities":{}}`, 201,
		`{"name":"b","url":"","status":"unknown","registered_at":1800000000.25,"last_seen":null,"capabilities":{"claude_cli":true,"max_concurrency":1,"labels":[]},"ip_addrs":["10.0.0.1"]}`)
	r.want("POST", "/agents", `{"name":"c","status":null,"capabilities":null,"ip_addrs":null}`, 201, `{"name":"c","url":"","status":"unknown","registered_at":1800000000.25,"last_seen":null}`)
	for field, places := range map[string]string{
		`"status":"busy"`: `["body","status"]`, `"status":5`: `["body","status"]`, `"status":""`: `["body","status"]`,
		`"capabilities":5`: `["body","capabilities"]`, `"capabilities":{"claude_cli":"yes"}`: `["body","capabilities","claude_cli"]`,
		`"capabilities":{"max_concurrency":0}`: `["body","capabilities","max_concurrency"]`, `"capabilities":{"max_concurrency":33}`: `["body","capabilities","max_concurrency"]`,
		`"capabilities":{"max_concurrency":1.5}`: `["body","capabilities","max_concurrency"]`, `"capabilities":{"labels":"x"}`: `["body","capabilities","labels"]`,
		`"capabilities":{"labels":[5]}`: `["body","capabilities","labels",0]`, `"ip_addrs":"x"`: `["body","ip_addrs"]`, `"ip_addrs":[null]`: `["body","ip_addrs",0]`,
		`"url":"` + strings.Repeat("u", 2049) + `"`:          `["body","url"]`,
		`"ip_addrs":[` + strings.Repeat(`"a",`, 50) + `"a"]`: `["body","ip_addrs"]`,
	} {
		got := r.send("POST", "/agents", `{"name":"bad",`+field+`}`)
		if got.status != 422 || !strings.Contains(got.body, `"loc":`+places+`,"msg":"`) {
			t.Errorf("%.80s: %d %.300s", field, got.status, got.body)
		}
	}
	// A heartbeat of the node shows that the agent is alive.
	r.advance(time.Minute)
	r.want("POST", "/agent/heartbeat", `{"node_id":"c","canonical_id":"x"}`, 200, `{"ok":true,"role":"unknown","canonical_id":"x"}`)
	if got := r.send("GET", "/agents", ""); !strings.Contains(got.body, `{"name":"c","url":"","status":"online","registered_at":1800000000.25,"last_seen":1800000060.25}`) {
		t.Errorf("%s", got.body)
	}
}

// TestOddRequests: nothing that a caller sends is answered with 5xx.
func TestOddRequests(t *testing.T) {
	t.Parallel()
	r := open(t)
	long := strings.Repeat("x", 300)
	for _, segment := range []string{"%00", "%ff", "%c3%28", "%2e%2e", "..%2f..", "%20", "ї", "%F0%9F%98%80", long, strings.Repeat("%F0%9F%98%80", 241), "N%23", "%22", "'", "*", "%0a", "a%5cb"} {
		for _, call := range []string{"DELETE /agents/%s", "DELETE /projects/%s", "GET /projects/%s/nodes", "GET /projects/%s/leadership", "POST /projects/%s/leadership/select", "GET /jobs/%s"} {
			method, path, _ := strings.Cut(fmt.Sprintf(call, "@"), " ")
			got := r.send(method, strings.ReplaceAll(path, "@", segment), `{"primary_node_id":"n"}`)
			if got.status >= 500 || got.status >= 400 && !strings.HasPrefix(got.body, `{"detail":`) {
				t.Errorf("%s %.30s: %d %.200s", call, segment, got.status, got.body)
			}
		}
	}
	for _, body := range []string{
		`{"node_id":"n","canonical_id":"` + strings.Repeat("😀", 240) + `"}`, `{"node_id":"` + strings.Repeat("😀", 240) + `","canonical_id":"c"}`,
		`{"node_id":"a\u0000b","canonical_id":"\u0000"}`, `{"node_id":"n","canonical_id":"c","last_seen":1e-300}`, `{"node_id":"n","canonical_id":"c","last_seen":-5.5}`,
		`{"node_id":"n","canonical_id":"c","obs_count":-9223372036854775808,"project_id":"","db_sha":""}`, `{"node_id":"n","canonical_id":"c","obs_count":9223372036854775807}`,
	} {
		if got := r.send("POST", "/agent/heartbeat", body); got.status != 200 {
			t.Errorf("%.60s: %d %.200s", body, got.status, got.body)
		}
	}
	for _, body := range []string{
		`{"node_id":"` + strings.Repeat("n", 241) + `","canonical_id":"c"}`, `{"node_id":"n","canonical_id":"c","last_seen":1e300}`, `{"node_id":"n","canonical_id":"c","last_seen":1e400}`,
		`{"node_id":"n","canonical_id":"c","obs_count":9223372036854775808}`, `{"node_id":"n","canonical_id":"c","last_seen":"nan"}`, `{"node_id":"n","canonical_id":"c","last_seen":"inf"}`,
		`{"node_id":"n","canonical_id":"c","db_sha":"` + strings.Repeat("d", 257) + `"}`,
	} {
		if got := r.send("POST", "/agent/heartbeat", body); got.status != 422 {
			t.Errorf("%.60s: %d %.200s", body, got.status, got.body)
		}
	}
}
