package api

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// bodyReaders are the operations that read a body, without a store: whoever asked
// one would panic.
var bodyReaders = map[string]http.Handler{
	"create":    CreateTask(nil, nil, clock.System),
	"complete":  CompleteTask(nil, nil, clock.System),
	"lease":     LeaseTask(nil),
	"dispatch":  DispatchTask(nil),
	"heartbeat": HeartbeatTask(nil),
	"claim":     ClaimTasks(nil, nil),
	"register":  RegisterWorker(nil),
	"config":    SaveConfig(nil, Membridge{}),
	"promote":   withProject(SelectLeadership(nil, Membridge{})),
}

// TestRefusedBodiesReachNoStore: a body that is wrong as a whole is one 400 and
// changes nothing.
func TestRefusedBodiesReachNoStore(t *testing.T) {
	t.Parallel()
	for name, h := range bodyReaders {
		for _, body := range []string{
			"null", "[]", "1", `"a"`, "{", "{}}", `{"a":1,"a":1}`, "{}\x00", "{}x", `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", "\xef\xbb\xbf{}",
			nest("[", "", "]", 20_000), `{"zzz":` + nest(`{"a":`, "1", "}", 20_000) + "}",
		} {
			for _, encoded := range []bool{false, true} {
				e := event("POST", "/api/runtime/x/{id}", map[string]string{"id": "x"}, body)
				if e.IsBase64Encoded = encoded; encoded {
					e.Body = base64.StdEncoding.EncodeToString([]byte(body))
				}
				if got := wantError(t, call(t, h, e), http.StatusBadRequest, "invalid"); len(got.Fields["body"]) != 1 {
					t.Errorf("%s: %.40q: %+v", name, body, got)
				}
			}
		}
	}
	e := event("POST", "/api/runtime/x/{id}", map[string]string{"id": "x"}, strings.Repeat(" ", 11<<20))
	wantError(t, call(t, bodyReaders["create"], e), http.StatusRequestEntityTooLarge, "too_large")
}

// TestRefusedFieldsReachNoStore: so is a body of which one field is wrong.
func TestRefusedFieldsReachNoStore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ operation, body, field string }{
		{"create", specHead + `,"max_attempts":"3"}`, "max_attempts"},
		{"complete", reportHead + `,"retryable":null}`, "retryable"},
		{"lease", `{"ttl_seconds":1e400}`, "ttl_seconds"},
		{"dispatch", `{"worker_id":["w"]}`, "worker_id"},
		{"heartbeat", `{}`, "lease_id"},
		{"heartbeat", `{"lease_id":"l\u0000"}`, "lease_id"},
		{"claim", `{"max":0}`, "max"},
		{"claim", `{"max":33}`, "max"},
		{"claim", `{"max":1.5}`, "max"},
		{"claim", `{"ttl_seconds":"10"}`, "ttl_seconds"},
		{"register", `{"name":"a/b"}`, "name"},
		{"promote", `{}`, "primary_node_id"},
		{"promote", `{"primary_node_id":""}`, "primary_node_id"},
		{"promote", `{"primary_node_id":"n","lease_seconds":null}`, "lease_seconds"},
		{"promote", `{"primary_node_id":"n","lease_seconds":-5}`, "lease_seconds"},
		{"config", `{"membridge_server_url":"file:///etc/passwd","admin_key":"k"}`, "membridge_server_url"},
		{"config", `{"membridge_server_url":"http://169.254.169.254/latest","admin_key":"k"}`, "membridge_server_url"},
		{"config", `{"membridge_server_url":"http://m","admin_key":"ключ"}`, "admin_key"},
		{"config", `{"membridge_server_url":"http://m","admin_key":"a\r\nX-Evil: 1"}`, "admin_key"},
		{"config", `{"membridge_server_url":"http://m"}`, "admin_key"},
	} {
		e := event("POST", "/api/runtime/x/{id}", map[string]string{"id": "x"}, c.body)
		got := wantError(t, call(t, bodyReaders[c.operation], e), http.StatusBadRequest, "invalid")
		if len(got.Fields) != 1 || len(got.Fields[c.field]) == 0 || !strings.Contains(got.Error, c.field) {
			t.Errorf("%s: %s: %+v", c.operation, c.body, got)
		}
	}
}

// withProject puts a good project into the path.
func withProject(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.SetPathValue("cid", "f64551fcd6f07823")
		h.ServeHTTP(w, r)
	})
}
