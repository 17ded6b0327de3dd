// Package membridge calls Membridge, the control plane that knows the worker agents and the memory-sync projects.
//
// Its address is set by an administrator and called from inside the runtime's network, so the client keeps to a small set of
// what an HTTP client can do: no redirects, no proxy, a bounded body, and no link-local address, where clouds keep their
// metadata and credentials, even when a name resolves to one.
package membridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// AdminHeader carries the admin key.
const AdminHeader = "X-MEMBRIDGE-ADMIN"

const (
	// attemptTimeout bounds one try, from the connection to the last byte of the answer.
	attemptTimeout = 10 * time.Second
	// maxBody is the largest answer read, in bytes.
	maxBody = 1 << 20
	// margin is kept free of the context's time, so that the caller can still act on a failure.
	margin = 2 * time.Second
	// backoffBase is the wait before the first retry; each further one doubles it. Up to 30 % jitter is added.
	backoffBase = 500 * time.Millisecond
)

// Client calls any number of Membridge servers. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	retries int
	backoff time.Duration
}

// New returns a client that tries a call again up to retries times when the network fails or the answer is 5xx. Any other
// answer is final at once.
func New(retries int) *Client {
	dialer := &net.Dialer{Timeout: attemptTimeout, Control: refuseLinkLocal}
	return &Client{
		retries: retries,
		backoff: backoffBase,
		http: &http.Client{
			Timeout: attemptTimeout,
			Transport: &http.Transport{
				// Through a proxy the dialer would see the proxy's address and not the server's.
				Proxy:               nil,
				DialContext:         dialer.DialContext,
				TLSHandshakeTimeout: attemptTimeout,
				MaxIdleConnsPerHost: 2,
				IdleConnTimeout:     90 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Their texts are shown to users as they are.
var (
	errLongAnswer = errors.New("Membridge answered with more than 1 MB")             //nolint:staticcheck // a name
	errNotJSON    = errors.New("Membridge answered with something that is not JSON") //nolint:staticcheck // a name
)

// StatusError is an answer other than 200.
type StatusError struct {
	// Status is the HTTP status.
	Status int
}

func (e *StatusError) Error() string {
	switch {
	case e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden:
		return fmt.Sprintf("Membridge refused the admin key (HTTP %d)", e.Status)
	case e.Status >= 300 && e.Status < 400:
		return fmt.Sprintf("Membridge answered with a redirect (HTTP %d), which is not followed", e.Status)
	}
	return fmt.Sprintf("Membridge answered HTTP %d", e.Status)
}

// Health asks the server at baseURL how it is and returns its answer, a JSON value. It gives up 2 s before ctx's deadline.
// Every error is a short sentence that can be shown to a user: it carries neither the key nor the server's answer. Errors:
// *StatusError, or one of the network or of a URL that ValidateURL refuses.
func (c *Client) Health(ctx context.Context, baseURL, adminKey string) (json.RawMessage, error) {
	if err := ValidateURL(baseURL); err != nil {
		return nil, fmt.Errorf("the Membridge address %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) > 2*margin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	url := strings.TrimRight(baseURL, "/") + "/health"
	for try := 0; ; try++ {
		body, err := c.get(ctx, url, adminKey)
		if err == nil || try == c.retries || !retryable(err) {
			return body, err
		}
		if !c.wait(ctx, try) {
			return nil, err
		}
	}
}

func (c *Client) get(ctx context.Context, url, adminKey string) (json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, errors.New("the Membridge address is not a URL")
	}
	req.Header.Set(AdminHeader, adminKey)
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, &networkError{err}
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, &StatusError{Status: res.StatusCode}
	case err != nil:
		return nil, &networkError{err}
	case len(body) > maxBody:
		return nil, errLongAnswer
	case !json.Valid(body):
		return nil, errNotJSON
	}
	return body, nil
}

// wait sleeps before the retry that follows the given try; false means that the context ended first.
func (c *Client) wait(ctx context.Context, try int) bool {
	d := c.backoff << try
	d += time.Duration(rand.Float64() * 0.3 * float64(d))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func retryable(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Status >= 500
	}
	network, ok := errors.AsType[*networkError](err)
	return ok && !errors.Is(network.cause, errLinkLocal) && !errors.Is(network.cause, context.Canceled)
}
