// Package certs keeps the certificates of one machine: a CA of its own, made
// once, and a server certificate from it, renewed before it runs out.
//
// In its folder are ca.pem (what clients trust), ca-key.pem and server.pem (key,
// certificate and CA in one file); what holds a key has mode 0600. Files are
// replaced whole, so a crash leaves the old or the new.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 397 * 24 * time.Hour // browsers take no more than 398 days
	renewAhead = 30 * 24 * time.Hour
	// backdate is for clients whose clock is behind.
	backdate = time.Hour
)

// Store hands out the server certificate of a folder. It is safe for
// concurrent use.
type Store struct {
	dir   string
	hosts []string
	now   func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// Open reads the folder, or makes what is missing in it, for a server that is
// reached as hosts (names and addresses, with or without port; wildcard
// addresses stand for all of this machine's names). A certificate that lacks
// one of them, or is about to run out, is made anew; the CA stays. A file that
// cannot be read is an error that says which and what to do, and is left alone.
func Open(dir string, hosts []string, now func() time.Time) (*Store, error) {
	s := &Store{dir: dir, hosts: names(hosts), now: now}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	s.tidy()
	if _, err := s.certificate(); err != nil {
		return nil, err
	}
	return s, nil
}

// CAFile is the certificate that clients have to trust.
func (s *Store) CAFile() string { return filepath.Join(s.dir, "ca.pem") }

// Config is a TLS configuration that follows renewals.
func (s *Store) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return s.certificate()
		},
	}
}

// certificate returns the current certificate, renewed if it is time. Should
// renewing fail while the old one is good, the old one serves on.
func (s *Store) certificate() (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.fresh(s.current.Leaf) {
		return s.current, nil
	}
	made, err := s.loadOrMake()
	if err != nil {
		if s.current != nil && s.now().Before(s.current.Leaf.NotAfter) {
			return s.current, nil
		}
		return nil, err
	}
	s.current = made
	return made, nil
}

func (s *Store) fresh(leaf *x509.Certificate) bool {
	now := s.now()
	return now.Add(renewAhead).Before(leaf.NotAfter) && !now.Before(leaf.NotBefore)
}

func (s *Store) loadOrMake() (*tls.Certificate, error) {
	ca, err := s.ca()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, "server.pem")
	cert, err := readPair(file, file, remake)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case s.fresh(cert.Leaf) && s.covers(cert.Leaf) && cert.Leaf.CheckSignatureFrom(ca.Leaf) == nil:
		return cert, nil
	}
	return s.issue(ca)
}

// covers reports whether a certificate has every name that is wanted.
func (s *Store) covers(leaf *x509.Certificate) bool {
	return !slices.ContainsFunc(s.hosts, func(h string) bool { return leaf.VerifyHostname(h) != nil })
}

// ca reads the CA, or makes it when neither of its files is there.
func (s *Store) ca() (*tls.Certificate, error) {
	certFile, keyFile := s.CAFile(), filepath.Join(s.dir, "ca-key.pem")
	ca, err := readPair(certFile, keyFile, remake)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// A crash may have come between the key and the certificate: a key alone is
		// no CA yet. A certificate alone may be one that clients trust.
		if _, statErr := os.Stat(certFile); statErr == nil {
			return nil, fmt.Errorf("certificates: %s is there but %s is not: put the key back, or remove both to make a new CA, which clients must then trust", certFile, keyFile)
		}
		return s.makeCA()
	case err != nil:
		return nil, err
	case !ca.Leaf.IsCA:
		return nil, fmt.Errorf("certificates: %s is not the certificate of a CA", certFile)
	case s.now().After(ca.Leaf.NotAfter):
		return nil, fmt.Errorf("certificates: the CA in %s ran out on %s: remove it and %s to make a new one, which clients must then trust",
			certFile, ca.Leaf.NotAfter.Format(time.DateOnly), keyFile)
	}
	return ca, nil
}

func (s *Store) makeCA() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // only to tell several CAs apart
	t := s.blank("BLOOM Runtime CA "+host, caLife)
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	made, err := sign(t, t, key, key)
	if err != nil {
		return nil, err
	}
	// The key first: a key without certificate is no CA yet, see ca.
	if err := replaceFile(filepath.Join(s.dir, "ca-key.pem"), made.key, 0o600); err != nil {
		return nil, err
	}
	if err := replaceFile(s.CAFile(), made.cert, 0o644); err != nil {
		return nil, err
	}
	return readPair(s.CAFile(), filepath.Join(s.dir, "ca-key.pem"), remake)
}

func (s *Store) issue(ca *tls.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := s.blank("BLOOM Runtime", serverLife)
	if t.NotAfter.After(ca.Leaf.NotAfter) {
		t.NotAfter = ca.Leaf.NotAfter
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range s.hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	made, err := sign(t, ca.Leaf, key, ca.PrivateKey)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, "server.pem")
	all := slices.Concat(made.key, made.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate[0]}))
	if err := replaceFile(file, all, 0o600); err != nil {
		return nil, err
	}
	return readPair(file, file, remake)
}

func (s *Store) blank(name string, life time.Duration) *x509.Certificate {
	now := s.now()
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // crypto/rand does not fail
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"BLOOM Runtime"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		BasicConstraintsValid: true,
	}
}

// names lists what the certificate is for: this machine's own names and the
// hosts, each once, in order.
func names(hosts []string) []string {
	out := []string{"localhost", "127.0.0.1", "::1"}
	machine, _ := os.Hostname() // without one there is a name less
	for _, h := range append(slices.Clone(hosts), machine) {
		if host, _, err := net.SplitHostPort(h); err == nil {
			h = host
		}
		ip := net.ParseIP(h)
		switch {
		case h == "":
			continue
		case ip != nil && ip.IsUnspecified():
			out = append(out, addresses()...)
		case ip != nil:
			out = append(out, ip.String())
		case validName(h):
			out = append(out, h)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// addresses are those of this machine's interfaces, for a server that listens
// on all of them. Link-local ones are left out: they come and go.
func addresses() []string {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []string
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	return out
}

// validName keeps names that no certificate could be checked for out of it.
func validName(h string) bool {
	return (&x509.Certificate{DNSNames: []string{h}}).VerifyHostname(h) == nil
}
