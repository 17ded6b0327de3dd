package messages

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func call(t *testing.T, a *API, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	s := httptest.NewServer(a)
	defer s.Close()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Api-Key", "k")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(out)
}

// ask has the shape of the CLI's own request: reminders before the prompt, a
// system message after it.
func ask(t *testing.T, prompt string, stream bool) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"model": "m", "stream": stream, "max_tokens": 10,
		"messages": []any{
			map[string]any{"role": "user", "content": []block{{"text", "<system-reminder>"}, {"text", prompt}}},
			map[string]any{"role": "system", "content": "more"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMessage(t *testing.T) {
	t.Parallel()
	tests := []struct{ prompt, want string }{
		{"hello\n", "stand-in: hello"},
		{"messages-api: answer four", "four"},
		{"messages-api: wait 1ms\nmessages-api: bytes 5", "xxxxx"},
	}
	for _, tt := range tests {
		a := &API{}
		status, _, body := call(t, a, http.MethodPost, "/v1/messages?beta=true", ask(t, tt.prompt, false))
		var out struct {
			Content    []block
			StopReason string         `json:"stop_reason"`
			Usage      map[string]int `json:"usage"`
		}
		if err := json.Unmarshal([]byte(body), &out); err != nil || status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if len(out.Content) != 1 || out.Content[0].Text != tt.want || out.StopReason != "end_turn" || out.Usage["output_tokens"] < 1 || a.Calls() != 1 {
			t.Errorf("%s", body)
		}
	}
	if _, _, body := call(t, &API{}, http.MethodPost, "/v1/messages", `{"model":"m","messages":[{"role":"user","content":"plain"}]}`); !strings.Contains(body, "stand-in: plain") {
		t.Errorf("string content: %s", body)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	a := &API{}
	_, header, body := call(t, a, http.MethodPost, "/v1/messages", ask(t, "messages-api: bytes 100000", true))
	if header.Get("Content-Type") != "text/event-stream" || a.Streams() != 1 {
		t.Fatalf("%v", header)
	}
	var names []string
	text := 0
	for event := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		name, data, _ := strings.Cut(event, "\ndata: ")
		var e struct {
			Type  string
			Delta struct{ Text string }
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil || "event: "+e.Type != name {
			t.Fatalf("event %.100q: %v", event, err)
		}
		if len(names) == 0 || names[len(names)-1] != e.Type {
			names = append(names, e.Type)
		}
		text += len(e.Delta.Text)
	}
	if got := strings.Join(names, " "); got != "message_start content_block_start ping content_block_delta content_block_stop message_delta message_stop" || text != 100000 {
		t.Errorf("%s with %d bytes", got, text)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	fine := ask(t, "hello", false)
	tests := []struct {
		name   string
		api    *API
		path   string
		body   string
		header []string
		status int
		kind   string
	}{
		{"asked to fail", &API{}, "/v1/messages", ask(t, "messages-api: status 529", true), nil, 529, "overloaded_error"},
		{"asked to fail later", &API{}, "/v1/messages", ask(t, "x\nmessages-api: status 429 7", false), nil, 429, "rate_limit_error"},
		{"asked for nonsense", &API{}, "/v1/messages", ask(t, "messages-api: status ok", false), nil, 500, "api_error"},
		{"failing", &API{Status: 418}, "/v1/messages", fine, nil, 418, "api_error"},
		{"no key", &API{}, "/v1/messages", fine, []string{"X-Api-Key", ""}, 401, "authentication_error"},
		{"wrong key", &API{Key: "other"}, "/v1/messages", fine, nil, 401, "authentication_error"},
		{"not JSON", &API{}, "/v1/messages", "{", nil, 400, "invalid_request_error"},
		{"no messages", &API{}, "/v1/messages", `{"model":"m"}`, nil, 400, "invalid_request_error"},
		{"unknown path", &API{}, "/v1/models", fine, nil, 404, "not_found_error"},
		{"count fails too", &API{Status: 529}, "/v1/messages/count_tokens", fine, nil, 529, "overloaded_error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, header, body := call(t, tt.api, http.MethodPost, tt.path, tt.body, tt.header...)
			if status != tt.status || !strings.Contains(body, tt.kind) {
				t.Errorf("%d %s", status, body)
			}
			if tt.status == 429 && header.Get("Retry-After") != "7" {
				t.Errorf("Retry-After %q", header.Get("Retry-After"))
			}
		})
	}
}

func TestOtherCalls(t *testing.T) {
	t.Parallel()
	if status, _, _ := call(t, &API{}, http.MethodHead, "/", ""); status != 200 {
		t.Errorf("HEAD: %d", status)
	}
	if _, _, body := call(t, &API{}, http.MethodPost, "/v1/messages/count_tokens", ask(t, "12345678", false)); body != "{\"input_tokens\":3}\n" {
		t.Errorf("count: %s", body)
	}
}
