package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// APIError is an answer other than 2xx.
type APIError struct {
	Status     int
	Code       string        // the server's machine word; "" when the body is not the API's error shape
	Message    string        // the server's sentence, or what stands in for one
	RetryAfter time.Duration // 0 = not stated
}

func (e *APIError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the server answered %d: %s", e.Status, e.Message)
	}
	return fmt.Sprintf("the server answered %d %s: %s", e.Status, e.Code, e.Message)
}

// Kinds of failure that callers tell apart. An error has at most one of them;
// one with none (network, 5xx, 429, an answer that can't be read) is worth
// another try later.

// Gone reports 404: the worker, task or lease does not exist. A 404 that does
// not have the API's shape comes from something in between and is not meant.
func Gone(err error) bool { return status(err, http.StatusNotFound) }

// Conflict reports 409: the lease is lost, or the task is in another state.
func Conflict(err error) bool { return status(err, http.StatusConflict) }

// Refused reports 400, 413 or 422: the body will never be taken as it is.
// Here a body in a foreign shape counts too: proxies have size limits.
func Refused(err error) bool {
	var e *APIError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// Denied reports 401 or 403: the key is wrong, missing or not for workers.
func Denied(err error) bool {
	var e *APIError
	return errors.As(err, &e) && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// RetryAfter is how long the server asked to be left alone, 0 when it did not.
func RetryAfter(err error) time.Duration {
	var e *APIError
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}

func status(err error, want int) bool {
	var e *APIError
	return errors.As(err, &e) && e.Status == want && e.Code != ""
}

// maxRetryAfter bounds what a server can make a worker wait: a wrong header
// must not silence it for a day.
const maxRetryAfter = 5 * time.Minute

func newAPIError(res *http.Response, body []byte) *APIError {
	e := &APIError{Status: res.StatusCode, RetryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	var shape struct {
		Error string `json:"error"`
		Code  string `json:"code"`
	}
	if json.Unmarshal(body, &shape) == nil && shape.Error != "" {
		e.Code, e.Message = shape.Code, clean(shape.Error)
		return e
	}
	e.Message = http.StatusText(res.StatusCode)
	if to := res.Header.Get("Location"); to != "" {
		e.Message = "it redirects to " + clean(to) + "; give that address with -url"
	}
	return e
}

// clean makes a foreign sentence fit for one line of a log.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if r := []rune(s); len(r) > 500 {
		s = string(r[:500]) + "…"
	}
	return s
}

// retryAfter reads seconds or an HTTP date (RFC 9110, 10.2.3).
func retryAfter(v string, now time.Time) time.Duration {
	if v == "" {
		return 0
	}
	var d time.Duration
	if s, err := strconv.ParseUint(v, 10, 32); err == nil {
		d = time.Duration(s) * time.Second
	} else if at, err := http.ParseTime(v); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
