package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/local/template"
)

// counting wraps a handler and counts its calls.
func counting(h lambda.Handler, n *atomic.Int64) lambda.Handler {
	return handlerFunc(func(ctx context.Context, p []byte) ([]byte, error) {
		n.Add(1)
		return h.Invoke(ctx, p)
	})
}

func TestAuthorizer(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	g := with(t, Options{Stack: testStack("GET /a/{x}", "open GET /open")}, echo(), counting(allowAll(), &calls))
	wantError(t, send(g, "GET", "/a/1", nil), 401, "unauthorized")
	wantError(t, send(g, "GET", "/a/1", nil, "X-Runtime-API-Key: "), 401, "unauthorized")
	if calls.Load() != 0 {
		t.Error("the authorizer was called for a request without key")
	}
	wantError(t, send(g, "GET", "/a/1", nil, "X-Runtime-API-Key: bad"), 401, "unauthorized")
	if w := send(g, "GET", "/a/1", nil, "X-Runtime-API-Key: good"); w.Code != 200 {
		t.Errorf("the good key: %d %s", w.Code, w.Body)
	}
	if w := send(g, "GET", "/open", nil, "X-Runtime-API-Key: bad"); w.Code != 200 {
		t.Errorf("the open route: %d %s", w.Code, w.Body)
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls, want 2", calls.Load())
	}
}

