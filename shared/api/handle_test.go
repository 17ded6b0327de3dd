package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/shared/fault"
)

func failing(err error) http.Handler {
	return handle(func(*request) (response, error) { return response{}, err })
}

const secretCause = "dial tcp 10.0.0.7: AccessDenied for arn:aws:iam::1234"

func TestFailure(t *testing.T) {
	t.Parallel()
	cause := errors.New(secretCause)
	for code, status := range map[fault.Code]int{
		fault.Invalid: 400, fault.NotFound: 404, fault.Conflict: 409, fault.LeaseLost: 409, fault.TooLarge: 413,
		fault.NoWorker: 503, fault.Unavailable: 503, fault.Internal: 500,
	} {
		f := fault.New(code, "A sentence").Because(cause)
		resp := call(t, failing(fmt.Errorf("wrapped: %w", f)), event("GET", workerPath, nil, ""))
		body := wantError(t, resp, status, string(code))
		if (body.Error == "A sentence") == (code == fault.Internal) {
			t.Errorf("%s: the sentence is %q", code, body.Error)
		}
		if body.RequestID != "req-1" || body.Fields != nil {
			t.Errorf("%s: %+v", code, body)
		}
		if strings.Contains(resp.Body, "10.0.0.7") || strings.Contains(resp.Body, "wrapped") {
			t.Errorf("%s: the cause was sent: %s", code, resp.Body)
		}
		if got := resp.MultiValueHeaders["Retry-After"]; (len(got) == 1) != (status == 503) {
			t.Errorf("%s: Retry-After %v", code, got)
		}
		if got := resp.MultiValueHeaders["Content-Type"]; len(got) != 1 || got[0] != "application/json" {
			t.Errorf("%s: Content-Type %v", code, got)
		}
	}
}

// TestFailureOfUnknownKind: what is no fault is internal.
func TestFailureOfUnknownKind(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New(secretCause), fmt.Errorf("lease: %w", errors.New(secretCause)), errors.Join(errors.New(secretCause), http.ErrBodyNotAllowed)} {
		resp := call(t, failing(err), event("GET", workerPath, nil, ""))
		if body := wantError(t, resp, 500, "internal"); strings.Contains(body.Error, "10.0.0.7") {
			t.Errorf("the cause was sent: %s", body.Error)
		}
	}
}

func TestFailureKeepsFields(t *testing.T) {
	t.Parallel()
	f := fault.New(fault.Invalid, "Invalid input: prompt is required")
	f.Fields = map[string][]string{"prompt": {"is required"}}
	body := wantError(t, call(t, failing(f), event("POST", workerPath, nil, "")), 400, "invalid")
	if len(body.Fields) != 1 || body.Fields["prompt"][0] != "is required" {
		t.Errorf("%+v", body)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	h := handle(func(*request) (response, error) {
		return response{status: http.StatusCreated, body: map[string]string{"html": "<b>&\u2028їжак😀\x01"}}, nil
	})
	resp := call(t, h, event("POST", workerPath, nil, ""))
	if resp.StatusCode != http.StatusCreated || resp.IsBase64Encoded {
		t.Fatalf("%d, base64 %v", resp.StatusCode, resp.IsBase64Encoded)
	}
	if want := `{"html":"<b>&\u2028їжак😀\u0001"}` + "\n"; resp.Body != want {
		t.Errorf("got %s, want %s", resp.Body, want)
	}
	if got := resp.MultiValueHeaders["X-Request-Id"]; len(got) != 1 || got[0] != "req-1" {
		t.Errorf("X-Request-Id %v", got)
	}
	if got := resp.MultiValueHeaders["Content-Length"]; len(got) != 1 || got[0] != fmt.Sprint(len(resp.Body)) {
		t.Errorf("Content-Length %v of %d bytes", got, len(resp.Body))
	}
	if len(resp.MultiValueHeaders["Link"]) != 0 || len(resp.MultiValueHeaders["Retry-After"]) != 0 {
		t.Errorf("headers nobody needs: %v", resp.MultiValueHeaders)
	}
}

func TestAnswerThatDoesNotEncode(t *testing.T) {
	t.Parallel()
	h := handle(func(*request) (response, error) { return response{status: http.StatusOK, body: func() {}}, nil })
	resp := call(t, h, event("GET", workerPath, nil, ""))
	wantError(t, resp, 500, "internal")
	if got := resp.MultiValueHeaders["Content-Type"]; len(got) != 1 || got[0] != "application/json" {
		t.Errorf("Content-Type %v", got)
	}
}

func TestNextLink(t *testing.T) {
	t.Parallel()
	paged := handle(func(*request) (response, error) {
		return response{status: http.StatusOK, body: []string{}, next: "c/u+r=s or"}, nil
	})
	for _, c := range []struct{ path, want string }{
		{"/live/api/runtime/llm-tasks", "/live/api/runtime/llm-tasks"},   // the API's own address
		{"/bloom/api/runtime/llm-tasks", "/bloom/api/runtime/llm-tasks"}, // a domain with a base path
		{"/api/runtime/llm%2Dtasks", "/api/runtime/llm%2Dtasks"},
		{"", "/api/runtime/llm-tasks"}, // the SAM CLI's older events
	} {
		e := event("GET", "/api/runtime/llm-tasks", nil, "")
		e.RequestContext.Path = c.path
		e.MultiValueQueryStringParameters = map[string][]string{
			"status": {"queued"}, "cursor": {"old"}, "limit": {"2"}, "odd>\"; rel=\"x": {"<\r\n>"},
		}
		resp := call(t, paged, e)
		link := resp.MultiValueHeaders["Link"]
		if len(link) != 1 {
			t.Fatalf("Link %v", link)
		}
		target, ok := strings.CutSuffix(strings.TrimPrefix(link[0], "<"), `>; rel="next"`)
		u, err := url.Parse(target)
		if !ok || err != nil || strings.ContainsAny(target, "<>\" \r\n") {
			t.Fatalf("Link %q: %v", link[0], err)
		}
		q := u.Query()
		if u.EscapedPath() != c.want || q.Get("cursor") != "c/u+r=s or" || len(q["cursor"]) != 1 || q.Get("status") != "queued" || q.Get("limit") != "2" {
			t.Errorf("Link %q, want path %s", link[0], c.want)
		}
	}
}

// TestEveryCodeHasAStatus: a code without one would panic in WriteHeader.
func TestEveryCodeHasAStatus(t *testing.T) {
	t.Parallel()
	for code, status := range statuses {
		body, err := json.Marshal(failure(fault.New(code, "x"), "id").body)
		if err != nil || status < 400 || status > 599 || !strings.Contains(string(body), string(code)) {
			t.Errorf("%s: %d %s %v", code, status, body, err)
		}
	}
}
