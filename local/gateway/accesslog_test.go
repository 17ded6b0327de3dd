package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
)

func TestAccessLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewAccessLog(&out)
	g := with(t, Options{Stack: testStack("POST /a/{id}"), Access: log}, echo(), allowAll())
	send(g, "POST", "/a/the-id?q=the-query", strings.NewReader("the-body"), "X-Runtime-API-Key: good", "User-Agent: the-agent")
	send(g, "POST", "/a/the-id", strings.NewReader("the-body"), "X-Runtime-API-Key: the-wrong-key")
	send(g, "EVIL-METHOD-OF-20CHRS", "/the-path", nil)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"the-", "good"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, out.String())
		}
	}
	d := json.NewDecoder(&out)
	for _, want := range []map[string]any{
		{"method": "POST", "resource": "/a/{id}", "status": 200.0, "ip": "192.0.2.1", "principal": "admin"},
		{"method": "POST", "resource": "/a/{id}", "status": 401.0, "ip": "192.0.2.1", "principal": ""},
		{"method": "EVIL-METHOD-OF-2", "resource": "", "status": 404.0, "ip": "192.0.2.1", "principal": ""},
	} {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		for k, v := range want {
			if line[k] != v {
				t.Errorf("%s is %v, want %v", k, line[k], v)
			}
		}
		if line["bytes"].(float64) < 50 || line["ms"].(float64) < 0 || len(line["request_id"].(string)) != 36 || line["time"] == "" || len(line) != 9 {
			t.Errorf("line: %v", line)
		}
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		t.Errorf("there is more: %v", err)
	}
}

// blocked is a writer that does not come back until it is let go.
type blocked struct {
	entered, release chan struct{}
	once             sync.Once
	out              bytes.Buffer
}

func (b *blocked) Write(p []byte) (int, error) {
	b.once.Do(func() { close(b.entered) })
	<-b.release
	return b.out.Write(p)
}

func TestAccessLogDropsWhatTheDiskCannotTake(t *testing.T) {
	t.Parallel()
	w := &blocked{entered: make(chan struct{}), release: make(chan struct{})}
	log := NewAccessLog(w)
	g := with(t, Options{Stack: testStack("open GET /a"), Access: log}, saying(`{"statusCode":200}`), allowAll())
	send(g, "GET", "/a", nil)
	<-w.entered
	log.mu.Lock()
	log.pending = append(log.pending, bytes.Repeat([]byte("\n"), maxPending+1)...) // stands for many lines
	log.mu.Unlock()
	send(g, "GET", "/a", nil)
	send(g, "GET", "/a", nil)
	close(w.release)
	_ = log.Close()
	if s := w.out.String(); strings.Count(s, "request_id") != 1 || !strings.HasSuffix(s, "{\"dropped_lines\":2}\n") {
		t.Errorf("%d lines, end %q", strings.Count(s, "request_id"), s[max(0, len(s)-40):])
	}
}
