package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// telling answers what it sees of a request.
func telling() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c, _ := core.GetAPIGatewayContextFromContext(r.Context())
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", `b"`)
		w.WriteHeader(201)
		// (The adapter gives queries any order.)
		_, _ = fmt.Fprintf(w, "%s %s %v %s %s %q %v %+v", r.Method, r.URL.EscapedPath(), r.URL.Query(), r.Host, r.RemoteAddr, body, r.Header, c)
		if strings.Contains(r.URL.Path, "binary") {
			_, _ = w.Write([]byte{0xff})
		}
	})
}

// TestHandlerIsTheReflectedOne sends the same events to both.
func TestHandlerIsTheReflectedOne(t *testing.T) {
	t.Parallel()
	var sent []string
	keep := handlerFunc(func(_ context.Context, p []byte) ([]byte, error) {
		sent = append(sent, string(p))
		return []byte(`{"statusCode":200}`), nil
	})
	g := with(t, Options{Stack: testStack("open POST /a/{x}", "POST /b/{y+}")}, keep, allowAll())
	send(g, "POST", "/a/1", nil)
	send(g, "POST", "/a/binary?x=%C3%A9&x=2&y", strings.NewReader("{\"a\":\"\\u00e9\\n\"}\xff"), "A: 1", "A: 2", `User-Agent: "q"`)
	send(g, "POST", "/b/1/2%2F3", strings.NewReader("line\nline \x01 \u2028 😀"), "X-Runtime-API-Key: good", "Content-Type: text/plain")
	sent = append(sent, `null`, `{}`, ` { "httpMethod" : "GET" , "path":"x", "requestContext":{"authorizer":{"n":1,"o":{"a":[1.5e3,null]}},"identity":{"caller":"c"}}}`,
		`{"httpMethod":"GET","path":"/","multiValueHeaders":null,"headers":{"B":"1"},"queryStringParameters":{"q":"2"}}`,
		`{"httpMethod":"GET","path":"/","body":"\ud83d\ude00\ud800x\udc00\ud800\ud83d\ude00\/\b\f","multiValueHeaders":{"A":[],"B":null}}`)
	for _, payload := range sent {
		want, err1 := adapted(telling()).Invoke(context.Background(), []byte(payload))
		got, err2 := NewHandler(httpadapter.New(telling()).ProxyWithContext).Invoke(context.Background(), []byte(payload))
		var a, b map[string]any
		if json.Unmarshal(want, &a) != nil || json.Unmarshal(got, &b) != nil || !reflect.DeepEqual(a, b) || (err1 == nil) != (err2 == nil) {
			t.Errorf("%s:\n got %s %v\nwant %s %v", payload, got, err2, want, err1)
		}
	}
	if _, err := NewHandler(httpadapter.New(telling()).ProxyWithContext).Invoke(context.Background(), []byte(`{"path":`)); err == nil {
		t.Error("half an event was taken")
	}
}

// FuzzDecodeEvent holds the decoder of events to encoding/json.
func FuzzDecodeEvent(f *testing.F) {
	f.Add(`{"resource":"/a","path":"/a","httpMethod":"GET","headers":{"a":"1"},"multiValueHeaders":{"a":["1","2"]},"body":null,"isBase64Encoded":true}`)
	f.Add(`{"requestContext":{"accountId":"1","requestTimeEpoch":12,"authorizer":{"a":"b"},"identity":{"sourceIp":"::1","userArn":null}}}`)
	f.Add(`{"pathParameters":{"a":"\ud83d\ude00\ud800"},"x":[{"y":1.5},-0,true,false,null]}`)
	f.Add(`{"requestContext":{"requestTimeEpoch":01}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var want events.APIGatewayProxyRequest
		wantErr := json.Unmarshal([]byte(text), &want)
		got, err := decodeEvent([]byte(text), []byte("what was there before"))
		if (err == nil) != (wantErr == nil) && !oddKeys(text) {
			t.Fatalf("%q: got error %v, want %v", text, err, wantErr)
		}
		if wantErr == nil && !reflect.DeepEqual(got, want) && !oddKeys(text) {
			t.Fatalf("%q:\n got %+v\nwant %+v", text, got, want)
		}
	})
}

