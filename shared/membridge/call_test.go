package membridge

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// TestPost sends the body, with the key, with every try.
func TestPost(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.URL.Path != "/projects/c/leadership/select" || string(body) != `{"a":1}` ||
			r.Header.Get(AdminHeader) != key || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %s %v", r.Method, r.URL, body, r.Header)
		}
		if calls.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"ok":true}`))
	}))
	defer srv.Close()
	got, err := client(3).Post(t.Context(), Server{srv.URL, key}, "/projects/c/leadership/select", []byte(`{"a":1}`))
	if err != nil || string(got) != `{"ok":true}` || calls.Load() != 3 {
		t.Errorf("%s %v after %d calls", got, err, calls.Load())
	}
}

// TestDetail: a refusal keeps Membridge's own sentence, made fit to be shown, and never the key.
func TestDetail(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"detail":"Agent 'x' not found"}`: "Agent 'x' not found",
		`{"detail":[{"type":"missing","loc":["body","url"],"msg":"Field required","input":{}},{"loc":["body","labels",0],"msg":"no"}]}`: "body.url: Field required; body.labels.0: no",
		`{"detail":"the key ` + key + ` is wrong"}`:                       "",
		`{"detail":"a\nb\u0007c \u202e` + strings.Repeat("x", 500) + `"}`: "a b c  " + strings.Repeat("x", 293) + "…",
		`{"error":"other"}`: "",
		`<html>no</html>`:   "",
		``:                  "",
		`{"detail":5}`:      "",
	} {
		for _, status := range []int{400, 404, 422} {
			_, err := client(3).Get(t.Context(), answering(t, status, body), "/x")
			refused, ok := errors.AsType[*StatusError](err)
			if !ok || refused.Status != status || refused.Detail != want || strings.Contains(err.Error(), key) {
				t.Errorf("%d %s: %#v", status, body, err)
			}
		}
	}
}

func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"169.254.169.254", "169.254.170.2", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254",
		"fd20:ce::254", "168.63.129.16", "100.100.100.200", "224.0.0.1", "ff02::1", "::ffff:168.63.129.16"} {
		if !refused(netip.MustParseAddr(a)) {
			t.Errorf("%s is not refused", a)
		}
		host := a
		if strings.Contains(a, ":") {
			host = "[" + strings.ReplaceAll(a, "%", "%25") + "]"
		}
		if ValidateURL("http://"+host+"/") == nil {
			t.Errorf("http://%s/ is taken", host)
		}
		if err := refuseLinkLocal("tcp", strings.ReplaceAll(host, "%25", "%")+":80", nil); err == nil {
			t.Errorf("%s is dialled", host)
		}
	}
	for _, a := range []string{"127.0.0.1", "::1", "10.0.0.1", "192.168.1.50", "100.64.0.1", "8.8.8.8", "fd00::1", "64:ff9b::808:808"} {
		if refused(netip.MustParseAddr(a)) {
			t.Errorf("%s is refused", a)
		}
	}
}

// TestRuntimeAPIIsRefused: a function's own runtime API is on its loopback.
func TestRuntimeAPIIsRefused(t *testing.T) { // not parallel: it changes what the whole process refuses
	var called atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
	defer srv.Close()
	was := runtimeAPI
	runtimeAPI = strings.TrimPrefix(srv.URL, "http://")
	defer func() { runtimeAPI = was }()
	if _, err := client(0).Health(t.Context(), Server{srv.URL, key}); err == nil || called.Load() || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v, called %v", err, called.Load())
	}
}
