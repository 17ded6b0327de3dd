package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/membridge"
	"github.com/bloom-runtime/bloom/local/template"
	"github.com/bloom-runtime/bloom/shared/api"
	"github.com/bloom-runtime/bloom/shared/clock"
	shared "github.com/bloom-runtime/bloom/shared/membridge"
)

const (
	// keyFile, in the data folder, holds the built-in Membridge's admin key, for whoever administers it. Mode 0600.
	keyFile = "membridge.key"
	// maxMembridgeKey is the longest admin key, in bytes.
	maxMembridgeKey = 512
)

// listenMembridge takes the built-in Membridge's address; nil when it is off. Where nobody asked for the address, one that is
// taken, by the original Membridge say, is no reason not to start.
func listenMembridge(ctx context.Context, s settings, stderr io.Writer, undo *closers) (net.Listener, error) {
	if s.Membridge == "" {
		return nil, nil
	}
	ln, err := listen(ctx, "-membridge", s.Membridge, undo)
	if err != nil && !s.MembridgeAsked {
		_, _ = fmt.Fprintf(stderr, "bloom: the built-in Membridge is off: %v\n", err)
		return nil, nil
	}
	if err == nil && !loopback(ctx, s.Membridge) {
		_, _ = fmt.Fprintf(stderr, "bloom: WARNING: the built-in Membridge speaks plain HTTP, and other machines reach -membridge %s: its admin key can be read on the way\n", s.Membridge)
	}
	return ln, err
}

// startMembridge serves the built-in Membridge on ln and links the runtime to it, unless an admin has linked another one. Without
// ln it undoes the link. It returns what the ready line says of it.
func startMembridge(ctx context.Context, s settings, ln net.Listener, stack *template.Stack, at stores, data *datadir.Dir, log *slog.Logger,
	fail context.CancelCauseFunc, undo *closers) (string, error) {
	e, ok := syncEnvironment(stack, at)
	if !ok {
		return "", nil
	}
	table, err := e.table()
	if err != nil {
		return "", err
	}
	if ln == nil {
		return "", api.LinkBuiltIn(ctx, table, e.link(), shared.Server{})
	}
	bucket, err := e.bucket()
	if err != nil {
		return "", err
	}
	key, err := membridgeKey(data, s.MembridgeKey)
	if err != nil {
		return "", err
	}
	server := membridge.New(membridge.Options{Table: table, Bucket: bucket, Key: key, Now: clock.System, Log: log}).HTTPServer()
	go watch("the built-in Membridge", func() error { return server.Serve(ln) }, fail)
	undo.add(func() error { drainPlain(server, log); return nil }) //nolint:contextcheck // the drain outlives ctx
	url := "http://" + ln.Addr().String()
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		url = fmt.Sprintf("http://127.0.0.1:%d", tcp.Port)
	}
	if err := api.LinkBuiltIn(ctx, table, e.link(), shared.Server{URL: url, AdminKey: key}); err != nil {
		return "", err
	}
	return fmt.Sprintf(", Membridge %s, its admin key in %s", url, data.Path(keyFile)), nil
}

// syncEnvironment is the environment of the function that reads Membridge; ok is false for a template without it.
func syncEnvironment(stack *template.Stack, at stores) (environment, bool) {
	for _, f := range stack.Functions {
		if f.Name == "sync-workers" {
			return environment{f.Env, at}, true
		}
	}
	return environment{}, false
}

// membridgeKey is the admin key: the one given, else the one in the data folder, else a new one. The file has it afterwards.
func membridgeKey(data *datadir.Dir, given string) (string, error) {
	path := data.Path(keyFile)
	if given == "" {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("the file %s cannot be read: %w", path, plain(err))
		}
		if given = strings.TrimSpace(string(b)); len(given) > maxMembridgeKey || strings.ContainsFunc(given, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return "", fmt.Errorf("the file %s holds no key: remove it, and a new one is made", path)
		}
	}
	if given == "" {
		given = rand.Text() + rand.Text()
	}
	if err := datadir.WriteFile(path, []byte(given+"\n")); err != nil {
		return "", err
	}
	return given, nil
}

// drainPlain lets the requests under way end.
func drainPlain(server *http.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Warn("requests to Membridge were cut off at the stop", "error", err)
		_ = server.Close() // what it holds is cut off
	}
}
