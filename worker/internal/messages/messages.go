// Package messages is a small stand-in of Anthropic's Messages API, enough for
// the real Claude CLI to run against: POST /v1/messages as JSON and as an event
// stream, and POST /v1/messages/count_tokens. There is no model behind it: it
// answers "stand-in: " and the last text of the last user message.
//
// What it does is chosen by lines of that text:
//
//	messages-api: status N [SECONDS]   fail with status N, and a Retry-After
//	messages-api: wait D               wait D (as in 2s) before the answer
//	messages-api: answer TEXT          answer TEXT in place of the echo
//	messages-api: bytes N              answer N times the letter x
//
// Shapes: https://docs.anthropic.com/en/api/messages,
// https://docs.anthropic.com/en/api/messages-streaming,
// https://docs.anthropic.com/en/api/errors.
package messages

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	maxBody   = 32 << 20 // the API's own limit
	maxAnswer = 8 << 20
	maxWait   = 5 * time.Minute
	directive = "messages-api: "
)

// API is the stand-in. Safe for concurrent use.
type API struct {
	// Status, when not 0, is what each call fails with, whatever it asks.
	Status int
	// Key, when not "", is the only x-api-key that is taken.
	Key string

	calls   atomic.Int64
	streams atomic.Int64
}

// Calls is how many messages were asked for, Streams how many of them as an
// event stream.
func (a *API) Calls() int64 { return a.calls.Load() }

// Streams is how many messages were answered as an event stream.
func (a *API) Streams() int64 { return a.streams.Load() }

type request struct {
	Model    string `json:"model"`
	Stream   bool   `json:"stream"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"` // a string, or blocks
	} `json:"messages"`
}

type block struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodHead || r.Method == http.MethodGet && r.URL.Path == "/":
		w.WriteHeader(http.StatusOK) // the CLI looks whether anybody is there
	case r.Method == http.MethodPost && r.URL.Path == "/v1/messages":
		a.calls.Add(1)
		a.message(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/messages/count_tokens":
		a.count(w, r)
	default:
		fail(w, http.StatusNotFound, 0, "this stand-in has no "+r.Method+" "+r.URL.Path)
	}
}

// read decodes a request, or answers why it can't.
func (a *API) read(w http.ResponseWriter, r *http.Request) (request, bool) {
	var in request
	if a.Status != 0 {
		fail(w, a.Status, 0, "the stand-in fails each call")
		return in, false
	}
	if key := r.Header.Get("X-Api-Key"); key == "" && r.Header.Get("Authorization") == "" || a.Key != "" && key != a.Key {
		fail(w, http.StatusUnauthorized, 0, "invalid x-api-key")
		return in, false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		fail(w, http.StatusBadRequest, 0, "the body is not a request: "+err.Error())
		return in, false
	}
	if in.Model == "" || len(in.Messages) == 0 {
		fail(w, http.StatusBadRequest, 0, "model and messages are required")
		return in, false
	}
	return in, true
}

func (a *API) message(w http.ResponseWriter, r *http.Request) {
	in, ok := a.read(w, r)
	if !ok {
		return
	}
	prompt := in.lastText()
	answer := "stand-in: " + strings.TrimSpace(prompt)
	for line := range strings.Lines(prompt) {
		words, ok := strings.CutPrefix(strings.TrimSpace(line), directive)
		if !ok {
			continue
		}
		word, rest, _ := strings.Cut(words, " ")
		switch word {
		case "status":
			code, after, _ := strings.Cut(rest, " ")
			fail(w, number(code, 599), number(after, 3600), "the stand-in was asked to fail")
			return
		case "wait":
			d, err := time.ParseDuration(rest)
			if err != nil || !wait(r, min(d, maxWait)) {
				return
			}
		case "answer":
			answer = rest
		case "bytes":
			answer = strings.Repeat("x", number(rest, maxAnswer))
		}
	}
	if in.Stream {
		a.streams.Add(1)
		stream(w, in, prompt, answer)
		return
	}
	m := empty(in, prompt)
	m["content"] = []block{{"text", answer}}
	m["stop_reason"] = "end_turn"
	m["usage"] = usage(tokens(prompt), tokens(answer))
	reply(w, http.StatusOK, m)
}

func (a *API) count(w http.ResponseWriter, r *http.Request) {
	if in, ok := a.read(w, r); ok {
		reply(w, http.StatusOK, map[string]int{"input_tokens": tokens(in.lastText())})
	}
}

// lastText is the last text block of the last message of the user; the CLI
// puts its own reminders before the prompt, and a system message after it.
func (in request) lastText() string {
	for i := len(in.Messages) - 1; i >= 0; i-- {
		m := in.Messages[i]
		if m.Role != "user" {
			continue
		}
		var text string
		if json.Unmarshal(m.Content, &text) == nil {
			return text
		}
		var blocks []block
		if json.Unmarshal(m.Content, &blocks) != nil {
			return ""
		}
		for _, b := range blocks {
			if b.Type == "text" {
				text = b.Text
			}
		}
		return text
	}
	return ""
}

// stream answers as server-sent events, in pieces of at most 64 KiB.
func stream(w http.ResponseWriter, in request, prompt, answer string) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	flush := http.NewResponseController(w)
	send := func(name string, fields map[string]any) bool {
		fields["type"] = name
		data, err := json.Marshal(fields)
		if err != nil {
			return false
		}
		_, err = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data)
		return err == nil && flush.Flush() == nil
	}
	ok := send("message_start", map[string]any{"message": empty(in, prompt)}) &&
		send("content_block_start", map[string]any{"index": 0, "content_block": block{"text", ""}}) &&
		send("ping", map[string]any{})
	const piece = 64 << 10
	for rest := []rune(answer); ok && len(rest) > 0; {
		n := min(piece/4, len(rest))
		ok = send("content_block_delta", map[string]any{
			"index": 0, "delta": map[string]string{"type": "text_delta", "text": string(rest[:n])},
		})
		rest = rest[n:]
	}
	_ = ok && send("content_block_stop", map[string]any{"index": 0}) &&
		send("message_delta", map[string]any{
			"delta": map[string]any{"stop_reason": "end_turn", "stop_sequence": nil},
			"usage": map[string]int{"output_tokens": tokens(answer)},
		}) && send("message_stop", map[string]any{})
}

func empty(in request, prompt string) map[string]any {
	return map[string]any{
		"id": "msg_standin", "type": "message", "role": "assistant", "model": in.Model, "content": []block{},
		"stop_reason": nil, "stop_sequence": nil, "usage": usage(tokens(prompt), 1),
	}
}

func usage(in, out int) map[string]int {
	return map[string]int{
		"input_tokens": in, "output_tokens": out, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
	}
}

// tokens is a guess; any number will do.
func tokens(s string) int { return len(s)/4 + 1 }

func number(s string, most int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return min(max(n, 0), most)
}

func wait(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-t.C:
		return true
	}
}

var kinds = map[int]string{
	400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
	413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error",
}

// fail answers an error in the API's shape. A status that is no error is 500.
func fail(w http.ResponseWriter, status, retryAfter int, message string) {
	if status < 400 {
		status = http.StatusInternalServerError
	}
	kind, ok := kinds[status]
	if !ok {
		kind = "api_error"
	}
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	reply(w, status, map[string]any{
		"type": "error", "error": map[string]string{"type": kind, "message": message}, "request_id": "req_standin",
	})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_standin")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller that left needs no answer
}
