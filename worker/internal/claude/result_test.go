package claude

import (
	"encoding/json"
	"testing"
)

// Objects as version 2.1 of the CLI prints them, cut to the fields that count.
const (
	success = `{"type":"result","subtype":"success","is_error":false,"api_error_status":null,"duration_ms":94,"num_turns":1,
		"result":"four","session_id":"s-1","total_cost_usd":0.25,"terminal_reason":"completed",
		"usage":{"input_tokens":10,"cache_creation_input_tokens":200,"cache_read_input_tokens":3000,"output_tokens":40000}}`
	badRequest = `{"type":"result","subtype":"success","is_error":true,"api_error_status":400,"result":"Prompt is too long",
		"terminal_reason":"prompt_too_long","usage":{"input_tokens":0,"output_tokens":0}}`
	rateLimit   = `{"type":"result","subtype":"success","is_error":true,"api_error_status":429,"result":"API Error: Request rejected (429)"}`
	overloaded  = `{"type":"result","subtype":"success","is_error":true,"api_error_status":529,"result":"API Error: 529 Overloaded."}`
	wrongKey    = `{"type":"result","subtype":"success","is_error":true,"api_error_status":401,"result":"Invalid API key"}`
	noNetwork   = `{"type":"result","subtype":"success","is_error":true,"api_error_status":null,"result":"API Error: Unable to connect to API (ConnectionRefused)"}`
	tooManyTurn = `{"type":"result","subtype":"error_max_turns","is_error":true,"errors":["Reached maximum number of turns (1)"]}`
	crashed     = `{"type":"result","subtype":"error_during_execution","is_error":true,"errors":["a","b"]}`
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, text  string
		tokens          int64
		isError         bool
		retryable, rest bool
	}{
		{"success", success, "four", 43210, false, true, false},
		{"surrounded by blanks", "\n " + success + "\n\n", "four", 43210, false, true, false},
		{"bad request", badRequest, "Prompt is too long", 0, true, false, false},
		{"rate limit", rateLimit, "API Error: Request rejected (429)", -1, true, true, true},
		{"overloaded", overloaded, "API Error: 529 Overloaded.", -1, true, true, true},
		{"wrong key", wrongKey, "Invalid API key", -1, true, true, true},
		{"no network", noNetwork, "API Error: Unable to connect to API (ConnectionRefused)", -1, true, true, true},
		{"turns used up", tooManyTurn, "Reached maximum number of turns (1)", -1, true, false, false},
		{"crashed", crashed, "a; b", -1, true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, ok := Parse([]byte(tt.in))
			if !ok {
				t.Fatal("not recognised")
			}
			if r.Text != tt.text || r.Tokens != tt.tokens || r.IsError != tt.isError {
				t.Errorf("got %+v", r)
			}
			if r.Retryable() != tt.retryable || r.Rest() != tt.rest {
				t.Errorf("retryable %v, rest %v", r.Retryable(), r.Rest())
			}
		})
	}
}

func TestParseRefusesOtherPrograms(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", " ", "four", "{", "[]", "null", `{"type":"result"}`, `{"type":"result","subtype":"success"}`,
		`{"type":"assistant","subtype":"success","is_error":false}`, success + success,
		`{"type":"result","subtype":7,"is_error":false}`,
	} {
		if r, ok := Parse([]byte(in)); ok {
			t.Errorf("%q was taken for a result: %+v", in, r)
		}
	}
}

func TestCutOff(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		success: false, success[:len(success)-1]: true, success[:20]: true, "\n" + success[:90]: true,
		"": false, "four": false, `{"type":"result"}`: false, `{"type":"assistant","te`: false,
	} {
		if got := CutOff([]byte(in)); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestOutputJSON(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{`{"a":1}`, `{"a":1}`},
		{" [1,2]\n", `[1,2]`},
		{"```json\n{\"a\":1}\n```", `{"a":1}`},
		{"```\n7\n```\n", `7`},
		{"four", ""}, // "" stands for the whole object
		{"```json\nfour\n```", ""},
		{"```", ""},
		{"", ""},
	}
	for _, tt := range tests {
		in, err := json.Marshal(map[string]any{"type": "result", "subtype": "success", "is_error": false, "result": tt.text})
		if err != nil {
			t.Fatal(err)
		}
		r, ok := Parse(in)
		if !ok {
			t.Fatalf("%s: not recognised", in)
		}
		want := tt.want
		if want == "" {
			want = string(in)
		}
		if got := r.Output(true); got != want {
			t.Errorf("%q: got %s, want %s", tt.text, got, want)
		}
		if got := r.Output(false); got != tt.text {
			t.Errorf("%q as text: got %q", tt.text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{success, badRequest, crashed, `{"type":"result"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, ok := Parse(in)
		if ok && (r.Tokens < -1 || !json.Valid([]byte(r.Output(true)))) {
			t.Fatalf("%q gave %+v", in, r)
		}
	})
}
