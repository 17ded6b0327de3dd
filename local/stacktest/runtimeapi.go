package stacktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Function is a function's binary, run as Lambda runs it: it polls a Runtime API
// for events and posts its answers there.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
type Function struct {
	// Ready is the time from the start of the process to its first poll.
	Ready time.Duration

	proc    *process
	server  *http.Server
	dir     string
	polled  chan time.Time // gets the moment of the first poll
	events  chan []byte
	answers chan answer
}

type answer struct {
	body []byte
	err  error
}

// StartFunction runs the binary at path with env added to a bare environment
// and waits for its first poll.
func StartFunction(ctx context.Context, path string, env []string) (*Function, error) {
	dir, err := os.MkdirTemp("", "bloom-function-")
	if err != nil {
		return nil, err
	}
	f := &Function{dir: dir, polled: make(chan time.Time, 1), events: make(chan []byte), answers: make(chan answer, 1)}
	var conf net.ListenConfig
	listener, err := conf.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f.server = &http.Server{Handler: f.routes(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = f.server.Serve(listener) }() // ends with Close
	full := append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(),
		"AWS_LAMBDA_FUNCTION_NAME=" + filepath.Base(path), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
	}, env...)
	started := time.Now()
	if f.proc, err = run(ctx, command{path: path, env: full, dir: dir}, f.logPath(), func(string) {}); err != nil {
		f.Close()
		return nil, err
	}
	if f.Ready, err = f.awaitPoll(started); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// FunctionEnv is the environment that the template gives to every function, with
// one server at endpoint in place of all of AWS.
func FunctionEnv(endpoint, table string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "TABLE_NAME=" + table, "PARTITIONS=2", "RETENTION_DAYS=90",
		"BUCKET_NAME=bloom", "MEMBRIDGE_SECRET=membridge", "RUNTIME_API_KEY_SECRET=runtime-api-key",
	}
}

// awaitPoll returns how long after started the function polled for its first event.
func (f *Function) awaitPoll(started time.Time) (time.Duration, error) {
	select {
	case at := <-f.polled:
		return at.Sub(started), nil
	case <-f.proc.exit:
		return 0, fmt.Errorf("the function ended before its first poll: %w\n%s", f.proc.err, tail(f.logPath(), 30))
	case <-time.After(readyWithin):
		return 0, fmt.Errorf("no poll within %v\n%s", readyWithin, tail(f.logPath(), 30))
	}
}

// Invoke hands the function one event and returns its answer; an error is what
// the function reported, or that it ended.
func (f *Function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	select {
	case f.events <- event:
	case <-f.proc.exit:
		return nil, fmt.Errorf("the function ended: %w\n%s", f.proc.err, tail(f.logPath(), 30))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case a := <-f.answers:
		return a.body, a.err
	case <-f.proc.exit:
		return nil, fmt.Errorf("the function ended: %w\n%s", f.proc.err, tail(f.logPath(), 30))
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the function and its Runtime API.
func (f *Function) Close() {
	if f.proc != nil && !f.proc.ended() {
		_ = f.proc.signal(syscall.SIGKILL)
	}
	_ = f.server.Close()
	_ = os.RemoveAll(f.dir)
}

func (f *Function) logPath() string { return filepath.Join(f.dir, "function.log") }

func (f *Function) routes() http.Handler {
	const root = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	var first sync.Once
	var n atomic.Int64
	mux.HandleFunc("GET "+root+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		first.Do(func() { f.polled <- time.Now() })
		select {
		case event := <-f.events:
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", "request-"+strconv.FormatInt(n.Add(1), 10))
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(29*time.Second).UnixMilli(), 10))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:test")
			_, _ = w.Write(event) // the function's end shows in Invoke
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+root+"invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, r, func([]byte) error { return nil })
	})
	mux.HandleFunc("POST "+root+"invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) {
		f.answer(w, r, func(b []byte) error { return errors.New(strings.TrimSpace(string(b))) })
	})
	return mux
}

func (f *Function) answer(w http.ResponseWriter, r *http.Request, failed func([]byte) error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err == nil {
		err = failed(body)
	}
	w.WriteHeader(http.StatusAccepted)
	f.answers <- answer{body, err}
}
