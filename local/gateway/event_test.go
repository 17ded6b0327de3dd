package gateway

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// TestEvent compares an event with what AWS documents and what was recorded
// there, see appendEvent.
func TestEvent(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("POST /tasks/{id}/{name+}")}, echo(), allowAll())
	w := send(g, "POST", "https://bloom.example:8443/tasks/test%2Balias@gmail.com/plus/test+alias/?category=electronics&price=10&category=b%20o+o%C3%B6ks&flag&=x", strings.NewReader(`{"a":"ü\u0000\""}`),
		"X-Runtime-Api-Key: good", "Accept: text/plain", "Accept: */*", "User-Agent: curl/8", "X-Forwarded-For: 203.0.113.9", "Connection: keep-alive")
	e := eventOf(t, w)
	want := events.APIGatewayProxyRequest{
		Resource:   "/tasks/{id}/{name+}",
		Path:       "/tasks/test%2Balias@gmail.com/plus/test+alias/",
		HTTPMethod: "POST",
		Headers: map[string]string{
			"Accept": "*/*", "Host": "bloom.example:8443", "User-Agent": "curl/8", "X-Forwarded-For": "203.0.113.9, 192.0.2.1",
			"X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https", "X-Runtime-Api-Key": "good",
		},
		MultiValueHeaders: map[string][]string{
			"Accept": {"text/plain", "*/*"}, "Host": {"bloom.example:8443"}, "User-Agent": {"curl/8"}, "X-Forwarded-For": {"203.0.113.9, 192.0.2.1"},
			"X-Forwarded-Port": {"8443"}, "X-Forwarded-Proto": {"https"}, "X-Runtime-Api-Key": {"good"},
		},
		QueryStringParameters:           map[string]string{"category": "b o oöks", "price": "10", "flag": "", "": "x"},
		MultiValueQueryStringParameters: map[string][]string{"category": {"electronics", "b o oöks"}, "price": {"10"}, "flag": {""}, "": {"x"}},
		PathParameters:                  map[string]string{"id": "test%2Balias@gmail.com", "name": "plus/test+alias"},
		RequestContext: events.APIGatewayProxyRequestContext{
			AccountID: "000000000000", APIID: "local", DomainPrefix: "local", ResourceID: "local", Stage: "live", DomainName: "bloom.example:8443",
			RequestID: w.Header().Get("X-Request-Id"), ExtendedRequestID: w.Header().Get("X-Request-Id"), Protocol: "HTTP/1.1",
			Identity:     events.APIGatewayRequestIdentity{SourceIP: "192.0.2.1", UserAgent: "curl/8"},
			ResourcePath: "/tasks/{id}/{name+}", Path: "/tasks/test%2Balias@gmail.com/plus/test+alias/", HTTPMethod: "POST",
			Authorizer: map[string]any{"principalId": "admin", "role": "admin", "level": "3", "root": "true"},
		},
		Body: `{"a":"ü\u0000\""}`,
	}
	at := time.UnixMilli(e.RequestContext.RequestTimeEpoch)
	if d := time.Since(at); d < 0 || d > time.Minute || e.RequestContext.RequestTime != at.UTC().Format("02/Jan/2006:15:04:05 +0000") {
		t.Errorf("requestTime %s, epoch %d", e.RequestContext.RequestTime, e.RequestContext.RequestTimeEpoch)
	}
	want.RequestContext.RequestTime, want.RequestContext.RequestTimeEpoch = e.RequestContext.RequestTime, e.RequestContext.RequestTimeEpoch
	if !reflect.DeepEqual(e, want) {
		t.Errorf("\n got %+v\nwant %+v", e, want)
	}
}

