package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/local/template"
)

// passed sends requests until one is refused, and returns how many passed.
func passed(t *testing.T, g *Gateway, most int, method, path string, headers ...string) int {
	t.Helper()
	for i := range most {
		w := send(g, method, path, nil, headers...)
		if w.Code == 200 {
			continue
		}
		wantError(t, w, 429, "throttled")
		if !strings.Contains(w.Body.String(), `"error":"Too many requests`) {
			t.Errorf("body: %s", w.Body)
		}
		return i
	}
	return most
}

func planned(perMinute float64, routes ...string) *template.Stack {
	s := testStack(routes...)
	s.API.UsagePlans = []template.Plan{{RequestsPerMinute: perMinute, Burst: int(perMinute)}}
	return s
}

// anyKey allows every key and gives it as usageIdentifierKey.
func anyKey() lambda.Handler {
	return NewHandler(func(e events.APIGatewayCustomAuthorizerRequest) (any, error) {
		return policy("Allow", "*", e.AuthorizationToken), nil
	})
}

func TestUsagePlanByKey(t *testing.T) {
	t.Parallel()
	clock := newClock()
	g := with(t, Options{Stack: planned(30, "GET /a", "GET /b", "open GET /open"), Now: clock.now}, echo(), anyKey())
	if n := passed(t, g, 100, "GET", "/a", "X-Runtime-API-Key: k1"); n != 30 {
		t.Errorf("%d passed, want 30", n)
	}
	if n := passed(t, g, 1, "GET", "/b", "X-Runtime-API-Key: k1"); n != 0 {
		t.Error("another route has another bucket")
	}
	if n := passed(t, g, 100, "GET", "/a", "X-Runtime-API-Key: k2"); n != 30 {
		t.Errorf("%d passed with another key, want 30", n)
	}
	if n := passed(t, g, 100, "GET", "/open"); n != 30 {
		t.Errorf("%d passed on the open route, want 30", n)
	}
	clock.add(time.Second)
	w := send(g, "GET", "/a", nil, "X-Runtime-API-Key: k1")
	if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("half a token: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	clock.add(time.Second)
	if n := passed(t, g, 10, "GET", "/a", "X-Runtime-API-Key: k1"); n != 1 {
		t.Errorf("%d passed after 2 s, want 1", n)
	}
	clock.add(time.Hour)
	if n := passed(t, g, 100, "GET", "/a", "X-Runtime-API-Key: k1"); n != 30 {
		t.Errorf("%d passed after an hour, want 30", n)
	}
}

func TestRefusedKeysSpendNothing(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: planned(2, "GET /a"), Now: newClock().now}, echo(), allowAll())
	for range 5 {
		wantError(t, send(g, "GET", "/a", nil, "X-Runtime-API-Key: bad"), 401, "unauthorized")
	}
	if n := passed(t, g, 10, "GET", "/a", "X-Runtime-API-Key: good"); n != 2 {
		t.Errorf("%d passed, want 2", n)
	}
}

func TestUsagePlanByAddress(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: planned(5, "GET /a", "open GET /open"), AuthOff: true, Now: newClock().now}, echo(), anyKey())
	if n := passed(t, g, 10, "GET", "/a"); n != 5 {
		t.Errorf("%d passed, want 5", n)
	}
	if n := passed(t, g, 10, "GET", "/open"); n != 5 {
		t.Errorf("%d passed on the open route, want 5", n)
	}
}

func TestMethodThrottle(t *testing.T) {
	t.Parallel()
	clock := newClock()
	s := testStack("open GET /a", "open POST /a", "open GET /b")
	s.API.MethodThrottles = []template.MethodThrottle{
		{Path: "/*", Method: "*", Rate: 10, Burst: 7},
		{Path: "/a", Method: "GET", Rate: 1.0 / 3, Burst: 3},
	}
	g := with(t, Options{Stack: s, Now: clock.now}, echo(), anyKey())
	for _, c := range []struct {
		method, path string
		want         int
	}{{"GET", "/a", 3}, {"POST", "/a", 7}, {"GET", "/b", 7}} {
		if n := passed(t, g, 20, c.method, c.path); n != c.want {
			t.Errorf("%s %s: %d passed, want %d", c.method, c.path, n, c.want)
		}
	}
	if w := send(g, "GET", "/a", nil); w.Header().Get("Retry-After") != "3" {
		t.Errorf("Retry-After is %q, want 3", w.Header().Get("Retry-After"))
	}
	s.API.MethodThrottles[0].Burst = 0
	if _, err := New(Options{Stack: s, Functions: map[string]lambda.Handler{"f": echo(), "authorize": anyKey()}}); err == nil {
		t.Error("a burst of 0 was taken")
	}
}

func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	th := newThrottle(1, 2, clock.now)
	for i := range maxBuckets + 100 {
		th.take(fmt.Sprint(i))
	}
	if len(th.byKey) != maxBuckets || th.recent.Len() != maxBuckets {
		t.Errorf("%d buckets, %d in the list, want %d", len(th.byKey), th.recent.Len(), maxBuckets)
	}
	if _, ok := th.byKey["0"]; ok {
		t.Error("the one that was quiet for longest is still there")
	}
	if _, ok := th.byKey[fmt.Sprint(maxBuckets+99)]; !ok {
		t.Error("the newest is not there")
	}
}

func TestBucketAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "2001:db8::ffff:1": "2001:db8::/64",
		"fe80::1%eth0": "fe80::/64", "@": "@",
	} {
		if got := bucketAddress(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

func BenchmarkThrottle(b *testing.B) {
	th := newThrottle(1e9, 1e9, time.Now)
	b.ReportAllocs()
	for b.Loop() {
		th.take("address 192.0.2.1")
	}
}
