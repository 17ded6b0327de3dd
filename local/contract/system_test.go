package contract

import (
	"net/http"
	"testing"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

// emptySystem looks at a system that has just been made.
func emptySystem(t *testing.T, c *stacktest.Client) {
	for _, list := range []string{"/llm-tasks", "/workers", "/leases", "/runs", "/artifacts", "/audit"} {
		resp := ask(t, c, "GET", "/api/runtime"+list, nil)
		wantShape(t, resp, http.StatusOK, is([]any{}))
		if next, err := resp.Next(); next != "" || err != nil {
			t.Errorf("%s: an empty list has a next page %q, %v", list, next, err)
		}
	}
	zero := is(0)
	wantShape(t, ask(t, c, "GET", "/api/runtime/stats", nil), http.StatusOK, obj(statsShape.also(shape{
		"tasks":   obj(shape{"total": zero, "by_status": obj(shape{})}),
		"leases":  obj(shape{"total": zero, "active": zero}),
		"workers": obj(shape{"total": zero, "online": zero}),
	})))
	wantShape(t, ask(t, c, "GET", "/api/runtime/config", nil), http.StatusOK,
		obj(configShape.also(shape{"admin_key_masked": is(""), "connected": is(false), "last_test": null})))
}

func healthRoute(t *testing.T, c *stacktest.Client) {
	wantShape(t, ask(t, c, "GET", "/api/runtime/health", nil), http.StatusOK, obj(shape{
		"status": is("ok"), "service": is("bloom-runtime"), "uptime": number, "storage": is("dynamodb"),
		"membridge": obj(shape{
			"consecutiveFailures": count, "lastSuccess": orNull(moment), "lastError": orNull(text), "connected": boolean,
		}),
	}))
}

// unknownRoutes must be refused as JSON, never answered with a page.
func unknownRoutes(t *testing.T, c *stacktest.Client) {
	for _, path := range []string{
		"/api/runtime/nothing", "/api/runtime", "/api/runtime/", "/api", "/api/runtime/llm-tasks/" + unknownID + "/nothing",
		"/api/runtime/health/x", "/api//runtime/health", "/API/runtime/health", "/api/runtime/healthz",
	} {
		t.Run(path, func(t *testing.T) {
			wantFailure(t, ask(t, c, "GET", path, nil), http.StatusNotFound, "not_found")
		})
	}
	for method, path := range map[string]string{
		"DELETE": "/api/runtime/health", "PUT": tasks, "PATCH": workers, "POST": "/api/runtime/stats", "GET": tasks + "/" + unknownID + "/lease",
		"TRACE": "/api/runtime/health", "BREW": tasks,
	} {
		t.Run(method+" "+path, func(t *testing.T) {
			wantFailure(t, ask(t, c, method, path, nil), http.StatusMethodNotAllowed, "method_not_allowed")
		})
	}
}
