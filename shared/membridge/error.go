package membridge

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// networkError is a call that got no answer. Its text is a sentence of ours: the cause may carry the address with all its
// parts, and is kept for errors.Is only.
type networkError struct {
	cause error
}

func (e *networkError) Unwrap() error { return e.cause }

func (e *networkError) Error() string {
	return "Membridge cannot be reached: " + reason(e.cause)
}

func reason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "its host name is unknown"
		}
		return "its host name could not be resolved"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its TLS certificate is not trusted"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "it does not speak TLS"
	}
	switch {
	case errors.Is(err, errLinkLocal):
		return "its address is a link-local or metadata one, which is refused"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	case errors.Is(err, context.Canceled):
		return "the call was given up"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), timedOut(err):
		return "it did not answer in time"
	}
	return "the network failed"
}

func timedOut(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}
