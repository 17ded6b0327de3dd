package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/worker/internal/client"
	"github.com/bloom-runtime/bloom/worker/internal/process"
)

const claudeObject = `{"type":"result","subtype":"success","is_error":%v,"api_error_status":%s,"result":%q,` +
	`"usage":{"input_tokens":1,"cache_creation_input_tokens":2,"cache_read_input_tokens":3,"output_tokens":4}}`

func object(isError bool, status, text string) []byte {
	return fmt.Appendf(nil, claudeObject, isError, status, text)
}

func TestReport(t *testing.T) {
	t.Parallel()
	noise := []byte("some\x00noise\xff")
	tests := []struct {
		name      string
		res       process.Result
		output    string // "-" = none
		message   string // "-" = none
		outcome   string
		retryable bool
		rest      bool
		tokens    int64 // -1 = null
	}{
		{"plain text", process.Result{Stdout: []byte("hello\n")}, "hello\n", "-", "success", false, false, -1},
		{"nothing printed", process.Result{}, "", "-", "success", false, false, -1},
		{"not UTF-8", process.Result{Stdout: []byte("a\xff\xfeb\x00c\xe2\x82")}, "a\uFFFDb\uFFFDc\uFFFD", "-", "success", false, false, -1},
		{"claude", process.Result{Stdout: object(false, "null", "four")}, "four", "-", "success", false, false, 10},
		{"claude refused", process.Result{Stdout: object(true, "400", "bad prompt"), ExitCode: 1}, "-", "bad prompt", "model_error", false, false, 10},
		{"claude overloaded", process.Result{Stdout: object(true, "529", "busy"), ExitCode: 1}, "-", "busy", "model_error", true, true, 10},
		{"claude without a word", process.Result{Stdout: object(true, "null", ""), ExitCode: 1}, "-", "the CLI reports an error (success)", "model_error", true, true, 10},
		{"claude succeeds, its process does not", process.Result{Stdout: object(false, "null", "four"), ExitCode: 7},
			"-", "the command ended with exit status 7", "exit_status", true, false, -1},
		{"claude cut off", process.Result{Stdout: object(false, "null", "four")[:60]}, "-", "the CLI's result is cut off", "result_cut_off", true, false, -1},
		{"exit status", process.Result{ExitCode: 3, Stderr: noise, Stdout: []byte("part")},
			"-", "the command ended with exit status 3; it wrote: some\uFFFDnoise\uFFFD", "exit_status", true, false, -1},
		{"signal", process.Result{ExitCode: -1, Signal: syscall.SIGSEGV}, "-", "the command was ended by a signal (segmentation fault)", "signal", true, false, -1},
		{"timeout", process.Result{ExitCode: -1, Signal: syscall.SIGTERM, Cause: process.ErrTimeout, Stderr: noise},
			"-", "the command ran longer than the task's 9 s and was stopped; it wrote: some\uFFFDnoise\uFFFD", "timeout", true, false, -1},
		{"too much output", process.Result{ExitCode: -1, Cause: process.ErrOutputLimit}, "-", "the command printed more than 10551296 bytes and was stopped", "output_too_large", false, false, -1},
		{"output over the limit", process.Result{Stdout: make([]byte, maxOutput+1)}, "-", "the output has 15728643 bytes; at most 5242880 are allowed", "output_too_large", false, false, -1},
		{"stopped", process.Result{ExitCode: -1, Cause: errStopped}, "-", "worker stopped", "stopped", true, false, -1},
		{"stopped otherwise", process.Result{ExitCode: -1, Cause: errors.New("why")}, "-", "the command was stopped: why", "stopped", true, false, -1},
		{"not found", process.Result{ExitCode: -1, StartErr: &exec.Error{Name: "claude", Err: exec.ErrNotFound}},
			"-", `the worker could not start "claude": exec: "claude": executable file not found in $PATH`, "not_started", true, true, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.res.Duration = 1500 * time.Millisecond
			r := newReport(client.Task{Policy: client.Policy{TimeoutSec: 9}, DesiredFormat: "text"}, "claude", tt.res)
			c := r.completion
			if got := or(c.Output); got != tt.output {
				t.Errorf("output %.100q", got)
			}
			if got := or(c.ErrorMessage); got != tt.message {
				t.Errorf("message %q", got)
			}
			if r.outcome != tt.outcome || c.Retryable != tt.retryable || r.rest != tt.rest || c.Metrics.DurationMS != 1500 {
				t.Errorf("outcome %s, retryable %v, rest %v, %d ms", r.outcome, c.Retryable, r.rest, c.Metrics.DurationMS)
			}
			if (c.Metrics.TokensUsed == nil) != (tt.tokens < 0) || c.Metrics.TokensUsed != nil && *c.Metrics.TokensUsed != tt.tokens {
				t.Errorf("tokens %v", c.Metrics.TokensUsed)
			}
			if (c.Status == client.Success) != (c.Output != nil) || (c.Status == client.Error) != (c.ErrorMessage != nil) {
				t.Errorf("status %s", c.Status)
			}
		})
	}
}

func or(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	task := client.Task{DesiredFormat: "json"}
	r := newReport(task, "claude", process.Result{Stdout: object(false, "null", `{"a":1}`)})
	if got := *r.completion.Output; got != `{"a":1}` {
		t.Errorf("JSON text: %s", got)
	}
	whole := object(false, "null", "four")
	r = newReport(task, "claude", process.Result{Stdout: append(whole, '\n')})
	if got := *r.completion.Output; got != string(whole) {
		t.Errorf("other text: %s", got)
	}
}

func TestFailureFits(t *testing.T) {
	t.Parallel()
	euro := strings.Repeat("€", 20000)
	for _, r := range []report{
		failure("x", true, "short", []byte(euro)),
		failure("x", true, euro, []byte(euro)),
		failure("x", true, strings.Repeat("a", maxMessage), []byte("b")),
		failure("x", true, strings.Repeat("a", maxMessage-3), []byte("b")),
		failure("x", true, "short", []byte(strings.Repeat("\xff", 30000))),
	} {
		m := *r.completion.ErrorMessage
		if len(m) > maxMessage || !utf8.ValidString(m) || m == "" {
			t.Errorf("%d bytes, valid %v", len(m), utf8.ValidString(m))
		}
	}
	if m := *failure("x", true, "short", []byte("early "+euro+" the end")).completion.ErrorMessage; !strings.HasPrefix(m, "short; it wrote: €") || !strings.HasSuffix(m, "the end") {
		t.Errorf("%.60s", m)
	}
}
