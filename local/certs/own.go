package certs

import (
	"crypto/tls"
	"os"
	"sync"
	"time"
)

// LoadOwn reads certificate files of the user's own (-tls-cert, -tls-key), PEM,
// the chain in certFile. They are read again when they change, so that whoever
// renews them need not restart the server; a change that does not read is
// ignored until it does.
func LoadOwn(certFile, keyFile string) (*tls.Config, error) {
	o := &own{certFile: certFile, keyFile: keyFile}
	if _, err := o.certificate(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return o.certificate()
		},
	}, nil
}

// own is a pair of files that somebody else renews.
type own struct {
	certFile, keyFile string

	mu       sync.Mutex
	current  *tls.Certificate
	modified [2]time.Time
}

// certificate looks at the files' times at each handshake: two stats, beside a
// signature that costs a hundred times as much.
func (o *own) certificate() (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := [2]time.Time{modTime(o.certFile), modTime(o.keyFile)}
	if o.current != nil && now == o.modified {
		return o.current, nil
	}
	c, err := readPair(o.certFile, o.keyFile)
	if err != nil {
		if o.current != nil {
			return o.current, nil
		}
		return nil, err
	}
	o.current, o.modified = c, now
	return c, nil
}

func modTime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
