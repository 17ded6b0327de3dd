package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/bloom-runtime/bloom/local/template"
)

func saying(answer string) lambda.Handler {
	return handlerFunc(func(context.Context, []byte) ([]byte, error) { return []byte(answer), nil })
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	s := testStack("open GET /a", "open HEAD /a")
	s.API.BinaryMediaTypes = []string{"image/png"}
	srv, clients := serveSaying(t, s)
	for name, c := range map[string]struct {
		answer, accept, method string
		status                 int
		body                   string
		headers                string // "Name: a, b" lines that must be there
	}{
		"plain":            {`{"statusCode":201,"body":"x"}`, "", "GET", 201, "x", "Content-Type: application/json\nContent-Length: 1\nCache-Control: no-store"},
		"no body":          {`{"statusCode":200}`, "", "GET", 200, "", "Content-Length: 0"},
		"null everywhere":  {`{"statusCode":200,"headers":null,"multiValueHeaders":null,"body":null,"isBase64Encoded":false}`, "", "GET", 200, "", ""},
		"both header maps": {`{"statusCode":200,"headers":{"a":"1","b":"2","n":3,"t":true},"multiValueHeaders":{"A":["3","4"]}}`, "", "GET", 200, "", "A: 3, 4\nB: 2\nN: 3\nT: true"},
		"own security":     {`{"statusCode":200,"headers":{"cache-control":"max-age=9","content-type":"text/plain; charset=utf-8"}}`, "", "GET", 200, "", "Cache-Control: max-age=9\nContent-Type: text/plain; charset=utf-8"},
		"unknown keys":     {`{"statusCode":200,"cookies":["a"],"body":"x"}`, "", "GET", 200, "x", ""},
		"204":              {`{"statusCode":204,"body":"ignored"}`, "", "GET", 204, "", ""},
		"304":              {`{"statusCode":304,"headers":{"ETag":"\"1\""}}`, "", "GET", 304, "", `ETag: "1"`},
		"HEAD":             {`{"statusCode":200,"body":"four"}`, "", "HEAD", 200, "", "Content-Length: 4"},
		"binary accepted":  {`{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`, "image/png,*/*", "GET", 200, "hi", "Content-Length: 2"},
		"binary refused":   {`{"statusCode":200,"body":"aGk=","isBase64Encoded":true}`, "text/html,image/png", "GET", 200, "aGk=", ""},
		"hop by hop":       {`{"statusCode":200,"headers":{"Connection":"close","Content-Length":"99","Transfer-Encoding":"chunked"},"body":"x"}`, "", "GET", 200, "x", "Connection: \nTransfer-Encoding: \nContent-Length: 1"},
		"our request id":   {`{"statusCode":200,"headers":{"X-Request-Id":"forged"}}`, "", "GET", 200, "", ""},
	} {
		for protocol, client := range clients {
			status, header, body := exchange(t, client, c.method, "https://"+srv.address+"/a", c.answer, "Accept: "+c.accept)
			if status != c.status || body != c.body || header.Get("X-Request-Id") == "forged" {
				t.Errorf("%s, %s: %d %q %v", name, protocol, status, body, header)
			}
			for line := range strings.SplitSeq(c.headers, "\n") {
				h, want, _ := strings.Cut(line, ": ")
				if got := strings.Join(header.Values(h), ", "); line != "" && got != want {
					t.Errorf("%s, %s: %s is %q, want %q", name, protocol, h, got, want)
				}
			}
		}
	}
}

// TestAnswersHaveALength sends bodies around the sizes from which on net/http stops
// to count them.
func TestAnswersHaveALength(t *testing.T) {
	t.Parallel()
	srv, clients := serveSaying(t, testStack("open ANY /a"))
	for _, n := range []int{0, 1, countedBody - 1, countedBody, 4096, 10_000} {
		body := strings.Repeat("b", n)
		for protocol, client := range clients {
			for method, want := range map[string]string{"GET": body, "HEAD": ""} {
				_, header, got := exchange(t, client, method, "https://"+srv.address+"/a", `{"statusCode":200,"body":"`+body+`"}`)
				if header.Get("Content-Length") != strconv.Itoa(n) || got != want {
					t.Errorf("%s over %s of %d bytes: %v, %d bytes came", method, protocol, n, header, len(got))
				}
			}
		}
	}
}

// serveSaying serves a function that answers what its request's body says, and has
// a client for each protocol.
func serveSaying(t *testing.T, s *template.Stack) (*served, map[string]*http.Client) {
	repeat := handlerFunc(func(_ context.Context, payload []byte) ([]byte, error) {
		e, err := decodeEvent(payload, nil)
		return []byte(e.Body), err
	})
	srv := serve(t, with(t, Options{Stack: s}, repeat, allowAll()), defaultLimits)
	clients := map[string]*http.Client{"HTTP/1.1": srv.client(false), "HTTP/2": srv.client(true)}
	for _, c := range clients {
		t.Cleanup(c.CloseIdleConnections)
	}
	return srv, clients
}

// exchange makes one request; headers are "Name: value".
func exchange(t *testing.T, client *http.Client, method, url, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(got)
}

func TestMalformedAnswers(t *testing.T) {
	t.Parallel()
	s := testStack("open GET /a")
	s.API.BinaryMediaTypes = []string{"*/*"}
	for _, answer := range []string{
		"", "null", `"ok"`, "[]", "{", "{}", `{"statusCode":"200"}`, `{"statusCode":99}`, `{"statusCode":1000}`, `{"statusCode":200.5}`,
		`{"statusCode":200,"body":{}}`, `{"statusCode":200,"headers":{"A":["1"]}}`, `{"statusCode":200,"headers":{"A":null}}`,
		`{"statusCode":200,"multiValueHeaders":{"A":"1"}}`, `{"statusCode":200,"body":"%","isBase64Encoded":true}`, `{"statusCode":200}x`,
	} {
		w := send(with(t, Options{Stack: s}, saying(answer), allowAll()), "GET", "/a", nil, "Accept: */*")
		wantError(t, w, 502, "internal")
		if t.Failed() {
			t.Fatalf("in %s", answer)
		}
	}
}

