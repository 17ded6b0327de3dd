package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// Trust says which certificates a server may show.
type Trust struct {
	// File holds certificates in PEM. "" = the system's alone.
	File string
	// Added: the system's certificates are trusted too, and File may be missing.
	// Otherwise File is all that is trusted.
	Added bool
}

// Roots reads the certificates anew. nil stands for the system's.
func (t Trust) Roots() (*x509.CertPool, error) {
	if t.File == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(t.File)
	if err != nil {
		if t.Added && os.IsNotExist(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the certificate to trust: %w", err)
	}
	pool := x509.NewCertPool()
	if t.Added {
		if system, err := x509.SystemCertPool(); err == nil {
			pool = system
		}
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", t.File)
	}
	return pool, nil
}

// NewTransport connects to servers that t trusts. The certificates are read for
// each new connection: a server that starts after the worker makes its
// certificate only then, and one that is replaced counts at once.
func NewTransport(t Trust) (*http.Transport, error) {
	now, err := t.Roots()
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: dialer.DialContext,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			roots, err := t.Roots()
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			defer cancel()
			d := &tls.Dialer{NetDialer: dialer, Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
			return d.DialContext(ctx, network, addr)
		},
		// Only for requests through a proxy, where DialTLSContext is not asked.
		TLSClientConfig:     &tls.Config{RootCAs: now, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     60 * time.Second,
	}, nil
}
