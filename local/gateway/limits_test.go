package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
)

// zeros is a body of n bytes that counts how many of them were read.
type zeros struct{ left, read int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	for i := range p[:n] {
		p[i] = 'a'
	}
	z.left -= n
	z.read += n
	return n, nil
}

// size answers with the length of its event.
func size(seen *int) lambda.Handler {
	return handlerFunc(func(_ context.Context, p []byte) ([]byte, error) {
		*seen = len(p)
		return []byte(`{"statusCode":200}`), nil
	})
}

func TestBodyLimits(t *testing.T) {
	t.Parallel()
	var seen int
	g := with(t, Options{Stack: testStack("open POST /a")}, size(&seen), allowAll())
	for _, announced := range []bool{true, false} {
		for _, c := range []struct{ length, status int }{
			{0, 200}, {1, 200}, {512, 200}, {513, 200}, {1 << 20, 200}, {6 << 20, 413}, {maxBody, 413}, {maxBody + 1, 413}, {11 << 20, 413}, {100 << 20, 413},
		} {
			body := &zeros{left: c.length}
			r := httptest.NewRequest("POST", "/a", body)
			r.ContentLength = -1
			if announced {
				r.ContentLength = int64(c.length)
			}
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("%d bytes, announced %v: %d, want %d", c.length, announced, w.Code, c.status)
			}
			if c.status == 413 {
				wantError(t, w, 413, "too_large")
			}
			if body.read > maxBody+1 || announced && c.length > maxBody && body.read > 0 {
				t.Errorf("%d bytes, announced %v: %d were read", c.length, announced, body.read)
			}
		}
	}
}

// TestEventLimit finds the largest body that passes: its event is 6 MB.
func TestEventLimit(t *testing.T) {
	t.Parallel()
	var seen int
	g := with(t, Options{Stack: testStack("open POST /a")}, size(&seen), allowAll())
	post := func(body string) int { return send(g, "POST", "/a", strings.NewReader(body)).Code }
	if post("a") != 200 {
		t.Fatal("a small body")
	}
	frame := seen - 1
	if code := post(strings.Repeat("a", maxPayload-frame)); code != 200 || seen != maxPayload {
		t.Errorf("an event of exactly 6 MB: %d, %d bytes", code, seen)
	}
	if code := post(strings.Repeat("a", maxPayload-frame+1)); code != 413 {
		t.Errorf("an event of 6 MB and a byte: %d", code)
	}
	if code := post(strings.Repeat("\x01", maxPayload/6)); code != 413 {
		t.Errorf("a body that grows sixfold: %d", code)
	}
	if code := post(strings.Repeat("\xff", maxPayload/4*3)); code != 413 {
		t.Errorf("a body that base64 makes too large: %d", code)
	}
}

func TestHeaderAndURLLimits(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open GET /a/{x}")}, echo(), allowAll())
	wantError(t, send(g, "GET", "/a/1", nil, "X-Long: "+strings.Repeat("x", maxHeaders)), 431, "too_large")
	wantError(t, send(g, "GET", "/a/"+strings.Repeat("x", maxURL), nil), 414, "too_large")
	wantError(t, send(g, "GET", "/a/1?q="+strings.Repeat("x", maxURL), nil), 414, "too_large")
	if w := send(g, "GET", "/a/"+strings.Repeat("x", 9000), nil, "X-Long: "+strings.Repeat("x", 10_000)); w.Code != 200 {
		t.Errorf("within both limits: %d %s", w.Code, w.Body)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBodiesThatBreakOff(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open POST /a")}, echo(), allowAll())
	wantError(t, send(g, "POST", "/a", failing{errors.New("malformed chunk")}), 400, "invalid")
	wantError(t, send(g, "POST", "/a", failing{os.ErrDeadlineExceeded}), 408, "timeout")
}

// TestBuffersAreNotMixedUp sends bodies of many sizes through the same pool.
func TestBuffersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	g := with(t, Options{Stack: testStack("open POST /a")}, echo(), allowAll())
	for i := range 50 {
		body := bytes.Repeat([]byte{byte('a' + i%26)}, i*i*100)
		if e := eventOf(t, send(g, "POST", "/a", bytes.NewReader(body))); e.Body != string(body) {
			t.Fatalf("body %d came as %d bytes", i, len(e.Body))
		}
	}
}
