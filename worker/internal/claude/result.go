// Package claude reads what `claude -p --output-format json` prints: one JSON
// object with the model's text, what it cost, and how it failed.
package claude

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Result is the CLI's last word. Fields that it does not print are zero.
type Result struct {
	// Text is the model's answer, or the error's sentence when IsError.
	Text string
	// Subtype is "success", or names what ended the run: error_max_turns,
	// error_during_execution, …. A failed API call has the subtype "success" too.
	Subtype string
	IsError bool
	// APIStatus is the HTTP status of the Messages API that ended the run, 0
	// when none did (no connection, no login, the CLI's own limits).
	APIStatus int
	// TerminalReason is a word such as completed or prompt_too_long.
	TerminalReason string
	// Tokens is everything the provider counted: input, output, and cache
	// written and read. -1 when the CLI told nothing.
	Tokens    int64
	CostUSD   float64
	SessionID string
	whole     json.RawMessage
}

type wire struct {
	Type           string   `json:"type"`
	Subtype        *string  `json:"subtype"`
	IsError        *bool    `json:"is_error"`
	Result         *string  `json:"result"`
	Errors         []string `json:"errors"`
	APIStatus      *int     `json:"api_error_status"`
	TerminalReason string   `json:"terminal_reason"`
	SessionID      string   `json:"session_id"`
	CostUSD        float64  `json:"total_cost_usd"`
	Usage          *struct {
		Input         int64 `json:"input_tokens"`
		Output        int64 `json:"output_tokens"`
		CacheCreation int64 `json:"cache_creation_input_tokens"`
		CacheRead     int64 `json:"cache_read_input_tokens"`
	} `json:"usage"`
}

// Parse reads stdout and reports whether it is the CLI's result object. Any
// other text, the output of another program, is not one: an object counts only
// with type "result", a subtype and is_error.
func Parse(stdout []byte) (Result, bool) {
	stdout = bytes.TrimSpace(stdout)
	if len(stdout) == 0 || stdout[0] != '{' {
		return Result{}, false
	}
	var w wire
	if json.Unmarshal(stdout, &w) != nil || w.Type != "result" || w.Subtype == nil || w.IsError == nil {
		return Result{}, false
	}
	r := Result{
		Subtype: *w.Subtype, IsError: *w.IsError, TerminalReason: w.TerminalReason,
		SessionID: w.SessionID, CostUSD: w.CostUSD, Tokens: -1, whole: stdout,
	}
	if w.Result != nil {
		r.Text = *w.Result
	} else {
		r.Text = strings.Join(w.Errors, "; ")
	}
	if w.APIStatus != nil {
		r.APIStatus = *w.APIStatus
	}
	if u := w.Usage; u != nil {
		r.Tokens = 0
		for _, n := range []int64{u.Input, u.Output, u.CacheCreation, u.CacheRead} {
			r.Tokens += min(max(0, n), 1<<50) // a wild number must not overflow the sum
		}
	}
	return r, true
}

// CutOff reports whether stdout is the beginning of a result object and no more.
func CutOff(stdout []byte) bool {
	stdout = bytes.TrimSpace(stdout)
	return bytes.HasPrefix(stdout, []byte(`{"type":"result",`)) && !json.Valid(stdout)
}

// Output is what a task gets. With wantJSON it is always valid JSON: the
// model's text when that is JSON by itself or inside one fenced block, else
// the CLI's whole object, whose "result" holds the text.
func (r Result) Output(wantJSON bool) string {
	if !wantJSON {
		return r.Text
	}
	text := strings.TrimSpace(r.Text)
	if inner, ok := unfence(text); ok {
		text = inner
	}
	if json.Valid([]byte(text)) {
		return text
	}
	return string(r.whole)
}

// unfence takes the inside of a text that is one ``` block and nothing else.
func unfence(s string) (string, bool) {
	if !strings.HasPrefix(s, "```") || !strings.HasSuffix(s, "```") {
		return "", false
	}
	_, body, ok := strings.Cut(strings.TrimSuffix(s, "```"), "\n")
	return strings.TrimSpace(body), ok
}

// Retryable says whether the same prompt may succeed another time or on
// another worker. It is meant for a Result with IsError.
//
//   - The API said that the request itself is wrong (400, 404, 413, 422): no.
//   - The prompt is too long, or the run met a limit that it would meet again
//     (turns, budget): no.
//   - Anything else: yes. That is a busy or failing API (408, 409, 429, 5xx), no
//     connection, and a login, key or credit that this worker lacks (401, 402,
//     403): another worker may have it.
func (r Result) Retryable() bool {
	switch r.APIStatus {
	case 400, 404, 413, 422:
		return false
	}
	if r.TerminalReason == "prompt_too_long" {
		return false
	}
	return !strings.HasPrefix(r.Subtype, "error_max_")
}

// Rest says that the cause lies with this worker, not with the task (login,
// key, credit, rate or connection): it should take no more work for a while.
func (r Result) Rest() bool {
	if !r.IsError || !r.Retryable() {
		return false
	}
	switch r.APIStatus {
	case 401, 402, 403, 429:
		return true
	}
	return r.APIStatus >= 500 || (r.APIStatus == 0 && r.Subtype == "success")
}