func TestAuthorizerGetsTheEventOfAWS(t *testing.T) {
	t.Parallel()
	var got events.APIGatewayCustomAuthorizerRequest
	a := NewHandler(func(e events.APIGatewayCustomAuthorizerRequest) (any, error) {
		got = e
		return policy("Allow", "*", "k"), nil
	})
	g := with(t, Options{Stack: testStack("POST /a/{x}")}, echo(), a)
	if w := send(g, "POST", "/a/b%2Fc", nil, `X-Runtime-API-Key: k"1`); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	want := events.APIGatewayCustomAuthorizerRequest{
		Type: "TOKEN", AuthorizationToken: `k"1`, MethodArn: "arn:aws:execute-api:us-east-1:000000000000:local/live/POST/a/b%2Fc",
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAuthOff(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	g := with(t, Options{Stack: testStack("GET /a"), AuthOff: true}, echo(), counting(allowAll(), &calls))
	e := eventOf(t, send(g, "GET", "/a", nil))
	if e.RequestContext.Authorizer != nil || calls.Load() != 0 {
		t.Errorf("authorizer %v, %d calls", e.RequestContext.Authorizer, calls.Load())
	}
}

func TestAnswersOfAuthorizers(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:execute-api:us-east-1:000000000000:local/live/"
	ok := func(statements string) string {
		return `{"principalId":"p","policyDocument":{"Statement":[` + statements + `]}}`
	}
	allow := `{"Effect":"Allow","Action":"*","Resource":"*"}`
	for name, c := range map[string]struct {
		answer string
		err    error
		status int
		code   string
	}{
		"words for lists":      {ok(allow), nil, 200, ""},
		"this method":          {ok(`{"Effect":"Allow","Action":["execute-api:Invoke"],"Resource":["` + arn + `GET/a"]}`), nil, 200, ""},
		"wildcards":            {ok(`{"Effect":"Allow","Action":"execute-api:*","Resource":"arn:aws:execute-api:*:*:*/li?e/*/*"}`), nil, 200, ""},
		"another method":       {ok(`{"Effect":"Allow","Action":"*","Resource":"` + arn + `POST/*"}`), nil, 403, "forbidden"},
		"another action":       {ok(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`), nil, 403, "forbidden"},
		"deny wins":            {ok(allow + `,{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*/GET/a"}`), nil, 403, "forbidden"},
		"only deny":            {ok(`{"Effect":"Deny","Action":"*","Resource":"*"}`), nil, 403, "forbidden"},
		"unauthorized":         {"", errors.New("Unauthorized"), 401, "unauthorized"},
		"another error":        {"", errors.New("unauthorized"), 500, "internal"},
		"no JSON":              {"x", nil, 500, "internal"},
		"no policy":            {`{"principalId":"p"}`, nil, 500, "internal"},
		"no principal":         {`{"policyDocument":{"Statement":[` + allow + `]}}`, nil, 500, "internal"},
		"an object in context": {`{"principalId":"p","context":{"a":{}},"policyDocument":{"Statement":[` + allow + `]}}`, nil, 500, "internal"},
	} {
		g := with(t, Options{Stack: testStack("GET /a")}, echo(), handlerFunc(func(context.Context, []byte) ([]byte, error) { return []byte(c.answer), c.err }))
		w := send(g, "GET", "/a", nil, "X-Runtime-API-Key: k")
		if c.status != 200 {
			wantError(t, w, c.status, c.code)
		} else if w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if t.Failed() {
			t.Fatalf("in %s", name)
		}
	}
	g := with(t, Options{Stack: testStack("GET /a")}, echo(), handlerFunc(func(context.Context, []byte) ([]byte, error) { panic("boom") }))
	wantError(t, send(g, "GET", "/a", nil, "X-Runtime-API-Key: k"), 500, "internal")
}

func TestAuthorizerCache(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	clock := newClock()
	g := with(t, Options{Stack: testStack("GET /a", "POST /b"), Now: clock.now}, echo(), counting(allowAll(), &calls))
	ask := func(method, path, key string, status int, total int64) {
		t.Helper()
		if w := send(g, method, path, nil, "X-Runtime-API-Key: "+key); w.Code != status || calls.Load() != total {
			t.Errorf("%s %s with %s: %d after %d calls, want %d after %d", method, path, key, w.Code, calls.Load(), status, total)
		}
	}
	ask("GET", "/a", "good", 200, 1)
	ask("POST", "/b", "good", 200, 1) // an answer covers every method
	clock.add(59 * time.Second)
	ask("GET", "/a", "good", 200, 1)
	clock.add(time.Second)
	ask("GET", "/a", "good", 200, 2)
	ask("GET", "/a", "bad", 401, 3)
	ask("GET", "/a", "bad", 401, 4) // a refusal by error is not kept

	s := testStack("GET /a")
	s.API.Authorizer.TTL = 0
	calls.Store(0)
	g = with(t, Options{Stack: s, Now: clock.now}, echo(), counting(allowAll(), &calls))
	ask("GET", "/a", "good", 200, 1)
	ask("GET", "/a", "good", 200, 2)
}

func TestConcurrentMissesCallOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	entered, hold := make(chan struct{}), make(chan struct{})
	slow := handlerFunc(func(ctx context.Context, p []byte) ([]byte, error) {
		close(entered) // a second call would panic
		<-hold
		return allowAll().Invoke(ctx, p)
	})
	g := with(t, Options{Stack: testStack("GET /a")}, echo(), counting(slow, &calls))
	var wg sync.WaitGroup
	const clients = 20
	codes := make([]*httptest.ResponseRecorder, clients)
	for i := range clients {
		wg.Go(func() { codes[i] = send(g, "GET", "/a", nil, "X-Runtime-API-Key: good") })
	}
	<-entered
	close(hold)
	wg.Wait()
	for _, w := range codes {
		if w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls, want 1", calls.Load())
	}
}

func TestAuthorizerCacheIsBounded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	a := newAuthorizer("K", time.Minute, nil, clock.now)
	for i := range maxIdentities {
		a.keep(fmt.Sprint("old", i), &identity{})
	}
	clock.add(time.Minute)
	a.keep("new", &identity{})
	if len(a.known) != 1 {
		t.Errorf("%d entries after the others ran out, want 1", len(a.known))
	}
	for i := range maxIdentities + 10 {
		a.keep(fmt.Sprint(i), &identity{})
	}
	if len(a.known) != maxIdentities {
		t.Errorf("%d entries, want %d", len(a.known), maxIdentities)
	}
}

func TestLongMethodARN(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("GET /a/{x}")}, echo(), allowAll())
	wantError(t, send(g, "GET", "/a/"+strings.Repeat("x", maxARN), nil, "X-Runtime-API-Key: good"), 414, "too_large")
}

func TestKeyRequired(t *testing.T) {
	t.Parallel()
	s := testStack("GET /a")
	s.Functions[0].Routes = []template.Route{{Method: "GET", Path: "/a", KeyRequired: true, Timeout: time.Second}}
	a := NewHandler(func() (any, error) { return policy("Allow", "*", ""), nil })
	wantError(t, send(with(t, Options{Stack: s}, echo(), a), "GET", "/a", nil, "X-Runtime-API-Key: k"), 403, "forbidden")
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"*", "", true}, {"a", "", false}, {"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "abcd", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"*a*b*", "xxaxxb", true}, {"*ab", "aab", true}, {"a**", "a", true}, {"*/GET/a", "x/GET/a", true},
	} {
		if glob(c.pattern, c.s) != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.s, !c.want)
		}
	}
}
