package gateway

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/local/template"
)

const (
	// maxCalls bounds the functions under way, those that have outlived their
	// request too; Lambda's account has the same number.
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxCalls = 1_000
	// gatewayTimeout is how long API Gateway waits for a function.
	gatewayTimeout = 29 * time.Second
)

var (
	errLate       = errors.New("did not answer in time")
	errManyCalls  = errors.New("has too many calls under way")
	errLongAnswer = errors.New("answered more than 6 MB")
)

// function is a Lambda function and its limits.
type function struct {
	name    string
	arn     string
	handler lambda.Handler
	timeout time.Duration
	slots   chan struct{} // nil: no bound of its own
}

func newFunction(f template.Function, h lambda.Handler) *function {
	fn := &function{
		name: f.Name, arn: "arn:aws:lambda:us-east-1:" + accountID + ":function:" + f.Name, handler: h, timeout: f.Timeout,
	}
	if f.Concurrency > 0 {
		fn.slots = make(chan struct{}, f.Concurrency)
	}
	return fn
}

type result struct {
	payload []byte
	err     error
}

// invoke calls a function as Lambda does: it runs on when the client goes away,
// until its own deadline, and a panic is its error. Its payload is b.event. On
// errLate it may still be running and using b; in every other case it has
// returned, and its answer may lie in b.answer.
func (g *Gateway) invoke(f *function, id string, wait time.Duration, b *buffers) ([]byte, error) {
	if !acquire(g.slots) {
		return nil, errManyCalls
	}
	if f.slots != nil && !acquire(f.slots) {
		<-g.slots
		return nil, errManyCalls
	}
	wait = min(wait, f.timeout)
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: id, InvokedFunctionArn: f.arn})
	g.start(job{ctx, f, b})
	select {
	case r := <-b.done:
		return r.orLate(ctx.Err() != nil)
	case <-ctx.Done():
		select {
		case r := <-b.done: // both at once: an answer is better than none
			return r.orLate(ctx.Err() != nil)
		default:
			return nil, errLate
		}
	}
}

// orLate is the result of a function, whose error past its deadline is just that.
func (r result) orLate(past bool) ([]byte, error) {
	if r.err != nil && past {
		return nil, errLate
	}
	return r.payload, r.err
}

func acquire(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

// job is a call for a worker.
type job struct {
	ctx      context.Context
	function *function
	buffers  *buffers
}

// workerIdle is how long a worker without work stays.
const workerIdle = 2 * time.Second

// start gives the job to a worker that waits, or to a new one. A worker is
// used again because its stack has grown already; there are as many as calls
// under way, at most.
func (g *Gateway) start(j job) {
	select {
	case g.jobs <- j:
	default:
		go g.work(j)
	}
}

func (g *Gateway) work(j job) {
	idle := time.NewTimer(workerIdle)
	defer idle.Stop()
	for {
		j.buffers.done <- j.function.run(j.ctx, g, j.buffers)
		j = job{} // nothing of the call is held while waiting
		idle.Reset(workerIdle)
		select {
		case j = <-g.jobs:
		case <-idle.C:
			return
		}
	}
}

func (f *function) run(ctx context.Context, g *Gateway, b *buffers) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
		if f.slots != nil {
			<-f.slots
		}
		<-g.slots
	}()
	answer, err := f.handle(ctx, b)
	if err == nil && len(answer) > maxPayload {
		err = errLongAnswer
	}
	return result{answer, err}
}

// handle lets a function behind API Gateway write its answer into b.
func (f *function) handle(ctx context.Context, b *buffers) ([]byte, error) {
	h, ok := f.handler.(proxyHandler)
	if !ok {
		return f.handler.Invoke(ctx, b.event)
	}
	answer, err := h.invoke(ctx, b.event, b.answer[:0])
	if err == nil {
		b.answer = answer
	}
	return answer, err
}

// forward reads the body, calls the function and passes its answer on.
func (c *call) forward() *refusal {
	buffers := newBuffers()
	body, f := readBody(buffers.body[:0], c.r)
	buffers.body = body
	if f != nil {
		buffers.release()
		return f
	}
	if buffers.event, f = c.appendEvent(buffers.event[:0], body); f != nil {
		buffers.release()
		return f
	}
	answer, err := c.g.invoke(c.route.function, c.id, min(gatewayTimeout, c.route.Timeout), buffers)
	if err == nil {
		err = c.reply(answer, &buffers.body)
	}
	if !errors.Is(err, errLate) { // else the function may be using them still
		buffers.release()
	}
	if err == nil {
		return nil
	}
	c.g.log.Error("function failed", "function", c.route.function.name, "request_id", c.id, "error", err.Error())
	switch {
	case errors.Is(err, errLate):
		return errTimeout
	case errors.Is(err, errManyCalls):
		return errBusy
	}
	return errFunction
}

// buffers of one request; large ones are not kept.
type buffers struct {
	body, event, answer []byte
	done                chan result // has room for one
}

const keepBuffer = 256 << 10

var bufferPool = sync.Pool{New: func() any { return &buffers{done: make(chan result, 1)} }}

func newBuffers() *buffers { return bufferPool.Get().(*buffers) }

func (b *buffers) release() {
	if cap(b.body) > keepBuffer {
		b.body = nil
	}
	if cap(b.event) > keepBuffer {
		b.event = nil
	}
	if cap(b.answer) > keepBuffer {
		b.answer = nil
	}
	bufferPool.Put(b)
}

func newRequestID() string { return uuid.NewString() }
