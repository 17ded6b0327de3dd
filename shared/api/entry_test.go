package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// event is a request as API Gateway gives it to a function.
func event(method, resource string, params map[string]string, body string) events.APIGatewayProxyRequest {
	return events.APIGatewayProxyRequest{
		Resource: resource, Path: resource, HTTPMethod: method, PathParameters: params, Body: body,
		RequestContext: events.APIGatewayProxyRequestContext{
			DomainName: "abc.execute-api.eu-central-1.amazonaws.com", Stage: "live", Path: "/live" + resource, RequestID: "req-1",
		},
	}
}

// call sends an event to a handler.
func call(t testing.TB, h http.Handler, e events.APIGatewayProxyRequest) events.APIGatewayProxyResponse {
	t.Helper()
	resp, err := NewEntry(h)(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// wantError demands a status and a body in the one error shape.
func wantError(t testing.TB, resp events.APIGatewayProxyResponse, status int, code string) (body errorBody) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(resp.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		t.Fatalf("%v in %s", err, resp.Body)
	}
	if resp.StatusCode != status || string(body.Code) != code || body.Error == "" || body.RequestID == "" {
		t.Fatalf("want %d %s, got %d %s", status, code, resp.StatusCode, resp.Body)
	}
	return body
}

// echo answers what an operation sees of its request.
func echo() http.Handler {
	return handle(func(r *request) (response, error) {
		body, err := io.ReadAll(r.Body)
		return response{status: http.StatusOK, body: map[string]string{
			"id": r.PathValue("id"), "body": string(body), "actor": r.actor, "query": r.URL.Query().Encode(),
		}}, err
	})
}

func echoed(t testing.TB, e events.APIGatewayProxyRequest) (got map[string]string) {
	t.Helper()
	resp := call(t, echo(), e)
	if resp.StatusCode != http.StatusOK || json.Unmarshal([]byte(resp.Body), &got) != nil {
		t.Fatalf("%d %s", resp.StatusCode, resp.Body)
	}
	return got
}

const workerPath = "/api/runtime/workers/{id}"

// TestPathParameters sends names as they stand in an address, escaped, and, as the
// SAM CLI does, decoded.
func TestPathParameters(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"gpu-1":                "gpu-1",
		"GPU%20box%20%231":     "GPU box #1",
		"GPU box #1":           "GPU box #1",
		"%D0%B2%D1%83%D0%B7":   "вуз",
		"вуз":                  "вуз",
		"100%25":               "100%",
		"100%":                 "100%",
		"a%2Fb":                "a/b",
		"a/b":                  "a/b",
		"a%3Fb=c%26d":          "a?b=c&d",
		"a?b":                  "a?b",
		"a+b":                  "a+b",
		"%zz":                  "%zz",
		"%":                    "%",
		"..":                   "..",
		"%2E%2E%2Fstats":       "../stats",
		"%7Bid%7D":             "{id}",
		"a%00b":                "a\x00b",
		"%0D%0AX-Evil:%201":    "\r\nX-Evil: 1",
		strings.Repeat("x", 9): "xxxxxxxxx",
	} {
		if got := echoed(t, event("GET", workerPath, map[string]string{"id": sent}, "")); got["id"] != want {
			t.Errorf("%q became %q, want %q", sent, got["id"], want)
		}
	}
}

// TestOddPathParameters: nothing can be called so, and the store is not asked.
func TestOddPathParameters(t *testing.T) {
	t.Parallel()
	for _, sent := range []string{"%ff", "\xff", "%ED%A0%80", "a%C3%28", strings.Repeat("x", 257), strings.Repeat("x", 9000), strings.Repeat("%D1%8F", 257)} {
		called := false
		h := handle(func(*request) (response, error) {
			called = true
			return response{status: http.StatusOK, body: struct{}{}}, nil
		})
		wantError(t, call(t, h, event("GET", workerPath, map[string]string{"id": sent}, "")), http.StatusNotFound, "not_found")
		if called {
			t.Errorf("%.20q reached the operation", sent)
		}
	}
	if got := echoed(t, event("GET", workerPath, map[string]string{"id": strings.Repeat("%D1%8F", 256)}, "")); len(got["id"]) != 512 {
		t.Errorf("256 letters became %d bytes", len(got["id"]))
	}
}

