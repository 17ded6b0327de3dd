package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// raw is a JSON text to put in a field, valid or not.
type raw = string

// Bad values by the type that a field wants.
var (
	deep      = strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	deepOpen  = strings.Repeat("[", 20_000)
	deepKeys  = strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)
	notString = []raw{"5", "1.5", "true", "[]", "{}", `["a"]`, deep, deepKeys}
	badText   = []raw{`"a` + "\x00" + `b"`, `"a\u0000b"`, "\"a\xff\xfeb\"", "\"\xed\xa0\x80\"", `"\ud800"`, `"\udc00\ud800"`, `"\ud800\u0041"`, `"\x"`, "\"a\nb\""}
	notText   = append([]raw{"null", `""`}, append(notString, badText...)...)
	notOpt    = append(append([]raw{}, notString...), badText...)
	notInt    = []raw{`"10"`, `"abc"`, "1.5", "1e400", "-1e400", "1e-400", "true", "[]", "{}", "[1]", "1e12", "99999999999999999999", "NaN", "0x10", "01", "+1", "-5", deep}
	notBool   = []raw{`"true"`, "1", "0", "[]", "{}", "TRUE", deep}
	notStrs   = []raw{`"a"`, "{}", "1", "true", "[1]", "[null]", `["a",["b"]]`, `["a\u0000"]`, "[\"\xff\"]", `["\ud800"]`, deep}
	notObject = []raw{"null", `"a"`, "1", "true", "[]", "[{}]", deep}
)

// field is one field of a body, by its path, and what it must not be.
type field struct {
	path string
	bad  []raw
	need bool // must be there
}

// bodyRoute is a route that reads a body. Its path and its valid body are made
// from a fixture, so that only the field under test is wrong.
type bodyRoute struct {
	name     string
	path     func(f fixture) string
	body     func(f fixture) object
	fields   []field
	optional bool // an empty body is fine
}

// fixture is what the routes under test act on: a queued task, a leased one, a
// worker with room, and the number of the route's use.
type fixture struct {
	queued, leased, leaseID, worker string
}

var bodyRoutes = []bodyRoute{
	{
		name: "config", path: func(fixture) string { return "/api/runtime/config" },
		body: func(fixture) object {
			return object{"membridge_server_url": "http://127.0.0.1:1", "admin_key": "0123456789"}
		},
		fields: []field{
			{"membridge_server_url", append([]raw{
				`"file:///etc/passwd"`, `"ftp://h/"`, `"javascript:alert(1)"`, `"http://"`, `"//host"`, `"host:8000"`, `"not a url"`, `"http://a b/"`,
				`"http://[::1"`, `"http://h:99999999/"`, `"https://"`, `"http:/h"`, `" "`, `"http://h/\n"`,
			}, notText...), true},
			{"admin_key", append([]raw{`"a\nb"`, `"a\r\nX-Evil: 1"`}, notText...), true},
		},
	},
	{
		name: "register-worker", path: func(fixture) string { return workers },
		body: func(fixture) object { return object{"name": "never-registered"} },
		fields: []field{
			{"name", append([]raw{`"a/b"`, `"a\tb"`, `"` + strings.Repeat("n", 129) + `"`}, notText...), true},
			{"url", notOpt, false},
			{"status", append([]raw{`"ONLINE"`, `"busy"`, `""`, `" online"`}, notString...), false},
			{"capabilities", notObject[1:], false},
			{"capabilities.claude_cli", notBool, false},
			{"capabilities.max_concurrency", append([]raw{"0", "33"}, notInt...), false},
			{"capabilities.labels", notStrs, false},
			{"ip_addrs", notStrs, false},
		},
	},
	{
		name: "create-task", path: func(fixture) string { return tasks },
		body: func(fixture) object { return taskBody() },
		fields: []field{
			{"context_id", append([]raw{`"` + strings.Repeat("c", 257) + `"`}, notText...), true},
			{"agent_slug", append([]raw{`"` + strings.Repeat("c", 129) + `"`}, notText...), true},
			{"prompt", notText, true},
			{"context_hints", notStrs, false},
			{"policy", notObject[1:], false},
			{"policy.timeout_sec", append([]raw{"0", "3601"}, notInt...), false},
			{"policy.budget", []raw{`"0"`, "-1", "-0.5", "1e400", "true", "[]", "{}", "NaN", "Infinity", deep}, false},
			{"desired_format", append([]raw{`"xml"`, `"JSON"`, `""`}, notString...), false},
			{"max_attempts", append([]raw{"0", "11"}, notInt...), false},
		},
	},
	{
		name: "lease-task", path: func(f fixture) string { return tasks + "/" + f.queued + "/lease" }, optional: true,
		body: func(f fixture) object { return object{"worker_id": f.worker} },
		fields: []field{
			{"worker_id", append([]raw{`""`}, notOpt...), false},
			{"ttl_seconds", append([]raw{"0", "3601"}, notInt...), false},
		},
	},
	{
		name: "dispatch-task", path: func(f fixture) string { return tasks + "/" + f.queued + "/dispatch" }, optional: true,
		body:   func(f fixture) object { return object{"worker_id": f.worker} },
		fields: []field{{"worker_id", append([]raw{`""`}, notOpt...), false}},
	},
	{
		name: "heartbeat-task", path: func(f fixture) string { return tasks + "/" + f.leased + "/heartbeat" },
		body:   func(f fixture) object { return object{"lease_id": f.leaseID} },
		fields: []field{{"lease_id", notText, true}},
	},
	{
		name: "complete-task", path: func(f fixture) string { return tasks + "/" + f.leased + "/complete" },
		body: func(f fixture) object { return successBody(f.leaseID, "never stored") },
		fields: []field{
			{"lease_id", notText, true},
			{"status", append([]raw{`"ok"`, `"SUCCESS"`, `""`, "null"}, notString...), true},
			{"output", notOpt, false},
			{"error_message", append([]raw{`"` + strings.Repeat("e", 16<<10+1) + `"`}, notOpt...), false},
			{"retryable", notBool, false},
			{"metrics", notObject, true},
			{"metrics.duration_ms", append([]raw{"null"}, deleteRaw(notInt, "1e12", "1e-400")...), true},
			{"metrics.tokens_used", deleteRaw(notInt, "1e12", "1e-400"), false},
			{"artifact_type", append([]raw{`""`, `"` + strings.Repeat("t", 65) + `"`}, notOpt...), false},
			{"artifact_tags", append([]raw{`["` + strings.Repeat("t", 129) + `"]`, "[" + strings.Repeat(`"t",`, 50) + `"t"]`}, notStrs...), false},
		},
	},
	{
		name: "select-leadership", path: func(fixture) string { return "/api/membridge/projects/f64551fcd6f07823/leadership/select" },
		body: func(fixture) object { return object{"primary_node_id": "n"} },
		fields: []field{
			{"primary_node_id", append([]raw{`"` + strings.Repeat("n", 241) + `"`}, notText...), true},
			{"lease_seconds", append([]raw{"0", "31536001"}, notInt...), false},
		},
	},
	{
		name: "claim-tasks", path: func(f fixture) string { return workers + "/" + url.PathEscape(f.worker) + "/claim" }, optional: true,
		body: func(fixture) object { return object{"max": 1} },
		fields: []field{
			{"max", append([]raw{"0", "33"}, notInt...), false},
			{"ttl_seconds", append([]raw{"0", "3601"}, notInt...), false},
		},
	},
}

