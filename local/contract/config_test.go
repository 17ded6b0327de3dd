package contract

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

const connection = "/api/runtime/test-connection"

// TestConfig has a stack of its own: there is one configuration, and
// test-connection has a method throttle of 20 a minute.
func TestConfig(t *testing.T) {
	t.Parallel()
	c := stacktest.Start(t, stacktest.Options{}).Client()
	t.Run("nothing configured", func(t *testing.T) {
		resp := ask(t, c, "POST", connection, nil)
		wantShape(t, resp, http.StatusOK, obj(shape{"connected": is(false), "error": text}))
	})
	t.Run("mask", func(t *testing.T) { configMask(t, c) })
	t.Run("stored", func(t *testing.T) {
		resp := setConfig(t, c, "https://membridge.example:8000", "secret-key-7")
		wantShape(t, resp, http.StatusOK, obj(configShape.also(shape{
			"membridge_server_url": is("https://membridge.example:8000"), "admin_key_masked": is("secr****ey-7"),
		})))
		wantShape(t, ask(t, c, "GET", "/api/runtime/config", nil), http.StatusOK,
			obj(shape{"membridge_server_url": is("https://membridge.example:8000"), "admin_key_masked": is("secr****ey-7")}))
	})
	t.Run("connected", func(t *testing.T) { connected(t, c) })
	t.Run("not connected", func(t *testing.T) { notConnected(t, c) })
	t.Run("audit", func(t *testing.T) { configAudit(t, c) })
}

func setConfig(t testing.TB, c *stacktest.Client, url, key string) stacktest.Response {
	t.Helper()
	resp := ask(t, c, "POST", "/api/runtime/config", object{"membridge_server_url": url, "admin_key": key})
	if resp.Status != http.StatusOK {
		t.Fatalf("config %s: %s", url, resp)
	}
	return resp
}

func configMask(t *testing.T, c *stacktest.Client) {
	for key, mask := range map[string]string{
		"1": "****", "12345678": "****", "123456789": "1234****6789", "abcdefghijkl": "abcd****ijkl", strings.Repeat("k", 200): "kkkk****kkkk",
	} {
		resp := setConfig(t, c, "http://127.0.0.1:1", key)
		wantShape(t, resp, http.StatusOK, obj(shape{"admin_key_masked": is(mask)}))
		if len(key) > 1 && strings.Contains(string(resp.Body), key) {
			t.Errorf("the answer shows the key: %s", resp)
		}
	}
}

// membridge is a small control plane: it answers GET /health as the original
// does, and notes the keys it was sent.
func membridge(t testing.TB) (url string, keys *atomic.Value) {
	keys = &atomic.Value{}
	keys.Store("")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys.Store(r.Header.Get("X-MEMBRIDGE-ADMIN"))
		if r.URL.Path != "/health" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok","service":"membridge-control-plane","version":"0.3.0","projects":2,"agents":1}`))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, keys
}

func connected(t *testing.T, c *stacktest.Client) {
	url, _ := membridge(t)
	for _, configured := range []string{url, url + "/"} {
		setConfig(t, c, configured, "the-admin-key")
		before := time.Now().UnixMilli()
		resp := ask(t, c, "POST", connection, nil)
		wantShape(t, resp, http.StatusOK, obj(shape{"connected": is(true), "health": obj(shape{
			"status": is("ok"), "service": is("membridge-control-plane"), "version": is("0.3.0"), "projects": is(2), "agents": is(1),
		})}))
		var got struct {
			Connected bool  `json:"connected"`
			LastTest  int64 `json:"last_test"`
		}
		if err := ask(t, c, "GET", "/api/runtime/config", nil).Decode(&got); err != nil || !got.Connected || got.LastTest < before-1000 {
			t.Errorf("config after a test: %+v %v", got, err)
		}
	}
}

// notConnected: whatever is at the other end, the answer is 200, says why, comes
// within the gateway's 29 seconds and gives the key to nobody else.
func notConnected(t *testing.T, c *stacktest.Client) {
	thief, stolen := membridge(t)
	answer := func(f http.HandlerFunc) string {
		srv := httptest.NewServer(f)
		t.Cleanup(srv.Close)
		return srv.URL
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body)) // the client may have gone
		}
	}
	for name, url := range map[string]string{
		"unreachable": gone.URL,
		"redirecting": answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief+"/health", http.StatusFound) }),
		"slow":        answer(slow),
		"huge":        answer(huge),
		"a 401":       answer(status(401, `{"detail":"Unauthorized"}`)),
		"a 500":       answer(status(500, "Internal Server Error")),
		"not JSON":    answer(status(200, "<html>hello</html>")),
		"no name":     "http://no-such-host.invalid:8000",
	} {
		t.Run(name, func(t *testing.T) {
			setConfig(t, c, url, "the-admin-key")
			start := time.Now()
			resp := ask(t, c, "POST", connection, nil)
			wantShape(t, resp, http.StatusOK, obj(shape{"connected": is(false), "error": text}))
			if took := time.Since(start); took > 29*time.Second {
				t.Errorf("took %v", took)
			}
			wantShape(t, ask(t, c, "GET", "/api/runtime/config", nil), http.StatusOK, obj(shape{"connected": is(false)}))
			if key := stolen.Load(); key != "" {
				t.Errorf("another host was given the key %q", key)
			}
		})
	}
}

// slow answers long after any timeout of the client.
func slow(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-time.After(2 * time.Minute):
	}
}

// huge answers without an end.
func huge(w http.ResponseWriter, r *http.Request) {
	block := []byte(strings.Repeat(" ", 1<<16))
	for r.Context().Err() == nil {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// configAudit: changes and successful tests are in the audit log, the key never.
func configAudit(t *testing.T, c *stacktest.Client) {
	stacktest.Eventually(t, auditWithin, func() error {
		all, err := stacktest.All[stacktest.Audit](context.Background(), c, "/api/runtime/audit?limit=200")
		if err != nil {
			return err
		}
		tests := 0
		missing := map[string]bool{"config_updated": true, "connection_test": true}
		for _, e := range all {
			delete(missing, e.Action)
			if e.Action == "connection_test" {
				tests++
			}
			if strings.Contains(e.Detail+e.EntityID, "the-admin-key") {
				t.Errorf("the audit log shows the key: %+v", e)
			}
		}
		if len(missing) > 0 || tests != 2 {
			return fmt.Errorf("the audit log lacks %v and has %d connection tests, want the 2 that succeeded", missing, tests)
		}
		return nil
	})
}
