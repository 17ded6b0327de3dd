// Package gateway is API Gateway (REST) on one machine.
//
// It reads its routes, authorizer, usage plan and throttles from the template
// and does with a request what API Gateway does, in its order: route,
// authorizer, usage plan, method throttle, limits, function. Every request
// crosses into its function as the JSON of an events.APIGatewayProxyRequest
// and comes back as the JSON of an events.APIGatewayProxyResponse.
//
// It differs from API Gateway where the project's contract does: an unknown
// route answers 404 (not 403), a wrong method 405 with Allow, what it refuses
// has the project's error shape, and the usage plan also holds routes and
// clients that have no key, by their address.
package gateway

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/bloom-runtime/bloom/local/template"
)

// Options are what a Gateway is made from.
type Options struct {
	// Stack is the template: its API and the routes of its functions.
	Stack *template.Stack
	// Functions are the handlers by Function.Name. Invoke is called concurrently
	// and must not keep its payload after it has returned.
	Functions map[string]lambda.Handler
	// AuthOff lets everybody in: the authorizer is never called and the usage
	// plan goes by client address.
	AuthOff bool
	// Mounts hand paths that begin with a prefix ("/bucket/") to other handlers,
	// past authorizer and throttles. The longest prefix wins, before any route.
	Mounts map[string]http.Handler
	// Log gets what went wrong inside: panics, errors and bad answers of functions.
	Log *slog.Logger
	// Access gets one line a request; nil = none.
	Access *AccessLog
	// Now is the clock of throttles and of the authorizer's cache; nil = time.Now.
	Now func() time.Time
}

// Gateway is an http.Handler; see New. It is safe for concurrent use.
type Gateway struct {
	routes  *routeNode
	mounts  []mount
	auth    *authorizer // nil: nobody is asked
	authOff bool
	plan    *throttle // nil: no usage plan
	binary  []string
	stage   string
	slots   chan struct{} // calls under way, see invoke
	jobs    chan job      // to workers that wait, see start
	log     *slog.Logger
	access  *AccessLog
	now     func() time.Time
}

type mount struct {
	prefix  string
	handler http.Handler
}

// New checks that every function of the template has a handler and every
// handler a function, and builds the routing table.
func New(o Options) (*Gateway, error) {
	if o.Stack == nil || o.Stack.API == nil {
		return nil, errors.New("gateway: the template has no API")
	}
	api := o.Stack.API
	if len(api.UsagePlans) > 1 {
		return nil, fmt.Errorf("gateway: %d usage plans; one machine knows one", len(api.UsagePlans))
	}
	g := &Gateway{
		routes: &routeNode{}, authOff: o.AuthOff, binary: api.BinaryMediaTypes, stage: api.Stage,
		slots: make(chan struct{}, maxCalls), jobs: make(chan job), log: o.Log, access: o.Access, now: o.Now,
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.now == nil {
		g.now = time.Now
	}
	for prefix, h := range o.Mounts {
		if !strings.HasPrefix(prefix, "/") {
			return nil, fmt.Errorf("gateway: the mount %q does not begin with a slash", prefix)
		}
		g.mounts = append(g.mounts, mount{prefix, h})
	}
	slices.SortFunc(g.mounts, func(a, b mount) int { return len(b.prefix) - len(a.prefix) })
	if len(api.UsagePlans) == 1 {
		p := api.UsagePlans[0]
		g.plan = newThrottle(p.RequestsPerMinute/60, p.Burst, g.now)
	}
	if err := g.addRoutes(o); err != nil {
		return nil, err
	}
	return g, g.addAuthorizer(o)
}

func (g *Gateway) addRoutes(o Options) error {
	known := map[string]bool{}
	for _, f := range o.Stack.Functions {
		known[f.Name] = true
		h, ok := o.Functions[f.Name]
		if !ok && len(f.Routes) > 0 {
			return fmt.Errorf("gateway: the template's function %s has no handler", f.Name)
		}
		fn := newFunction(f, h)
		for _, r := range f.Routes {
			t, err := methodThrottle(o.Stack.API.MethodThrottles, r, g.now)
			if err != nil {
				return err
			}
			if err := g.routes.add(&route{Route: r, function: fn, throttle: t}); err != nil {
				return fmt.Errorf("gateway: %s %s: %w", r.Method, r.Path, err)
			}
		}
	}
	for name := range o.Functions {
		if !known[name] {
			return fmt.Errorf("gateway: the handler %s is no function of the template", name)
		}
	}
	return nil
}

func (g *Gateway) addAuthorizer(o Options) error {
	a := o.Stack.API.Authorizer
	if a == nil || o.AuthOff {
		return nil
	}
	f, _ := o.Stack.Function(a.Function)
	h, ok := o.Functions[f.Name]
	if !ok {
		return fmt.Errorf("gateway: the authorizer %s has no handler", a.Function)
	}
	g.auth = newAuthorizer(a.Header, a.TTL, newFunction(f, h), g.now)
	return nil
}

// ServeHTTP answers one request and logs it.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{g: g, w: w, r: r, id: newRequestID(), start: time.Now()}
	c.client = clientOf(r.RemoteAddr)
	secure(w.Header())
	if m := g.mounted(r.URL.Path); m != nil {
		c.serveMount(m)
	} else {
		h, id := w.Header(), []string{c.id}
		h["X-Request-Id"], h["X-Amzn-Requestid"] = id, id
		c.serve()
	}
	if g.access != nil {
		g.access.write(c)
	}
}