// deleteRaw returns all without those that this field may be.
func deleteRaw(all []raw, fine ...raw) []raw {
	return slices.DeleteFunc(slices.Clone(all), func(r raw) bool { return slices.Contains(fine, r) })
}

// badBodies sends every wrong body to every route that reads one. Each must be
// refused, and nothing must change.
func badBodies(t *testing.T, c *stacktest.Client) {
	emptyQueue(t, c)
	w := newWorker(t, c, 5)
	held, l := leased(t, c, w.ID)
	f := fixture{queued: newTask(t, c).ID, leased: held.ID, leaseID: l.ID, worker: w.ID}
	stacktest.Invariants(t, c) // the counters have caught up
	for _, r := range bodyRoutes {
		t.Run(r.name, func(t *testing.T) {
			before := snapshot(t, c, f)
			t.Run("fields", func(t *testing.T) { r.badFields(t, c, f) })
			t.Run("whole", func(t *testing.T) { r.badWhole(t, c, f) })
			t.Run("size", func(t *testing.T) { r.tooLarge(t, c, f) })
			wantUnchanged(t, before, snapshot(t, c, f))
		})
	}
}

// snapshot is everything that a change would show in.
func snapshot(t testing.TB, c *stacktest.Client, f fixture) map[string]string {
	t.Helper()
	stacktest.CatchUp(t)
	out := map[string]string{}
	for _, path := range []string{
		tasks + "?limit=200", workers + "?limit=200", "/api/runtime/leases?limit=200", "/api/runtime/artifacts?limit=200",
		"/api/runtime/config", "/api/runtime/stats", tasks + "/" + f.queued, tasks + "/" + f.leased,
	} {
		resp := ask(t, c, "GET", path, nil)
		if resp.Status != http.StatusOK {
			t.Fatalf("GET %s: %s", path, resp)
		}
		out[path] = string(resp.Body)
	}
	return out
}

// wantUnchanged compares two snapshots.
func wantUnchanged(t testing.TB, before, after map[string]string) {
	t.Helper()
	for path, was := range before {
		if is := after[path]; is != was {
			at := 0
			for at < min(len(is), len(was)) && is[at] == was[at] {
				at++
			}
			from := max(0, at-300)
			t.Errorf("refused requests changed %s\nfrom …%.600s\nto   …%.600s", path, was[from:], is[from:])
		}
	}
}

