package gateway

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/local/template"
)

// handlerFunc is a function that gets and gives bytes.
type handlerFunc func(ctx context.Context, payload []byte) ([]byte, error)

func (f handlerFunc) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

// fakeClock stands still until it is moved.
type fakeClock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *fakeClock { return &fakeClock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *fakeClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// echo answers 200 with its event as the body.
func echo() lambda.Handler {
	return NewHandler(func(e json.RawMessage) (events.APIGatewayProxyResponse, error) {
		return events.APIGatewayProxyResponse{
			StatusCode: 200, Body: string(e), MultiValueHeaders: map[string][]string{"Content-Type": {"application/json"}},
		}, nil
	})
}

// testStack has one function, f, on the routes; "open" in front of a method
// makes its route open.
func testStack(routes ...string) *template.Stack {
	f := template.Function{LogicalID: "F", Name: "f", Timeout: time.Minute}
	for _, r := range routes {
		rest, open := strings.CutPrefix(r, "open ")
		method, path, _ := strings.Cut(rest, " ")
		f.Routes = append(f.Routes, template.Route{Method: method, Path: path, Open: open, Timeout: 29 * time.Second})
	}
	return &template.Stack{
		Functions: []template.Function{f, {LogicalID: "Auth", Name: "authorize", Timeout: 5 * time.Second}},
		API: &template.API{
			Stage:      "live",
			Authorizer: &template.Authorizer{Function: "Auth", Header: "X-Runtime-API-Key", TTL: time.Minute},
		},
	}
}

// allowAll lets everybody in whose key is "good", and says "Unauthorized" else.
func allowAll() lambda.Handler {
	return NewHandler(func(e events.APIGatewayCustomAuthorizerRequest) (any, error) {
		if e.AuthorizationToken != "good" {
			return nil, errUnauthorizedKey
		}
		return policy("Allow", "arn:aws:execute-api:us-east-1:000000000000:local/live/*", "good"), nil
	})
}

type unauthorizedError struct{}

func (unauthorizedError) Error() string { return "Unauthorized" }

var errUnauthorizedKey = unauthorizedError{}

func policy(effect, resource, key string) events.APIGatewayCustomAuthorizerResponse {
	return events.APIGatewayCustomAuthorizerResponse{
		PrincipalID: "admin", UsageIdentifierKey: key, Context: map[string]any{"role": "admin", "level": 3, "root": true},
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version:   "2012-10-17",
			Statement: []events.IAMPolicyStatement{{Action: []string{"execute-api:Invoke"}, Effect: effect, Resource: []string{resource}}},
		},
	}
}

// with makes a gateway with the function f and the authorizer a.
func with(t testing.TB, o Options, f, a lambda.Handler) *Gateway {
	t.Helper()
	o.Functions = map[string]lambda.Handler{"f": f, "authorize": a}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// send makes one request; headers are "Name: value".
func send(g http.Handler, method, target string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	r.RemoteAddr = "192.0.2.1:4711"
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

// wantError checks status, code and the rest of the error shape.
func wantError(t testing.TB, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body struct {
		Error, Code string
		RequestID   string `json:"request_id"`
	}
	d := json.NewDecoder(strings.NewReader(w.Body.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil || w.Code != status || body.Code != code || body.Error == "" {
		t.Errorf("got %d %s, want %d %s", w.Code, w.Body, status, code)
	}
	for _, h := range []string{"X-Request-Id", "X-Amzn-RequestId"} {
		if got := w.Header().Get(h); got == "" || got != body.RequestID {
			t.Errorf("%s is %q and request_id %q", h, got, body.RequestID)
		}
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %q", got)
	}
}

func eventOf(t testing.TB, w *httptest.ResponseRecorder) events.APIGatewayProxyRequest {
	t.Helper()
	var e events.APIGatewayProxyRequest
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return e
}
