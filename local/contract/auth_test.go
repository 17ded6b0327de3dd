package contract

import (
	"context"
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/stacktest"
)

const adminKey = "an-admin-key-0123456789"

// everyRoute is each route of the contract, and whether it is open.
var everyRoute = []struct {
	method, path string
	open         bool
}{
	{"GET", "/api/runtime/health", true},
	{"POST", connection, true},
	{"GET", "/api/runtime/config", false}, {"POST", "/api/runtime/config", false},
	{"GET", workers, false}, {"POST", workers, false}, {"GET", workers + "/w", false}, {"DELETE", workers + "/w", false},
	{"POST", workers + "/w/claim", false},
	{"GET", tasks, false}, {"POST", tasks, false}, {"GET", tasks + "/" + unknownID, false},
	{"POST", tasks + "/" + unknownID + "/lease", false}, {"POST", tasks + "/" + unknownID + "/heartbeat", false},
	{"POST", tasks + "/" + unknownID + "/complete", false}, {"POST", tasks + "/" + unknownID + "/dispatch", false},
	{"POST", tasks + "/" + unknownID + "/requeue", false},
	{"GET", "/api/runtime/leases", false}, {"GET", "/api/runtime/runs", false}, {"GET", "/api/runtime/artifacts", false},
	{"GET", "/api/runtime/artifacts/" + unknownID + ".1", false}, {"GET", "/api/runtime/audit", false}, {"GET", "/api/runtime/stats", false},
}

// TestKey has a stack with RUNTIME_API_KEY set.
func TestKey(t *testing.T) {
	t.Parallel()
	plain := stacktest.FreeAddress(t.Context())
	s := stacktest.Start(t, stacktest.Options{APIKey: adminKey, Args: []string{"-http", plain}})
	c := s.Client()
	t.Run("closed routes", func(t *testing.T) {
		nobody := *c
		nobody.Key = ""
		for _, r := range everyRoute {
			if !r.open {
				wantFailure(t, ask(t, &nobody, r.method, r.path, nil), http.StatusUnauthorized, "unauthorized")
			}
		}
	})
	t.Run("open routes", func(t *testing.T) {
		for _, key := range []string{"", "wrong"} {
			anybody := *c
			anybody.Key = key
			for _, r := range everyRoute {
				if resp := ask(t, &anybody, r.method, r.path, nil); r.open && resp.Status != http.StatusOK {
					t.Errorf("%s %s with key %q: %s", r.method, r.path, key, resp)
				}
			}
		}
	})
	t.Run("wrong keys", func(t *testing.T) { wrongKeys(t, c) })
	t.Run("the right key", func(t *testing.T) { rightKey(t, c) })
	t.Run("plain HTTP is redirected", func(t *testing.T) { redirected(t, s, plain) })
	t.Run("old TLS is refused", func(t *testing.T) {
		conf := c.HTTP.Transport.(*http.Transport).TLSClientConfig.Clone()
		conf.MaxVersion = tls.VersionTLS11
		conf.MinVersion = tls.VersionTLS10
		if conn, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), conf); err == nil {
			_ = conn.Close()
			t.Errorf("TLS 1.1 was accepted")
		}
	})
	t.Run("the key is not shown", func(t *testing.T) {
		if strings.Contains(s.Log(), adminKey) {
			t.Errorf("the log shows the key")
		}
	})
}