func (r bodyRoute) badFields(t *testing.T, c *stacktest.Client, f fixture) {
	for _, fl := range r.fields {
		if fl.need {
			r.refused(t, c, f, fl.path, "left out", without(r.body(f), fl.path))
		}
		for _, bad := range fl.bad {
			r.refused(t, c, f, fl.path, bad, put(r.body(f), fl.path, bad))
		}
	}
}

// refused sends a body and wants 400 that names the field. Text that is no JSON
// at all has no field to name.
func (r bodyRoute) refused(t *testing.T, c *stacktest.Client, f fixture, path, what, body string) {
	t.Helper()
	resp := ask(t, c, "POST", r.path(f), body)
	got, err := failure(resp)
	switch {
	case err != nil:
		t.Errorf("%s = %q: %v", path, shortName(what), err)
	case resp.Status != http.StatusBadRequest || got.Code != "invalid":
		t.Errorf("%s = %q: want 400 invalid, got %s", path, shortName(what), resp)
	case json.Valid([]byte(body)) && utf8.ValidString(body) && !strings.Contains(body, `\ud`) && !namesField(got, path):
		t.Errorf("%s = %q: the answer does not name the field: %s", path, shortName(what), resp)
	}
}

// badWhole sends bodies that are wrong as a whole.
func (r bodyRoute) badWhole(t *testing.T, c *stacktest.Client, f fixture) {
	valid, err := json.Marshal(r.body(f))
	if err != nil {
		t.Fatal(err)
	}
	v := string(valid)
	bodies := map[string]string{
		"null": "null", "array": "[]", "array of it": "[" + v + "]", "string": `"a"`, "number": "1", "true": "true", "open": "{", "cut": v[:len(v)-1],
		"trailing bracket": v + "}", "two values": v + v, "trailing letter": v + " x", "a comma too much": strings.TrimSuffix(v, "}") + ",}",
		"single quotes": strings.ReplaceAll(v, `"`, `'`), "comment": "/* */" + v, "broken UTF-8 key": strings.Replace(v, `{"`, "{\"\xff\":1,\"", 1),
		"not JSON": "prompt=hello&context_id=x", "NUL": "\x00", "NUL before": "\x00" + v, "NUL after": v + "\x00", "20,000 brackets": deep,
		"20,000 open brackets": deepOpen, "20,000 keys": deepKeys, "UTF-16": "\xff\xfe{\x00}\x00", "HTML": "<html></html>",
		"a key twice": twice(r.body(f)), "a deep unknown field": strings.Replace(v, "{", `{"zzz":`+deep+`,`, 1),
	}
	if !r.optional {
		bodies["empty"], bodies["blank"], bodies["no fields"] = "", " \n", "{}"
		bodies["keys in capitals"] = strings.ToUpper(v)
	}
	for name, body := range bodies {
		resp := ask(t, c, "POST", r.path(f), body)
		if got, err := failure(resp); err != nil || resp.Status != http.StatusBadRequest || got.Code != "invalid" {
			t.Errorf("%s: want 400 invalid, got %v %s", name, err, resp)
		}
	}
}

// tooLarge sends more than a function takes, and more than the gateway takes.
func (r bodyRoute) tooLarge(t *testing.T, c *stacktest.Client, f fixture) {
	for name, size := range map[string]int{"7 MB": 7_000_000, "11 MB": 11_000_000} {
		for kind, body := range map[string]string{
			"in a field": put(with(r.body(f), object{"zzz": ""}), "zzz", `"`+strings.Repeat("x", size)+`"`),
			"blanks":     strings.Repeat(" ", size),
		} {
			resp := ask(t, c, "POST", r.path(f), body)
			if got, err := failure(resp); err != nil || resp.Status != http.StatusRequestEntityTooLarge || got.Code != "too_large" {
				t.Errorf("%s %s: want 413 too_large, got %v %s", name, kind, err, resp)
			}
		}
	}
}

// put returns the body as JSON with the raw text at the path, whatever it is.
func put(body object, path string, value raw) string {
	const mark = "@@here@@"
	top, inner, nested := strings.Cut(path, ".")
	if nested {
		old, _ := body[top].(object)
		body = with(body, object{top: with(object{inner: mark}, old, object{inner: mark})})
	} else {
		body = with(body, object{path: mark})
	}
	out, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return strings.Replace(string(out), `"`+mark+`"`, value, 1)
}

// without returns the body as JSON with the field left out.
func without(body object, path string) string {
	top, inner, nested := strings.Cut(path, ".")
	body = with(body)
	if nested {
		old, _ := body[top].(object)
		old = with(old)
		delete(old, inner)
		body[top] = old
	} else {
		delete(body, path)
	}
	out, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// twice returns the body with one of its keys written twice.
func twice(body object) string {
	for key, v := range body {
		one, err := json.Marshal(object{key: v})
		if err != nil {
			panic(err)
		}
		rest, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf("%s,%s", strings.TrimSuffix(string(rest), "}"), strings.TrimPrefix(string(one), "{"))
	}
	return "{}"
}
