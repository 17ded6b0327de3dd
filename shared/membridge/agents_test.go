package membridge

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/shared/worker"
)

func answering(t *testing.T, status int, body string) Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	return Server{srv.URL, key}
}

// TestAgents reads what the original sends, what the built-in one sends, and every kind of nonsense beside it: one bad agent
// does not spoil the others and is named.
func TestAgents(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 129)
	body := `[
		{"name":"original","url":"http://192.168.1.50:8011","status":"unknown","registered_at":1795525380.003992,"last_seen":null},
		{"name":"synced","url":"","status":"online","registered_at":1795525380.1,"last_seen":1795525390.1239},
		{"name":"seed","status":"online","capabilities":{"claude_cli":true,"max_concurrency":2,"labels":["production"]},"ip_addrs":["10.0.0.1"]},
		{"name":"empty","capabilities":{},"ip_addrs":[]},
		{"name":"nulls","url":null,"status":null,"capabilities":null,"ip_addrs":null,"last_seen":null},
		{"name":"odd status","status":"sleeping"},
		5, null, "x", [], {}, {"name":null}, {"name":7}, {"name":""},
		{"name":"a/b"}, {"name":".."}, {"name":"a\u0000b"}, {"name":"` + long + `"},
		{"name":"bad-url","url":"file:///etc/passwd"}, {"name":"bad-metadata","url":"http://169.254.169.254/"}, {"name":"bad-url-type","url":5},
		{"name":"bad-status","status":5}, {"name":"bad-seen","last_seen":"yesterday"}, {"name":"bad-time","last_seen":1e300}, {"name":"bad-past","last_seen":-1},
		{"name":"bad-cap","capabilities":[]}, {"name":"bad-max","capabilities":{"max_concurrency":0}}, {"name":"bad-half","capabilities":{"max_concurrency":1.5}},
		{"name":"bad-many","capabilities":{"max_concurrency":1e9}}, {"name":"bad-cli","capabilities":{"claude_cli":"yes"}}, {"name":"bad-labels","capabilities":{"labels":[1]}},
		{"name":"bad-label","capabilities":{"labels":["a\nb"]}}, {"name":"bad-ips","ip_addrs":"10.0.0.1"},
		{"name":"seed","status":"offline"}
	]`
	good, bad, err := client(0).Agents(t.Context(), answering(t, 200, body))
	if err != nil {
		t.Fatal(err)
	}
	want := []worker.Listing{
		{Name: "original", URL: "http://192.168.1.50:8011", Status: worker.Unknown},
		{Name: "synced", Status: worker.Online, LastSeen: 1795525390124},
		{Name: "seed", Status: worker.Online, IPAddrs: []string{"10.0.0.1"}, Capabilities: &worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 2, Labels: []string{"production"}}},
		{Name: "empty", Status: worker.Unknown, IPAddrs: []string{}, Capabilities: &worker.Capabilities{ClaudeCLI: true, MaxConcurrency: 1, Labels: []string{}}},
		{Name: "nulls", Status: worker.Unknown},
		{Name: "odd status", Status: worker.Unknown},
	}
	if !reflect.DeepEqual(good, want) {
		got, _ := json.MarshalIndent(good, "", " ")
		t.Errorf("good: %s", got)
	}
	named := map[string]string{}
	for _, b := range bad {
		named[b.Name] = b.Reason
		if b.Reason == "" || strings.ContainsAny(b.Name+b.Reason, "\x00\n") {
			t.Errorf("%q: %q", b.Name, b.Reason)
		}
	}
	if len(bad) != 28 {
		t.Errorf("%d bad ones: %v", len(bad), named)
	}
	for name, reason := range map[string]string{"entry 6": "described", "entry 13": "empty name", "a/b": "must not contain", "bad-url": "http or https", "bad-metadata": "link-local",
		"bad-seen": "last_seen", "bad-time": "last_seen", "bad-max": "between 1 and 32", "bad-cli": "claude_cli", "bad-ips": "ip_addrs", "seed": "twice"} {
		if !strings.Contains(named[name], reason) {
			t.Errorf("%s: %q, want %q", name, named[name], reason)
		}
	}
}

func TestAgentsThatAreNoList(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"null", "{}", `"x"`, `{"agents":[]}`} {
		if _, _, err := client(0).Agents(t.Context(), answering(t, 200, body)); err == nil || !strings.Contains(err.Error(), "list of agents") {
			t.Errorf("%s: %v", body, err)
		}
	}
	if good, bad, err := client(0).Agents(t.Context(), answering(t, 200, "[]")); err != nil || len(good)+len(bad) != 0 {
		t.Errorf("an empty list: %v %v %v", good, bad, err)
	}
}

// FuzzReadAgent: whatever an entry is, what is taken of it can be a worker, and what is not says why.
func FuzzReadAgent(f *testing.F) {
	for _, seed := range []string{`{"name":"w","url":"http://h:1","status":"online","last_seen":1795525390.12,"ip_addrs":["a"],"capabilities":{"max_concurrency":2,"labels":["x"]}}`,
		`{"name":"a\u0000"}`, `{"NAME":"w","last_seen":1e308}`, `null`, `[]`, `{"name":"w","capabilities":{"max_concurrency":1e99}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, entry []byte) {
		l, reason := readAgent(entry)
		if reason != "" {
			return
		}
		w := worker.Sync(nil, l, 1_800_000_000_000)
		if badName(w.ID) != "" || w.URL != "" && ValidateURL(w.URL) != nil || w.Capabilities.MaxConcurrency < 1 || w.Capabilities.MaxConcurrency > 32 ||
			w.LastHeartbeat < 0 || !plausible(w.Capabilities.Labels) || !plausible(w.IPAddrs) || status((*string)(&w.Status)) != w.Status {
			t.Errorf("%q: %+v", entry, w)
		}
	})
}
