package gateway

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// refusal is an answer that the gateway gives itself. Statuses are API
// Gateway's where it has one.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
type refusal struct {
	status   int
	code     string
	sentence string
}

var (
	errBadHost        = &refusal{http.StatusBadRequest, "invalid", "The Host header is not a host name"}
	errBadQuery       = &refusal{http.StatusBadRequest, "invalid", "The query string has an invalid percent escape"}
	errBadBody        = &refusal{http.StatusBadRequest, "invalid", "The request body could not be read"}
	errUnauthorized   = &refusal{http.StatusUnauthorized, "unauthorized", "Unauthorized"}
	errForbidden      = &refusal{http.StatusForbidden, "forbidden", "Not allowed with this key"}
	errNoRoute        = &refusal{http.StatusNotFound, "not_found", "No such route"}
	errWrongMethod    = &refusal{http.StatusMethodNotAllowed, "method_not_allowed", "The route does not take this method"}
	errSlowBody       = &refusal{http.StatusRequestTimeout, "timeout", "The request body took too long to arrive"}
	errBodyTooLarge   = &refusal{http.StatusRequestEntityTooLarge, "too_large", "The request body is over 10 MB"}
	errEventTooLarge  = &refusal{http.StatusRequestEntityTooLarge, "too_large", "The request is over 6 MB, the most that a function takes"}
	errURITooLong     = &refusal{http.StatusRequestURITooLong, "too_large", "The address is too long"}
	errHeaderTooLarge = &refusal{http.StatusRequestHeaderFieldsTooLarge, "too_large", "The headers are over 10,240 bytes"}
	errThrottled      = &refusal{http.StatusTooManyRequests, "throttled", "Too many requests, try again later"}
	errAuthorizer     = &refusal{http.StatusInternalServerError, "internal", "The authorizer failed"}
	errFunction       = &refusal{http.StatusBadGateway, "internal", "Internal server error"}
	errBusy           = &refusal{http.StatusServiceUnavailable, "unavailable", "Too many calls are under way, try again later"}
	errTimeout        = &refusal{http.StatusGatewayTimeout, "timeout", "The function took too long to answer"}
)

// appendBody appends the error shape that every part of the API has.
func (f *refusal) appendBody(dst []byte, id string) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendString(dst, f.sentence)
	dst = append(dst, `,"code":`...)
	dst = appendString(dst, f.code)
	dst = append(dst, `,"request_id":`...)
	dst = appendString(dst, id)
	return append(dst, '}')
}

// refuse answers, after it has thrown away what is left of a body.
func (c *call) refuse(f *refusal) {
	body := f.appendBody(nil, c.id)
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if f == errBusy {
		h.Set("Retry-After", "1")
	}
	c.status, c.sent = f.status, int64(len(body))
	c.discard()
	c.w.WriteHeader(f.status)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(body) // a client that has gone is its own affair
	}
}

const (
	discardBytes = 16 << 20
	discardTime  = 5 * time.Second
)

// discard reads a refused HTTP/1 body to its end and keeps nothing of it: a
// client that is still writing when the connection closes gets a broken pipe
// and never sees the answer. Beyond 16 MB or 5 s it may. (In HTTP/2 an answer
// reaches a client that is still sending.)
func (c *call) discard() {
	length := c.r.ContentLength
	if c.r.ProtoMajor != 1 || length == 0 || length > discardBytes || c.r.Header.Get("Expect") != "" {
		return
	}
	rc := http.NewResponseController(c.w)
	if rc.SetReadDeadline(time.Now().Add(discardTime)) != nil {
		return // no connection that could be bounded: a test's recorder
	}
	_, _ = io.CopyN(io.Discard, c.r.Body, discardBytes)
}