func TestBase64Bodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		encoded    bool
		want       string
	}{
		{"plain", `{"a":1}`, false, `{"a":1}`},
		{"encoded", base64.StdEncoding.EncodeToString([]byte(`{"a":1}`)), true, `{"a":1}`},
		{"empty", "", true, ""},
		{"said to be encoded and is not", `{"a":1}`, true, `{"a":1}`},
		{"cut", "eyJhIjoxfQ=", true, "eyJhIjoxfQ="},
		{"looks encoded but is not", "eyJhIjoxfQ==", false, "eyJhIjoxfQ=="},
	} {
		e := event("POST", workerPath, nil, c.body)
		e.IsBase64Encoded = c.encoded
		if got := echoed(t, e); got["body"] != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got["body"], c.want)
		}
	}
}

func TestQueryReachesTheOperationDecodedOnce(t *testing.T) {
	t.Parallel()
	e := event("GET", "/api/runtime/llm-tasks", nil, "")
	e.MultiValueQueryStringParameters = map[string][]string{"status": {"a b&c=d%20", "второй"}}
	if got := echoed(t, e)["query"]; got != "status=a+b%26c%3Dd%2520&status=%D0%B2%D1%82%D0%BE%D1%80%D0%BE%D0%B9" {
		t.Errorf("got %s", got)
	}
	e.MultiValueQueryStringParameters = nil
	e.QueryStringParameters = map[string]string{"limit": "5"} // the SAM CLI's older events
	if got := echoed(t, e)["query"]; got != "limit=5" {
		t.Errorf("got %s", got)
	}
}

// TestHeaders gives names as clients write them, in HTTP/2 in lower case, and the
// events of the SAM CLI of old, which have each name once.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]events.APIGatewayProxyRequest{
		"canonical":   {MultiValueHeaders: map[string][]string{"X-Two": {"a", "b"}, "Accept": {"*/*"}}, Headers: map[string]string{"X-Two": "b"}},
		"lower case":  {MultiValueHeaders: map[string][]string{"x-two": {"a", "b"}, "Accept": {"*/*"}}},
		"both":        {MultiValueHeaders: map[string][]string{"x-two": {"a"}, "X-Two": {"b"}, "accept": {"*/*"}}},
		"single":      {Headers: map[string]string{"x-two": "a, b", "ACCEPT": "*/*"}},
		"none at all": {},
	} {
		e.Resource, e.HTTPMethod = "/a", "GET"
		var got http.Header
		call(t, handle(func(r *request) (response, error) {
			got = r.Header
			return response{status: http.StatusOK}, nil
		}), e)
		two := got.Values("X-Two")
		slices.Sort(two) // names that differ in case only come in any order
		if name == "none at all" {
			if got == nil || len(got) > 0 {
				t.Errorf("%s: %v", name, got)
			}
		} else if strings.Join(two, ", ") != "a, b" || got.Get("Accept") != "*/*" || len(got) != 2 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCaller(t *testing.T) {
	t.Parallel()
	e := event("GET", workerPath, nil, "")
	if got := echoed(t, e)["actor"]; got != "anonymous" {
		t.Errorf("without an authorizer the actor is %q", got)
	}
	for authorizer, want := range map[any]string{"admin": "admin", "": "anonymous", 7: "anonymous", nil: "anonymous"} {
		e.RequestContext.Authorizer = map[string]any{"principalId": authorizer}
		if got := echoed(t, e)["actor"]; got != want {
			t.Errorf("principal %v: the actor is %q, want %q", authorizer, got, want)
		}
	}
	if actor, id := callerOf(context.Background()); actor != "anonymous" || id != "" {
		t.Errorf("outside of API Gateway: %q, %q", actor, id)
	}
}
