package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/awslabs/aws-lambda-go-api-proxy/core"

	"github.com/bloom-runtime/bloom/shared/fault"
)

// request is what an operation works with.
type request struct {
	*http.Request
	actor     string // who calls, for the audit log
	requestID string
}

// response is what an operation answers.
type response struct {
	status int
	body   any
	next   string // cursor of the next page of a list; "" on its last
}

// handle makes an operation an http.Handler: errors become the one error shape.
func handle(operation func(*request) (response, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor, requestID := callerOf(r.Context())
		var resp response
		err := checkID(r.PathValue("id"))
		if err == nil {
			resp, err = operation(&request{Request: r, actor: actor, requestID: requestID})
		}
		if err != nil {
			resp = failure(err, requestID)
		}
		if resp.next != "" {
			w.Header().Set("Link", nextLink(r, resp.next))
		}
		if resp.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", retryAfter)
		}
		write(w, resp, requestID)
	})
}

// checkID refuses a path's id that nothing can have, and that the table would not
// take as a key: an error of the caller's, not the store's.
func checkID(id string) error {
	if !utf8.ValidString(id) || utf8.RuneCountInString(id) > maxID {
		return fault.New(fault.NotFound, "Nothing has this id: it is too long, or not UTF-8")
	}
	return nil
}

// retryAfter is how long, in seconds, a caller should wait after a 503.
const retryAfter = "2"

// nextLink is the Link header of a page, RFC 8288: this request with the cursor.
// Its path is the client's, with the stage or the domain's base path; the
// event's own path is without them.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
func nextLink(r *http.Request, cursor string) string {
	path := r.URL.EscapedPath()
	if gw, ok := core.GetAPIGatewayContextFromContext(r.Context()); ok && gw.Path != "" {
		path = gw.Path
	}
	q := r.URL.Query()
	q.Set("cursor", cursor)
	return "<" + path + "?" + q.Encode() + `>; rel="next"`
}

func write(w http.ResponseWriter, resp response, requestID string) {
	b := answers.Get().(*bytes.Buffer)
	b.Reset()
	if err := encode(b, resp.body); err != nil { // a defect: every body is a struct of ours
		resp = failure(err, requestID)
		b.Reset()
		_ = encode(b, resp.body) // strings always encode
	}
	h := w.Header()
	h["X-Request-Id"] = []string{requestID}
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(b.Len())}
	w.WriteHeader(resp.status)
	_, _ = w.Write(b.Bytes()) // the writer copies it
	if b.Cap() <= keepAnswer {
		answers.Put(b)
	}
}

var jsonType = []string{"application/json"} // shared: nobody changes a header that was sent

// answers are buffers to encode into; large ones are not kept.
var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const keepAnswer = 64 << 10

func encode(b *bytes.Buffer, body any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(body)
}

type errorBody struct {
	Error     string              `json:"error"`
	Code      fault.Code          `json:"code"`
	RequestID string              `json:"request_id"`
	Fields    map[string][]string `json:"fields,omitempty"`
}

// statuses maps error codes to HTTP statuses, in this one place.
var statuses = map[fault.Code]int{
	fault.Invalid:     http.StatusBadRequest,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.LeaseLost:   http.StatusConflict,
	fault.TooLarge:    http.StatusRequestEntityTooLarge,
	fault.NoWorker:    http.StatusServiceUnavailable,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.Unreachable: http.StatusBadGateway,
	fault.Internal:    http.StatusInternalServerError,
}

// failure is the answer for an error. The causes of internal errors and of
// outages are logged under the request's id and not sent.
func failure(err error, requestID string) response {
	var f *fault.Error
	if !errors.As(err, &f) {
		f = fault.New(fault.Internal, "Something went wrong").Because(err)
	}
	if f.Code == fault.Internal || f.Code == fault.Unavailable {
		slog.Error("request failed", "request_id", requestID, "code", f.Code, "error", err)
	}
	message := f.Message
	if f.Code == fault.Internal {
		message = "Something went wrong; report the request_id"
	}
	return response{status: statuses[f.Code],
		body: errorBody{Error: message, Code: f.Code, RequestID: requestID, Fields: f.Fields}}
}
