package certs

import (
	"crypto/tls"
	"os"
	"sync"
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

	mu      sync.Mutex
	current *tls.Certificate
	read    [2]os.FileInfo // of the files as they were read; nil for one that was not there
}

// certificate looks at the files at each handshake: two stats, beside a signature
// that costs a hundred times as much.
func (o *own) certificate() (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := [2]os.FileInfo{stat(o.certFile), stat(o.keyFile)}
	if o.current != nil && same(now[0], o.read[0]) && same(now[1], o.read[1]) {
		return o.current, nil
	}
	c, err := readPair(o.certFile, o.keyFile, "put good ones in place")
	if err != nil {
		if o.current != nil {
			return o.current, nil
		}
		return nil, err
	}
	o.current, o.read = c, now
	return c, nil
}

func stat(path string) os.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil // reading it says why
	}
	return info
}

// same reports that a file has not been replaced or written since. Its time alone
// would not do: the kernel's clock ticks every few milliseconds.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
