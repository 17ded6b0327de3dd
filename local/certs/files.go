package certs

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// pair is a certificate and its key in PEM.
type pair struct{ cert, key []byte }

func sign(t, parent *x509.Certificate, key *ecdsa.PrivateKey, signer any) (pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return pair{}, fmt.Errorf("certificates: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("certificates: %w", err)
	}
	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}

// tidy removes what a crash within replaceFile left.
func (s *Store) tidy() {
	left, _ := filepath.Glob(filepath.Join(s.dir, ".*.pem.*")) // the pattern is good
	for _, f := range left {
		_ = os.Remove(f) // it is in nobody's way
	}
}

// replaceFile writes a file beside the old one, syncs it and renames it.
func replaceFile(path string, data []byte, mode fs.FileMode) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("certificates: %w", err)
		}
	}()
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // the first error counts
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// remake is what to do about a file that this package made.
const remake = "restore it from a copy, or remove it to have a new one made"

// readPair reads a certificate and its key, and checks that they go together.
// It returns fs.ErrNotExist when one of the files is not there; of damaged ones
// the error says what to do, which is the remedy.
func readPair(certFile, keyFile, remedy string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		what := certFile + " is"
		if keyFile != certFile {
			what = certFile + " or " + keyFile + " is"
		}
		return nil, fmt.Errorf("certificates: %s damaged (%w): %s", what, err, remedy)
	}
	return &c, nil
}
