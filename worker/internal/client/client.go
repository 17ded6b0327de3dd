package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Times that one call may take, and the largest answer that is read.
const (
	shortCall = 10 * time.Second // register, heartbeat
	longCall  = 35 * time.Second // claim and complete: API Gateway answers within 29 s
	maxAnswer = 16 << 20         // API Gateway's own limit is 10 MB
	maxError  = 64 << 10
)

// Client calls one runtime. Safe for concurrent use.
type Client struct {
	base *url.URL
	key  string
	http *http.Client
}

// New returns a client of the runtime at base, an absolute URL whose path, if
// any, comes before /api. key goes into X-Runtime-API-Key, "" = none.
func New(base *url.URL, key string, transport http.RoundTripper) *Client {
	return &Client{base: base, key: key, http: &http.Client{
		Transport: transport,
		// A redirect would carry the key to another address, and a POST may
		// come out of it as a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Register makes the worker known, or changes what is known of it.
func (c *Client) Register(ctx context.Context, r Registration) error {
	_, err := c.post(ctx, shortCall, r, nil, "workers")
	return err
}

// Claim asks for up to limit tasks. Errors: Gone when the server does not know
// the worker.
func (c *Client) Claim(ctx context.Context, worker string, limit, ttlSeconds int) (Claims, error) {
	var out Claims
	h, err := c.post(ctx, longCall, claimRequest{Max: limit, TTLSeconds: ttlSeconds}, &out, "workers", worker, "claim")
	if err != nil {
		return Claims{}, err
	}
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		out.ServerTime = at.UnixMilli()
	}
	return out, nil
}

// Heartbeat renews a lease. Errors: Conflict or Gone when it is lost.
func (c *Client) Heartbeat(ctx context.Context, taskID, leaseID string) error {
	_, err := c.post(ctx, shortCall, heartbeatRequest{LeaseID: leaseID}, nil, "llm-tasks", taskID, "heartbeat")
	return err
}

// Complete reports the end of a task; body is an encoded Completion, so that
// what is sent again is the same to the byte. Errors: Conflict or Gone when
// the lease is lost, Refused when the body will not be taken.
func (c *Client) Complete(ctx context.Context, taskID string, body json.RawMessage) error {
	_, err := c.post(ctx, longCall, body, nil, "llm-tasks", taskID, "complete")
	return err
}

// Encode gives the JSON of a Completion, without the escapes for HTML that
// would make an output three times as long.
func Encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// post sends in as JSON to /api/runtime/<segments> and reads the answer into
// out (nil = not wanted).
func (c *Client) post(ctx context.Context, limit time.Duration, in, out any, segments ...string) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	body, ok := in.(json.RawMessage)
	if !ok {
		var err error
		if body, err = Encode(in); err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url(segments), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "bloom-worker")
	if c.key != "" {
		req.Header.Set("X-Runtime-API-Key", c.key)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	return res.Header, read(res, out)
}

func (c *Client) url(segments []string) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(c.base.String(), "/"))
	b.WriteString("/api/runtime")
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

func read(res *http.Response, out any) error {
	if res.StatusCode < 200 || res.StatusCode > 299 {
		body, err := io.ReadAll(io.LimitReader(res.Body, maxError))
		if err != nil {
			body = nil // the status says enough
		}
		return newAPIError(res, body)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer is not what the API promises: %w", err)
	}
	return nil
}
