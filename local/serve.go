package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	bloom "github.com/bloom-runtime/bloom"
	"github.com/bloom-runtime/bloom/local/certs"
	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/docs"
	"github.com/bloom-runtime/bloom/local/events"
	"github.com/bloom-runtime/bloom/local/gateway"
	"github.com/bloom-runtime/bloom/local/logs"
	"github.com/bloom-runtime/bloom/local/template"
)

const (
	// drainTimeout is what requests under way are given to end at a stop.
	drainTimeout = 10 * time.Second
	// keptLogs is how many days of log files are kept.
	keptLogs = 14
)

// serve runs the stack until ctx ends or something in it fails for good. What it starts it stops, in this order: the gateway,
// the events, the stores, the data folder.
func serve(ctx context.Context, s settings, stdout, stderr io.Writer) (err error) {
	var undo closers
	defer func() { err = errors.Join(err, undo.close()) }()

	stack, err := loadTemplate(s)
	if err != nil {
		return err
	}
	on, err := listenAll(ctx, s, stderr, &undo)
	if err != nil {
		return err
	}
	data, err := datadir.Open(s.Data)
	if err != nil {
		return err
	}
	undo.add(data.Close)
	log, access, err := openLogs(data, stderr, &undo)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	if err := serveProfiles(ctx, s.Profiles, &undo); err != nil {
		return err
	}
	at, mounts, err := openStores(ctx, s, stack, data, origin(on.api), fail, &undo)
	if err != nil {
		return err
	}
	registry, err := startMembridge(ctx, s, on.membridge, stack, at, data, log, fail, &undo)
	if err != nil {
		return err
	}
	handlers, err := buildFunctions(stack, at)
	if err != nil {
		return err
	}
	runner, err := startEvents(ctx, s, stack, at, data, handlers, log)
	if err != nil {
		return err
	}
	undo.add(func() error { runner.Stop(); return nil })
	maps.Copy(mounts, docs.Mounts(bloom.OpenAPI))
	trusted, err := startGateway( //nolint:contextcheck // requests and the drain outlive ctx
		s, on.api, on.plain, data, gateway.Options{
			Stack: stack, Functions: handlers, AuthOff: s.APIKey == "", Mounts: mounts, Log: log, Access: access,
		}, fail, &undo)
	if err != nil {
		return err
	}
	takeBackups(data, at, log, &undo) //nolint:contextcheck // it ends by undo
	announce(s, origin(on.api), trusted, registry, stdout, stderr)
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// announce says that the first request can be answered.
func announce(s settings, url, trusted, registry string, stdout, stderr io.Writer) {
	auth, kind := "", "CA certificate"
	if s.TLSCert != "" {
		kind = "certificate"
	}
	if s.APIKey == "" {
		auth = " (auth off)"
		_, _ = fmt.Fprintln(stderr, "bloom: WARNING: auth is off, whoever reaches this machine's loopback may do everything; set RUNTIME_API_KEY to turn it on")
	}
	if text := s.Faults.String(); text != "" {
		_, _ = fmt.Fprintln(stderr, "bloom: WARNING: faults are on ("+text+"): the store refuses, delays, forgets and repeats on purpose, as AWS does now and then; for tests only")
	}
	_, _ = fmt.Fprintf(stdout, "ready %s%s, %s %s%s\n", url, auth, kind, trusted, registry)
}

// loadTemplate reads the template and gives its stores names that can be told from those of other stacks.
func loadTemplate(s settings) (*template.Stack, error) {
	source, name := bloom.Template, "template.yaml"
	if s.Template != "" {
		var err error
		if source, err = os.ReadFile(s.Template); err != nil {
			return nil, fmt.Errorf("the template %s cannot be read: %w", s.Template, plain(err))
		}
		name = s.Template
	}
	first, err := template.Parse(source, template.Options{Overrides: s.Parameters})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	names := resourceNames(first)
	return template.Parse(source, template.Options{
		Overrides: s.Parameters,
		Resolve: func(logicalID, attribute string) (string, bool) {
			v, ok := names[logicalID]
			return v, ok && attribute == ""
		},
	})
}

func openLogs(data *datadir.Dir, stderr io.Writer, undo *closers) (*slog.Logger, *gateway.AccessLog, error) {
	own, err := logs.Open(data.Path("logs"), "bloom", keptLogs, time.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("the logs in %s cannot be written: %w", data.Path("logs"), plain(err))
	}
	undo.add(own.Close)
	requests, err := logs.Open(data.Path("logs"), "access", keptLogs, time.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("the logs in %s cannot be written: %w", data.Path("logs"), plain(err))
	}
	undo.add(requests.Close)
	access := gateway.NewAccessLog(requests)
	undo.add(access.Close)
	log := slog.New(slog.NewJSONHandler(tee{stderr, own}, nil))
	slog.SetDefault(log)
	return log, access, nil
}

// tee writes to all its writers whatever becomes of each: a full disk must not silence the terminal.
type tee []io.Writer

func (t tee) Write(p []byte) (int, error) {
	for _, w := range t {
		_, _ = w.Write(p)
	}
	return len(p), nil
}

func startEvents(ctx context.Context, s settings, stack *template.Stack, at stores, data *datadir.Dir, handlers map[string]lambda.Handler, log *slog.Logger) (*events.Runner, error) {
	bucket, err := failedBatches(stack, at)
	if err != nil {
		return nil, err
	}
	// A stop ends the events after the requests, and not when ctx does.
	return events.Start(context.WithoutCancel(ctx), events.Options{
		Stack: stack, Functions: handlers, Streams: at.dynamodb, Dir: data.Path("events"), Log: log, Failed: bucket,
		Redelivered: s.Faults.Redelivered, Seed: s.Faults.Seed,
	})
}

// startGateway serves ln and, where there is one, the listener that redirects to it. It returns the path of the certificate that
// clients have to trust: the CA's, or the user's own.
func startGateway(s settings, ln, plainLn net.Listener, data *datadir.Dir, o gateway.Options, fail context.CancelCauseFunc, undo *closers) (string, error) {
	handler, err := gateway.New(o)
	if err != nil {
		return "", err
	}
	tlsConfig, trusted, err := certificate(s, ln, data)
	if err != nil {
		return "", err
	}
	server := gateway.NewServer(handler, tlsConfig, o.Log)
	go watch("the API", func() error { return server.Serve(ln) }, fail)
	undo.add(func() error { drain(server, o.Log); return nil })
	if plainLn == nil {
		return trusted, nil
	}
	redirect := gateway.NewRedirect(ln.Addr().String(), o.Log)
	go watch("the redirect", func() error { return redirect.Serve(plainLn) }, fail)
	undo.add(func() error { drain(redirect, o.Log); return nil })
	return trusted, nil
}

// certificate is the server's certificate, renewed without a restart, and the file that clients trust.
func certificate(s settings, ln net.Listener, data *datadir.Dir) (*tls.Config, string, error) {
	if s.TLSCert != "" {
		config, err := certs.LoadOwn(s.TLSCert, s.TLSKey)
		return config, s.TLSCert, err
	}
	store, err := certs.Open(data.Path("tls"), []string{s.HTTPS, ln.Addr().String()}, time.Now)
	if err != nil {
		return nil, "", err
	}
	return store.Config(), store.CAFile(), nil
}

// drain lets the requests under way end. Who is cut off after that has had its time.
func drain(server *gateway.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("requests were cut off at the stop", "error", err)
	}
}

func watch(what string, serve func() error, fail context.CancelCauseFunc) {
	if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
		fail(fmt.Errorf("%s cannot take connections any more: %w", what, err))
	}
}
