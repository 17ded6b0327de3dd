// Package membridge calls Membridge, the control plane that knows the worker agents and the memory-sync projects.
//
// Its address is set by an administrator and called from inside the runtime's network, so the client keeps to a small set of
// what an HTTP client can do: no redirects, no proxy, a bounded body, and no link-local address, where clouds keep their
// metadata and credentials, even when a name resolves to one.
package membridge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// AdminHeader carries the admin key.
const AdminHeader = "X-MEMBRIDGE-ADMIN"

const (
	// Timeout is what one try usually gets.
	Timeout = 10 * time.Second
	// Retries is how often a call is usually tried again.
	Retries = 3
	// maxBody is the largest answer read, in bytes.
	maxBody = 2 << 20
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
// answer is final at once. timeout bounds one try, from the connection to the last byte of the answer.
func New(timeout time.Duration, retries int) *Client {
	dialer := &net.Dialer{Timeout: timeout, Control: refuseLinkLocal}
	return &Client{
		retries: retries,
		backoff: backoffBase,
		http: &http.Client{
			Timeout: timeout,
			Transport: &http.Transport{
				// Through a proxy the dialer would see the proxy's address and not the server's.
				Proxy:               nil,
				DialContext:         dialer.DialContext,
				TLSHandshakeTimeout: timeout,
				MaxIdleConnsPerHost: 2,
				// The longest headers read, in bytes.
				MaxResponseHeaderBytes: 64 << 10,
				IdleConnTimeout:        90 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Retrying returns the client with another number of retries. It shares the connections.
func (c *Client) Retrying(retries int) *Client {
	other := *c
	other.retries = retries
	return &other
}

// Their texts are shown to users as they are.
var (
	errLongAnswer = errors.New("Membridge answered with more than 2 MB")             //nolint:staticcheck // a name
	errNotJSON    = errors.New("Membridge answered with something that is not JSON") //nolint:staticcheck // a name
)

// StatusError is an answer other than 200 and 201.
type StatusError struct {
	// Status is the HTTP status.
	Status int
	// Detail is Membridge's own sentence about it, made printable and cut short; "" when it gave none. It is not part of the
	// error's text: it comes from the other side.
	Detail string
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
