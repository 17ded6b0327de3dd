// Package api is the HTTP face of the runtime: one file an operation, each of
// which decodes its input, makes one call to the domain's store and encodes the
// answer. An operation is an http.Handler; Entry makes it what a Lambda behind
// API Gateway runs.
package api

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"
)

// Entry is the function that Lambda calls with API Gateway's event.
type Entry func(context.Context, events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error)

// NewEntry adapts a handler. The path that the handler sees is made anew from the
// route and its parameters, so that no odd byte in a path can fail to parse;
// the parameters are its PathValues, decoded: a REST API gives them as they
// stand in the address.
func NewEntry(h http.Handler) Entry {
	adapter := httpadapter.New(withArrived(h))
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
		in := arrived{params: unescapeAll(e.PathParameters), headers: headersOf(e)}
		e.Path = expand(e.Resource, in.params)
		e.Headers, e.MultiValueHeaders = nil, nil // the adapter would copy them, one by one
		if e.IsBase64Encoded {
			// The adapter decodes strictly; a body that is no base64 is just an odd body.
			if _, err := base64.StdEncoding.DecodeString(e.Body); err != nil {
				e.IsBase64Encoded = false
			}
		}
		return adapter.ProxyWithContext(context.WithValue(ctx, arrivedKey{}, in), e)
	}
}

// arrived is what the handler gets past the adapter.
type arrived struct {
	params  map[string]string // decoded
	headers http.Header
}

type arrivedKey struct{}

// headersOf are the event's headers. API Gateway gives names as the client wrote
// them.
func headersOf(e events.APIGatewayProxyRequest) http.Header {
	h := http.Header(e.MultiValueHeaders)
	if h == nil {
		h = make(http.Header, len(e.Headers))
		for name, v := range e.Headers {
			h.Add(name, v)
		}
		return h
	}
	for name := range h {
		if http.CanonicalHeaderKey(name) != name {
			return canonical(h)
		}
	}
	return h
}

func canonical(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			out.Add(name, v)
		}
	}
	return out
}

// unescapeAll decodes path parameters.
func unescapeAll(params map[string]string) map[string]string {
	out := make(map[string]string, len(params))
	for name, v := range params {
		out[name] = unescape(v)
	}
	return out
}

// unescape decodes a path parameter. The SAM CLI gives it decoded already, so
// what has no escapes, or broken ones, stays as it is.
func unescape(param string) string {
	s, err := url.PathUnescape(param)
	if err != nil {
		return param
	}
	return s
}

// expand puts the parameters into the route's path, escaped.
func expand(resource string, params map[string]string) string {
	if !strings.Contains(resource, "{") {
		return resource
	}
	segments := strings.Split(resource, "/")
	for n, s := range segments {
		if name, ok := strings.CutPrefix(s, "{"); ok {
			segments[n] = url.PathEscape(params[strings.TrimRight(name, "+}")])
		}
	}
	return strings.Join(segments, "/")
}

func withArrived(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, _ := r.Context().Value(arrivedKey{}).(arrived)
		for name, v := range in.params {
			r.SetPathValue(name, v)
		}
		r.Header = in.headers
		h.ServeHTTP(w, r)
	})
}

// callerOf is who calls, as the authorizer said: the name of the key. Without
// authentication there is nobody to name.
func callerOf(ctx context.Context) (actor, requestID string) {
	actor = "anonymous"
	gw, ok := core.GetAPIGatewayContextFromContext(ctx)
	if !ok {
		return actor, ""
	}
	if p, ok := gw.Authorizer["principalId"].(string); ok && p != "" {
		actor = p
	}
	return actor, gw.RequestID
}