// wrongKeys sends keys that are not the key. All get the same answer.
func wrongKeys(t *testing.T, c *stacktest.Client) {
	for name, header := range map[string]string{
		"none": "", "empty": "X-Runtime-API-Key:", "blank": "X-Runtime-API-Key:   ", "wrong": "X-Runtime-API-Key: wrong",
		"a part": "X-Runtime-API-Key: " + adminKey[:10], "more": "X-Runtime-API-Key: " + adminKey + "x", "in capitals": "X-Runtime-API-Key: " + strings.ToUpper(adminKey),
		"non-ASCII": "X-Runtime-API-Key: ключ-😀", "bytes": "X-Runtime-API-Key: \xff\xfe\x80", "8 KB": "X-Runtime-API-Key: " + strings.Repeat("k", 8<<10),
		"bearer": "Authorization: Bearer " + adminKey, "another header": "X-Api-Key: " + adminKey, "two": "X-Runtime-API-Key: a\r\nX-Runtime-API-Key: b",
		"JSON": `X-Runtime-API-Key: {"$ne":null}`, "a star": "X-Runtime-API-Key: *",
	} {
		for _, path := range []string{"/api/runtime/stats", "/api/runtime/nothing-here"} {
			if header != "" && !strings.HasSuffix(header, "\r\n") {
				header += "\r\n"
			}
			resp := c.Raw(t, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"+header+"\r\n")
			f, err := failure(resp)
			if name == "8 KB" && resp.Status == http.StatusRequestHeaderFieldsTooLarge {
				continue
			}
			if path == "/api/runtime/stats" && (err != nil || resp.Status != http.StatusUnauthorized || f.Code != "unauthorized") {
				t.Errorf("%s: want 401 unauthorized, got %v %s", name, err, resp)
			}
			if err != nil || (resp.Status != http.StatusUnauthorized && resp.Status != http.StatusNotFound) {
				t.Errorf("%s on %s: %v %s", name, path, err, resp)
			}
		}
	}
}

func rightKey(t *testing.T, c *stacktest.Client) {
	for _, header := range []string{"X-Runtime-API-Key", "x-runtime-api-key", "X-RUNTIME-API-KEY", "x-Runtime-Api-kEY"} {
		resp := c.Raw(t, "GET /api/runtime/stats HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"+header+": "+adminKey+"\r\n\r\n")
		wantShape(t, resp, http.StatusOK, obj(statsShape))
	}
	w := newWorker(t, c, 1)
	task, l := leased(t, c, w.ID)
	done := complete(t, c, task.ID, successBody(l.ID, "with a key"))
	checkDownload(t, c, done.Artifact.ID, "with a key")
	stacktest.Eventually(t, auditWithin, func() error {
		return auditHas(c, map[string][]string{task.ID: {"task_created", "task_leased", "task_completed"}}, map[string]string{l.ID: task.ID})
	})
	if resp := ask(t, c, "GET", "/api/runtime/audit?limit=200", nil); strings.Contains(string(resp.Body), adminKey) {
		t.Errorf("the audit log shows the key")
	}
}

func redirected(t *testing.T, s *stacktest.Stack, plain string) {
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, path := range []string{"/", "/api/runtime/llm-tasks?limit=3&status=queued", "/a%2Fb"} {
		for _, method := range []string{"GET", "POST"} {
			req, err := http.NewRequestWithContext(context.Background(), method, "http://"+plain+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusPermanentRedirect || got != s.URL+path {
				t.Errorf("%s %s: %d to %q, want 308 to %s", method, path, resp.StatusCode, got, s.URL+path)
			}
		}
	}
}

// TestThrottle has stacks with small plans: one with a key, one with auth off,
// where the client's address is what is counted.
func TestThrottle(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"with a key": adminKey, "by address": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := stacktest.Start(t, stacktest.Options{APIKey: key, Parameters: map[string]string{"ClientRequestsPerMinute": "30"}}).Client()
			overdraw(t, c, "GET", "/api/runtime/stats", 30)
			for range 3 {
				if resp := ask(t, c, "GET", "/api/runtime/health", nil); resp.Status != http.StatusOK {
					t.Errorf("an open route: %s", resp)
				}
			}
			stacktest.Eventually(t, 10*time.Second, func() error {
				resp := ask(t, c, "GET", "/api/runtime/stats", nil)
				if resp.Status != http.StatusOK {
					_, err := failure(resp)
					return errorOr(err, "still throttled")
				}
				return nil
			})
			t.Run("test-connection", func(t *testing.T) { overdraw(t, c, "POST", connection, 20) }) // open, but held
		})
	}
}

// overdraw sends twice the requests that a plan allows in a minute: those are
// answered, as many as are refilled meanwhile too, the rest is refused.
func overdraw(t *testing.T, c *stacktest.Client, method, path string, perMinute int) {
	t.Helper()
	start, ok := time.Now(), 0
	var refused stacktest.Response
	for range 2 * perMinute {
		if resp := ask(t, c, method, path, nil); resp.Status == http.StatusOK {
			ok++
		} else {
			refused = resp
		}
	}
	refilled := int(time.Since(start).Minutes()*float64(perMinute)) + 1
	if ok < perMinute || ok > perMinute+refilled {
		t.Errorf("%d of %d requests were answered, want %d and at most %d refilled", ok, 2*perMinute, perMinute, refilled)
	}
	checkThrottled(t, refused)
}

func checkThrottled(t *testing.T, resp stacktest.Response) {
	t.Helper()
	f := wantFailure(t, resp, http.StatusTooManyRequests, "throttled")
	if !strings.HasPrefix(f.Error, "Too many requests") {
		t.Errorf("error is %q", f.Error)
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || n < 1 || n > 60 {
		t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
	}
}

// TestOpenToTheWorld: without a key the program refuses an address that others reach.
func TestOpenToTheWorld(t *testing.T) {
	t.Parallel()
	s, err := stacktest.Launch(t.Context(), stacktest.Options{Args: []string{"-https", "0.0.0.0:0"}})
	if err == nil {
		s.Close()
		t.Fatal("the program serves 0.0.0.0 with auth off")
	}
	if !strings.Contains(err.Error(), "RUNTIME_API_KEY") {
		t.Errorf("the refusal must say what to set: %v", err)
	}
}