// syncBuffer is a writer that several goroutines may use.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestFunctionsThatFail(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]handlerFunc{
		"error": func(context.Context, []byte) ([]byte, error) { return nil, errors.New("secret cause") },
		"panic": func(context.Context, []byte) ([]byte, error) { panic("secret cause") },
		"nil pointer": func(context.Context, []byte) ([]byte, error) {
			var b *strings.Builder
			b.WriteByte('x')
			return nil, nil
		},
		"over 6 MB":  func(context.Context, []byte) ([]byte, error) { return make([]byte, maxPayload+1), nil },
		"nil answer": func(context.Context, []byte) ([]byte, error) { return nil, nil },
	} {
		var log syncBuffer
		g := with(t, Options{Stack: testStack("open GET /a"), Log: slog.New(slog.NewTextHandler(&log, nil))}, f, allowAll())
		w := send(g, "GET", "/a", nil)
		wantError(t, w, 502, "internal")
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: the cause was sent: %s", name, w.Body)
		}
		if s := log.String(); !strings.Contains(s, "function=f") || !strings.Contains(s, w.Header().Get("X-Request-Id")) {
			t.Errorf("%s: log: %s", name, s)
		}
		if len(g.slots) != 0 {
			t.Errorf("%s: %d slots are still taken", name, len(g.slots))
		}
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	finished := make(chan error, 1)
	stubborn := handlerFunc(func(ctx context.Context, p []byte) ([]byte, error) {
		before := string(p)
		<-ctx.Done()
		<-release
		if string(p) != before {
			finished <- errors.New("the payload of a running function was reused")
		} else {
			finished <- nil
		}
		return nil, ctx.Err()
	})
	s := testStack()
	s.Functions[0].Routes = []template.Route{{Method: "GET", Path: "/a", Open: true, Timeout: 20 * time.Millisecond}, {Method: "GET", Path: "/b", Open: true, Timeout: time.Minute}}
	s.Functions[0].Timeout = 50 * time.Millisecond
	s.Functions[0].Concurrency = 1
	g := with(t, Options{Stack: s}, stubborn, allowAll())
	wantError(t, send(g, "GET", "/a?x="+strings.Repeat("y", 500), nil), 504, "timeout")
	// The function still runs: it holds its only slot, and its payload.
	w := send(g, "GET", "/b", nil)
	wantError(t, w, 503, "unavailable")
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if len(g.slots) != 1 {
		t.Errorf("%d slots are taken, want 1", len(g.slots))
	}
	close(release)
	if err := <-finished; err != nil {
		t.Error(err)
	}
	wantError(t, send(g, "GET", "/b", nil), 504, "timeout") // its own timeout, shorter than the route's
}

// TestLateAnswersDisturbNobody lets functions answer after their time, while other
// requests are answered: (the race detector sees) none shares a buffer with them.
func TestLateAnswersDisturbNobody(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	f := NewHandler(api(func(_ context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		if e.Resource == "/late" {
			<-release
		}
		return events.APIGatewayProxyResponse{StatusCode: 200, Body: strings.Repeat(e.Body, 100)}, nil
	}))
	s := testStack("open POST /quick")
	s.Functions[0].Routes = append(s.Functions[0].Routes, template.Route{Method: "POST", Path: "/late", Open: true, Timeout: time.Millisecond})
	g := with(t, Options{Stack: s}, f, allowAll())
	const late = 20
	for range late {
		wantError(t, send(g, "POST", "/late", strings.NewReader("late")), 504, "timeout")
	}
	close(release)
	for i := 0; i < late || len(g.slots) > 0; i++ {
		body := fmt.Sprint("quick ", i)
		if w := send(g, "POST", "/quick", strings.NewReader(body)); w.Code != 200 || w.Body.String() != strings.Repeat(body, 100) {
			t.Fatalf("%s: %d %.100s", body, w.Code, w.Body)
		}
	}
}

func TestFunctionsKnowTheirRequest(t *testing.T) {
	t.Parallel()
	f := handlerFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return fmt.Appendf(nil, `{"statusCode":200,"body":"%s %s %.0f"}`, lc.AwsRequestID, lc.InvokedFunctionArn, time.Until(deadline).Seconds()), nil
	})
	w := send(with(t, Options{Stack: testStack("open GET /a")}, f, allowAll()), "GET", "/a", nil)
	if want := w.Header().Get("X-Request-Id") + " arn:aws:lambda:us-east-1:000000000000:function:f 29"; w.Body.String() != want {
		t.Errorf("got %s, want %s", w.Body, want)
	}
}

// TestFunctionsOutliveTheirClient: a client that goes away takes nothing back.
func TestFunctionsOutliveTheirClient(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	f := handlerFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
		cancel()
		if err := ctx.Err(); err != nil {
			t.Errorf("the function was cancelled: %v", err)
		}
		return []byte(`{"statusCode":200}`), nil
	})
	g := with(t, Options{Stack: testStack("open GET /a")}, f, allowAll())
	w := httptest.NewRecorder()
	g.ServeHTTP(w, httptest.NewRequest("GET", "/a", nil).WithContext(ctx))
	if w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("GET /a", "open GET /b")}, echo(), allowAll())
	for _, path := range []string{"/a", "/b", "/c"} {
		h := send(g, "GET", path, nil).Header()
		for name, want := range map[string]string{
			"Strict-Transport-Security": "max-age=31536000", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}
