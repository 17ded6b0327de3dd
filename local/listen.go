package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// listeners are where the stack is reached. plain and membridge are nil where they are off.
type listeners struct{ api, plain, membridge net.Listener }

// listenAll takes all addresses before anything else is done: one that is in use ends the start at once.
func listenAll(ctx context.Context, s settings, stderr io.Writer, undo *closers) (on listeners, err error) {
	if on.api, err = listen(ctx, "-https", s.HTTPS, undo); err != nil {
		return on, err
	}
	if s.HTTP != "" {
		if on.plain, err = listen(ctx, "-http", s.HTTP, undo); err != nil {
			return on, err
		}
	}
	on.membridge, err = listenMembridge(ctx, s, stderr, undo)
	return on, err
}

func listen(ctx context.Context, flag, address string, undo *closers) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		undo.add(func() error { _ = ln.Close(); return nil }) // closed already when a server ran on it
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program: stop it, or choose another with %s", address, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("the address %s may not be used by this user: choose a port from 1024 with %s", address, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("the address %s is not one of this machine: choose another with %s", address, flag)
	}
	return nil, fmt.Errorf("the address %s cannot be used: %w; choose another with %s", address, plain(err), flag)
}

// origin is the URL of the listener for a client on this machine, or for any when it listens everywhere.
func origin(ln net.Listener) string {
	addr, ok := ln.Addr().(*net.TCPAddr)
	if ok && addr.IP.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			return "https://" + net.JoinHostPort(name, fmt.Sprint(addr.Port))
		}
	}
	return "https://" + ln.Addr().String()
}

// plain is the innermost cause of an error of the system: the sentence around it names the rest.
func plain(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// closers undo what was started, last first.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c *closers) close() error {
	var errs []error
	for n := len(*c) - 1; n >= 0; n-- {
		errs = append(errs, (*c)[n]())
	}
	return errors.Join(errs...)
}