func (g *Gateway) mounted(path string) *mount {
	for i := range g.mounts {
		if strings.HasPrefix(path, g.mounts[i].prefix) {
			return &g.mounts[i]
		}
	}
	return nil
}

// call is one request on its way through the gateway.
type call struct {
	g         *Gateway
	w         http.ResponseWriter
	r         *http.Request
	id        string
	start     time.Time
	client    string // the client's address without port
	path      string // percent-encoded, as the client sent it
	route     *route
	params    []param
	identity  *identity // nil on open routes and with auth off
	status    int       // for the access log
	sent      int64
	principal string
}

// serve does what API Gateway does, in its order.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
func (c *call) serve() {
	f := c.find()
	if f == nil {
		f = c.authorize()
	}
	if f == nil {
		f = c.throttle()
	}
	if f == nil {
		f = c.forward()
	}
	if f != nil {
		c.refuse(f)
	}
}

// find matches the route.
func (c *call) find() *refusal {
	if f := checkSizes(c.r); f != nil {
		return f
	}
	c.path = c.r.URL.EscapedPath()
	methods := c.g.routes.find(c.path, &c.params)
	if methods == nil {
		return errNoRoute
	}
	if c.route = methods.route(c.r.Method); c.route == nil {
		c.w.Header().Set("Allow", methods.allow())
		return errWrongMethod
	}
	return nil
}

// throttle takes from the plan's bucket, then from the method's.
func (c *call) throttle() *refusal {
	if c.g.plan != nil {
		key := c.bucketKey()
		if wait, ok := c.g.plan.take(key); !ok {
			return throttled(c.w, wait)
		}
	}
	if c.route.throttle != nil {
		if wait, ok := c.route.throttle.take(""); !ok {
			return throttled(c.w, wait)
		}
	}
	return nil
}

// bucketKey is whose bucket of the plan a request is taken from. API Gateway
// holds keys only; here open routes and clients without a key are held too, by
// address, and the open routes apart, so that a busy client does not lose them.
func (c *call) bucketKey() string {
	switch {
	case c.route.Open:
		return "open " + bucketAddress(c.client)
	case c.identity != nil && c.identity.usageKey != "":
		return "key " + c.identity.usageKey
	case c.identity != nil:
		return "principal " + c.identity.principal
	}
	return "address " + bucketAddress(c.client)
}

// serveMount counts what the other handler sends, for the log.
func (c *call) serveMount(m *mount) {
	cw := &countingWriter{ResponseWriter: c.w, c: c}
	m.handler.ServeHTTP(cw, c.r)
	if c.status == 0 {
		c.status = http.StatusOK
	}
}

type countingWriter struct {
	http.ResponseWriter
	c *call
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) WriteHeader(status int) {
	if w.c.status == 0 {
		w.c.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.c.sent += int64(n)
	return n, err
}

// ReadFrom keeps sendfile and the like possible.
func (w *countingWriter) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(w.ResponseWriter, r)
	w.c.sent += n
	return n, err
}