// oddKeys: encoding/json takes keys in any case, and merges a key that comes
// twice; API Gateway writes neither.
func oddKeys(text string) bool {
	seen := map[string]int{}
	for _, part := range strings.Split(text, `"`) {
		seen[strings.ToLower(part)]++
	}
	for part, n := range seen {
		if n > 1 && len(part) > 3 {
			return true
		}
	}
	return strings.ContainsAny(text, `\ſK`) || text != strings.ToValidUTF8(text, "") || hasUpperVariant(text)
}

func hasUpperVariant(text string) bool {
	known := "resource path httpMethod headers multiValueHeaders queryStringParameters multiValueQueryStringParameters pathParameters stageVariables requestContext body isBase64Encoded " +
		"accountId apiId resourceId operationName stage domainName domainPrefix requestId extendedRequestId protocol resourcePath requestTime requestTimeEpoch identity authorizer sourceIp userAgent"
	for part := range strings.SplitSeq(text, `"`) {
		for _, k := range strings.Fields(known) {
			if part != k && strings.EqualFold(part, k) {
				return true
			}
		}
	}
	return false
}

// FuzzDecodeAnswer holds the decoder of answers to encoding/json.
func FuzzDecodeAnswer(f *testing.F) {
	f.Add(`{"statusCode":200,"headers":null,"multiValueHeaders":{"A":["1",""]},"body":"x\"","isBase64Encoded":true}`)
	f.Add(`{"statusCode":200,"headers":{"a":1}}`)
	f.Add(`{"statusCode":-0}`)
	f.Add(`{"statusCode":200,"multiValueHeaders":{"A":[null],"B":null,"C":[]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var want answer
		wantErr := json.Unmarshal([]byte(text), &want)
		if wantErr == nil && want.StatusCode == 0 {
			wantErr = errNoStatus
		}
		got, err := decodeAnswer([]byte(text), []byte("what was there before"))
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got error %v, want %v", text, err, wantErr)
		}
		if err == nil {
			got.Body, got.body = string(got.body), nil
		}
		if err == nil && !reflect.DeepEqual(*got, want) && !oddKeys(text) {
			t.Fatalf("%q:\n got %+v\nwant %+v", text, *got, want)
		}
	})
}

// TestAnswersBelongToTheirCaller makes many calls at once of both kinds of
// function: each gets its own answer.
func TestAnswersBelongToTheirCaller(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]lambda.Handler{
		"proxy": NewHandler(api(func(_ context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
			return events.APIGatewayProxyResponse{StatusCode: 200, Body: e.Body, Headers: map[string]string{"A": e.Headers["A"]}}, nil
		})),
		"any": NewHandler(func(e map[string]any) (any, error) {
			return map[string]any{"statusCode": 200, "body": e["body"], "headers": e["headers"]}, nil
		}),
	} {
		var wg sync.WaitGroup
		for client := range 8 {
			wg.Go(func() {
				for i := range 200 {
					mine := strings.Repeat(strconv.Itoa(client), i)
					got, err := h.Invoke(context.Background(), fmt.Appendf(nil, `{"body":%q,"headers":{"A":%q}}`, mine, mine))
					runtime.Gosched()
					a, decodeErr := decodeAnswer(got, nil)
					if err != nil || decodeErr != nil || string(a.body) != mine || string(a.Headers["A"]) != mine {
						t.Errorf("%s: client %d got %s %v", name, client, got, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	if _, ok := NewHandler(api(nil)).(proxyHandler); !ok {
		t.Error("a named function type is not taken for what it is")
	}
	if _, err := NewHandler(nil).Invoke(context.Background(), nil); err == nil {
		t.Error("nothing was taken for a function")
	}
}

type api func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)