// TestEventKeys holds the event to the keys that AWS sends for a GET without
// query, body and parameters, those that are null among them.
func TestEventKeys(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open GET /")}, echo(), allowAll())
	var e map[string]any
	if err := json.Unmarshal(send(g, "GET", "/", nil).Body.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	for key := range maps.Keys(e) {
		switch key {
		case "resource", "path", "httpMethod", "headers", "multiValueHeaders", "requestContext":
			if e[key] == nil {
				t.Errorf("%s is null", key)
			}
		case "body", "queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables":
			if e[key] != nil {
				t.Errorf("%s is %v, not null", key, e[key])
			}
		case "isBase64Encoded":
			if e[key] != false {
				t.Errorf("%s is %v", key, e[key])
			}
		default:
			t.Errorf("%s is no key of the event", key)
		}
	}
	if len(e) != 12 {
		t.Errorf("%d keys, want 12", len(e))
	}
	rc := e["requestContext"].(map[string]any)
	if _, ok := rc["authorizer"]; ok {
		t.Error("an open route has an authorizer")
	}
	if identity := rc["identity"].(map[string]any); identity["userArn"] != nil || identity["userAgent"] != nil || identity["sourceIp"] != "192.0.2.1" {
		t.Errorf("identity: %v", identity)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	s := testStack("open POST /a")
	s.API.BinaryMediaTypes = []string{"application/octet-stream", "image/*"}
	g := with(t, Options{Stack: s}, echo(), allowAll())
	for name, c := range map[string]struct {
		typ, body, want string
		base64          bool
	}{
		"none":            {"application/json", "", "", false},
		"text":            {"application/json", "a\u2028\u00e9\x7f\t\r\n\\\"\x01", "a\u2028\u00e9\x7f\t\r\n\\\"\x01", false},
		"binary type":     {"Application/Octet-Stream; x=y", "ab", "YWI=", true},
		"wildcard":        {"image/png", "ab", "YWI=", true},
		"no type":         {"", "ab", "ab", false},
		"broken UTF-8":    {"application/json", "a\xff", "Yf8=", true},
		"half a rune":     {"application/json", "\xc3", "ww==", true},
		"surrogate bytes": {"application/json", "\xed\xa0\x80", "7aCA", true},
	} {
		e := eventOf(t, send(g, "POST", "/a", strings.NewReader(c.body), "Content-Type: "+c.typ))
		if e.Body != c.want || e.IsBase64Encoded != c.base64 {
			t.Errorf("%s: got %q base64=%v, want %q %v", name, e.Body, e.IsBase64Encoded, c.want, c.base64)
		}
	}
	s.API.BinaryMediaTypes = []string{"*/*"}
	g = with(t, Options{Stack: s}, echo(), allowAll())
	if e := eventOf(t, send(g, "POST", "/a", strings.NewReader("ab"))); !e.IsBase64Encoded {
		t.Error("*/* does not cover everything")
	}
}

func TestHeadersThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open GET /a")}, echo(), allowAll())
	e := eventOf(t, send(g, "GET", "/a?x=%ff", nil, "X-Odd: a\xffb"))
	if e.Headers["X-Odd"] != "a\uFFFDb" || e.QueryStringParameters["x"] != "\uFFFD" {
		t.Errorf("got %q and %q", e.Headers["X-Odd"], e.QueryStringParameters["x"])
	}
}

func TestBadQueryAndHost(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open GET /a")}, echo(), allowAll())
	for _, q := range []string{"limit=%zz", "%4=1", "a=%"} {
		wantError(t, send(g, "GET", "/a?"+q, nil), 400, "invalid")
	}
	if e := eventOf(t, send(g, "GET", "/a?&&a;b=c&&=", nil)); e.QueryStringParameters["a;b"] != "c" {
		t.Errorf("query: %v", e.QueryStringParameters)
	}
	for host, ok := range map[string]bool{
		"a": true, "a.b-c_d:1": true, "127.0.0.1:8443": true, "[::1]:8443": true, "[::1]": true, "EXAMPLE.org": true,
		"": false, "a b": false, "a:x": false, "[::1": false, "[x]": false, `a"`: false, "a/b": false, "a@b": false, "ї": false, "::1": false,
	} {
		if validHost(host) != ok {
			t.Errorf("host %q: %v", host, !ok)
		}
	}
}

// FuzzString holds appendString to encoding/json.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a\"\\\n\x00\x1f\x7f", "\xff", "é\u2028😀", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		b, err := json.Marshal(strings.ToValidUTF8(s, "\uFFFD"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &want); err != nil || got != want {
			t.Fatalf("%q: got %q, want %q", s, got, want)
		}
	})
}
