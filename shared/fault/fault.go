// Package fault holds the errors that callers of the API see: a code for
// programs, a sentence for people, and, for bad input, the rule each field
// broke. Whatever is not a fault is internal: it is logged, never sent.
package fault

import (
	"errors"
	"fmt"
)

// Code is the machine word of an error body.
type Code string

// The codes that the functions answer. The gateway answers unauthorized,
// forbidden, throttled, method_not_allowed and timeout by itself.
const (
	Invalid     Code = "invalid"               // the input breaks a rule; Fields says which
	NotFound    Code = "not_found"             // the object named by the path does not exist
	Conflict    Code = "conflict"              // the object is in a state that forbids the call
	LeaseLost   Code = "lease_lost"            // the lease named is not, or no longer, the one that counts
	NoWorker    Code = "no_worker"             // no worker can take the task now; ask again later
	TooLarge    Code = "too_large"             // the payload is over a limit
	Unavailable Code = "unavailable"           // a store did not answer or is overloaded; ask again later
	Unreachable Code = "membridge_unreachable" // Membridge did not answer, or not with what it should
	Refused     Code = "membridge_refused"     // Membridge refused the call; the sentence and the status are its own
	Internal    Code = "internal"              // a defect; the log has the cause under the request id
)

// Error is an error that may be shown to a caller. Message and Fields are
// shown; Err is logged.
type Error struct {
	Code    Code
	Message string              // one sentence that says what to do
	Fields  map[string][]string // field path → rules it broke; only with Invalid
	Err     error               // the cause, if there is one
}

// New returns an error with a code and a formatted sentence.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because returns e with its cause.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// Error gives the sentence and the cause, for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return string(e.Code) + ": " + e.Message + ": " + e.Err.Error()
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the fault within err; Internal for any other
// error, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var f *Error
	if errors.As(err, &f) {
		return f.Code
	}
	return Internal
}

// Is reports whether err carries code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
