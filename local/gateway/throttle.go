package gateway

import (
	"container/list"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/bloom-runtime/bloom/local/template"
)

// maxBuckets bounds the clients that a throttle remembers. One more pushes out
// the client that was quiet for longest, whose bucket is full again in all
// likelihood.
const maxBuckets = 16_384

// throttle is a token bucket for each key: burst tokens, refilled at rate a
// second, as API Gateway's throttles are.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
type throttle struct {
	rate  float64
	burst float64
	now   func() time.Time

	mu     sync.Mutex
	byKey  map[string]*list.Element // of *bucket
	recent *list.List               // most recently used first
}

type bucket struct {
	key    string
	tokens float64
	at     time.Time // when tokens was right
}

func newThrottle(rate float64, burst int, now func() time.Time) *throttle {
	return &throttle{rate: rate, burst: float64(burst), now: now, byKey: map[string]*list.Element{}, recent: list.New()}
}

// take takes a token, or says how long it is until there is one.
func (t *throttle) take(key string) (wait time.Duration, ok bool) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucket(key, now)
	if since := now.Sub(b.at).Seconds(); since > 0 {
		b.tokens = math.Min(t.burst, b.tokens+since*t.rate)
		b.at = now
	}
	if b.tokens >= 1 {
		b.tokens--
		return 0, true
	}
	if t.rate <= 0 {
		return time.Minute, false
	}
	return time.Duration((1 - b.tokens) / t.rate * float64(time.Second)), false
}

func (t *throttle) bucket(key string, now time.Time) *bucket {
	if e, ok := t.byKey[key]; ok {
		t.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if len(t.byKey) >= maxBuckets {
		oldest := t.recent.Back()
		delete(t.byKey, oldest.Value.(*bucket).key)
		t.recent.Remove(oldest)
	}
	b := &bucket{key: key, tokens: t.burst, at: now}
	t.byKey[key] = t.recent.PushFront(b)
	return b
}

// throttled sets Retry-After, in whole seconds, at least 1.
func throttled(w http.ResponseWriter, wait time.Duration) *refusal {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	return errThrottled
}

// methodThrottle makes the throttle of a route from the entries of
// MethodSettings; the entry that says most about the route wins.
func methodThrottle(all []template.MethodThrottle, r template.Route, now func() time.Time) (*throttle, error) {
	best, score := template.MethodThrottle{}, -1
	for _, m := range all {
		s := 0
		switch m.Path {
		case r.Path:
			s += 2
		case "/*":
		default:
			continue
		}
		switch m.Method {
		case r.Method:
			s++
		case "*":
		default:
			continue
		}
		if s > score {
			best, score = m, s
		}
	}
	if score < 0 {
		return nil, nil // a route without throttle
	}
	if best.Burst < 1 {
		return nil, fmt.Errorf("gateway: %s %s: a burst of %d lets nothing through", r.Method, r.Path, best.Burst)
	}
	return newThrottle(best.Rate, best.Burst, now), nil
}

// clientOf takes the port off a remote address.
func clientOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	return host
}

// bucketAddress is what a client without a key is counted under: its address,
// or in IPv6 its /64, since one machine can use all of that.
func bucketAddress(client string) string {
	a, err := netip.ParseAddr(client)
	if err != nil || a.Is4() {
		return client
	}
	if a.Is4In6() {
		return a.Unmap().String()
	}
	p, err := a.WithZone("").Prefix(64)
	if err != nil {
		return client
	}
	return p.String()
}
