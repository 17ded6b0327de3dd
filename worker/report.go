package main

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/worker/internal/claude"
	"github.com/bloom-runtime/bloom/worker/internal/client"
	"github.com/bloom-runtime/bloom/worker/internal/process"
)

// Limits of the API and of what is kept of a run, bytes.
const (
	maxOutput  = 5 << 20
	maxMessage = 16 << 10
	// maxStdout leaves room for the CLI's object around an output of maxOutput,
	// with its escapes.
	maxStdout = 2*maxOutput + 64<<10
	maxStderr = 16 << 10
)

// errStopped: the worker is stopping and gives its work back.
var errStopped = errors.New("the worker is stopping")

// report is what is known of a run's end.
type report struct {
	completion client.Completion // without its lease
	outcome    string            // one word for the log, which must not show the message
	rest       bool              // the worker is the cause: it should pause before it claims again
}

// newReport turns the end of a run into what the server is told.
func newReport(t client.Task, command string, res process.Result) report {
	r := judge(t, command, res)
	r.completion.Metrics.DurationMS = max(0, res.Duration.Milliseconds())
	if r.completion.Output != nil && len(*r.completion.Output) > maxOutput {
		tokens := r.completion.Metrics
		r = failure("output_too_large", false, fmt.Sprintf("the output has %d bytes; at most %d are allowed",
			len(*r.completion.Output), maxOutput), nil)
		r.completion.Metrics = tokens
	}
	return r
}

func judge(t client.Task, command string, res process.Result) report {
	switch {
	case res.StartErr != nil:
		r := failure("not_started", true, fmt.Sprintf("the worker could not start %q: %v", command, res.StartErr), nil)
		r.rest = true
		return r
	case errors.Is(res.Cause, errStopped):
		return failure("stopped", true, "worker stopped", nil)
	case errors.Is(res.Cause, process.ErrTimeout):
		return failure("timeout", true, fmt.Sprintf("the command ran longer than the task's %d s and was stopped",
			t.Policy.TimeoutSec), res.Stderr)
	case errors.Is(res.Cause, process.ErrOutputLimit):
		return failure("output_too_large", false, fmt.Sprintf("the command printed more than %d bytes and was stopped",
			maxStdout), res.Stderr)
	case res.Cause != nil:
		return failure("stopped", true, fmt.Sprintf("the command was stopped: %v", res.Cause), res.Stderr)
	}
	if c, ok := claude.Parse(res.Stdout); ok && (c.IsError || res.ExitCode == 0) {
		return fromClaude(t, c)
	}
	switch {
	case res.ExitCode == 0 && claude.CutOff(res.Stdout):
		return failure("result_cut_off", true, "the CLI's result is cut off", res.Stderr)
	case res.Signal != 0:
		return failure("signal", true, fmt.Sprintf("the command was ended by a signal (%v)", res.Signal), res.Stderr)
	case res.ExitCode != 0:
		return failure("exit_status", true, fmt.Sprintf("the command ended with exit status %d", res.ExitCode), res.Stderr)
	}
	return success(string(res.Stdout))
}

func fromClaude(t client.Task, c claude.Result) report {
	r := success(c.Output(t.DesiredFormat == "json"))
	if c.IsError {
		text := c.Text
		if strings.TrimSpace(text) == "" {
			text = "the CLI reports an error (" + c.Subtype + ")"
		}
		r = failure("model_error", c.Retryable(), text, nil)
		r.rest = c.Rest()
	}
	if c.Tokens >= 0 {
		r.completion.Metrics.TokensUsed = &c.Tokens
	}
	return r
}

func success(output string) report {
	output = text(output)
	return report{outcome: "success", completion: client.Completion{Status: client.Success, Output: &output}}
}

// failure has the sentence first and then as much of the end of stderr as
// there is room for.
func failure(outcome string, retryable bool, sentence string, stderr []byte) report {
	msg := text(sentence)
	if len(msg) > maxMessage {
		msg = strings.ToValidUTF8(msg[:maxMessage-len("…")], "") + "…"
	}
	if end := strings.TrimSpace(text(string(stderr))); end != "" {
		const between = "; it wrote: "
		if room := maxMessage - len(msg) - len(between); room > 0 {
			msg += between + lastBytes(end, room)
		}
	}
	return report{outcome: outcome, completion: client.Completion{
		Status: client.Error, ErrorMessage: &msg, Retryable: retryable,
	}}
}

// text makes what a program printed fit for JSON and the API: each run of bytes
// that are not UTF-8 becomes one U+FFFD, and so does each NUL.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// lastBytes is the end of s, at most n bytes, from the start of a character.
func lastBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[len(s)-n:]
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s
}
