package stacktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"testing"
)

// maxAnswer bounds what the client reads of one answer, in bytes.
const maxAnswer = 64 << 20

// Client sends requests to one stack. It follows no redirects. It is safe for
// concurrent use.
type Client struct {
	Base string // "https://host:port"
	HTTP *http.Client
	Key  string // X-Runtime-API-Key; "" = none
}

// Response is one answer, read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request. path is raw: escaped as it shall be sent, with its
// query. body is nil for none, string or []byte to be sent as they are, or
// anything else to be encoded as JSON. The error is one of transport.
func (c *Client) Do(ctx context.Context, method, path string, body any) (Response, error) {
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = bytes.NewReader([]byte(b))
	case []byte:
		r = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return Response{}, err
		}
		r = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, r)
	if err != nil {
		return Response{}, err
	}
	if r != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Key != "" {
		req.Header.Set("X-Runtime-API-Key", c.Key)
	}
	return c.Send(req)
}

// Send sends a request made by the caller and reads the whole answer.
func (c *Client) Send(req *http.Request) (Response, error) {
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Response{}, err
	}
	defer func() { _ = resp.Body.Close() }() // what it held has been read
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Response{}, err
	}
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: raw}, nil
}

// Decode reads the body into v; an error shows the answer.
func (r Response) Decode(v any) error {
	if err := json.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("%w in %s", err, r)
	}
	return nil
}

// String shows the status and the head of the body.
func (r Response) String() string {
	return fmt.Sprintf("%d %s", r.Status, head(r.Body))
}

func head(b []byte) string {
	if len(b) > 500 {
		return fmt.Sprintf("%s… (%d bytes)", b[:500], len(b))
	}
	return string(b)
}

// Ask is Do for a test: a transport error ends it.
func (c *Client) Ask(t testing.TB, method, path string, body any) Response {
	t.Helper()
	resp, err := c.Do(t.Context(), method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, shorten(path), err)
	}
	return resp
}

// Want is Ask that demands a status and decodes the body as a T.
func Want[T any](t testing.TB, c *Client, status int, method, path string, body any) T {
	t.Helper()
	resp := c.Ask(t, method, path, body)
	if resp.Status != status {
		t.Fatalf("%s %s: want %d, got %s", method, shorten(path), status, resp)
	}
	var v T
	if err := resp.Decode(&v); err != nil {
		t.Fatalf("%s %s: %v", method, shorten(path), err)
	}
	return v
}

func shorten(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;\s*rel="?next"?`)

// Next returns the path and query of the next page that a Link header names,
// or "" on the last page.
func (r Response) Next() (string, error) {
	link := r.Header.Get("Link")
	if link == "" {
		return "", nil
	}
	m := nextLink.FindStringSubmatch(link)
	if m == nil {
		return "", fmt.Errorf("header Link %q names no next page", link)
	}
	u, err := url.Parse(m[1])
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}

// All reads a list route to its end, page by page, and returns every item.
func All[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	var all []T
	for path != "" {
		resp, err := c.Do(ctx, http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		if resp.Status != http.StatusOK {
			return nil, fmt.Errorf("GET %s: %s", path, resp)
		}
		var page []T
		if err := resp.Decode(&page); err != nil {
			return nil, err
		}
		all = append(all, page...)
		if path, err = resp.Next(); err != nil {
			return nil, err
		}
	}
	return all, nil
}
