package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func open(t *testing.T, dir string, c *clock, hosts ...string) *Store {
	t.Helper()
	s, err := Open(dir, hosts, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serial(t *testing.T, s *Store) string {
	t.Helper()
	c, err := s.certificate()
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.SerialNumber.String()
}

func TestCertificateIsTrustedForItsNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, &clock{start}, "bloom.example:8443", "192.0.2.7:8443", "[2001:db8::1]:1", "")
	ca, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	cert, err := s.certificate()
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"localhost", "127.0.0.1", "::1", "bloom.example", "192.0.2.7", "2001:db8::1"}
	if host, err := os.Hostname(); err == nil {
		wanted = append(wanted, host)
	}
	for _, name := range wanted {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, CurrentTime: start}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := cert.Leaf.VerifyHostname("other.example"); err == nil {
		t.Error("the certificate is good for a name that nobody asked for")
	}
	for _, name := range []string{"ca-key.pem", "server.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestUnspecifiedAddressStandsForAll(t *testing.T) {
	t.Parallel()
	got := names([]string{"0.0.0.0:8443"})
	for _, a := range addresses() {
		if !slices.Contains(got, a) {
			t.Errorf("%s is missing in %v", a, got)
		}
	}
	if slices.Contains(got, "0.0.0.0") {
		t.Errorf("0.0.0.0 is no name: %v", got)
	}
}

func TestFilesAreKept(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), &clock{start}
	first := serial(t, open(t, dir, c))
	if got := serial(t, open(t, dir, c)); got != first {
		t.Error("a second start made another certificate")
	}
	ca, _ := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if got := serial(t, open(t, dir, c, "new.example")); got == first {
		t.Error("a new name made no new certificate")
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "ca.pem")); string(after) != string(ca) {
		t.Error("the CA changed")
	}
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	c := &clock{start}
	s := open(t, t.TempDir(), c)
	first := serial(t, s)
	c.t = start.Add(serverLife - renewAhead - time.Hour)
	if serial(t, s) != first {
		t.Error("renewed too early")
	}
	c.t = start.Add(serverLife - renewAhead + time.Hour)
	second := serial(t, s)
	if second == first {
		t.Error("not renewed 30 days ahead")
	}
	if got := serial(t, open(t, s.dir, c)); got != second {
		t.Error("the renewed certificate was not kept")
	}
}

func TestRenewalThatFailsLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	c := &clock{start}
	s := open(t, t.TempDir(), c)
	first := serial(t, s)
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	c.t = start.Add(serverLife - time.Hour)
	if serial(t, s) != first {
		t.Error("the old certificate is not served although it is good")
	}
	c.t = start.Add(serverLife + time.Hour)
	if _, err := s.certificate(); err == nil {
		t.Error("a certificate that ran out is served")
	}
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	c := &clock{start}
	s := open(t, t.TempDir(), c)
	c.t = start.Add(-48 * time.Hour)
	cert, err := s.certificate()
	if err != nil || c.t.Before(cert.Leaf.NotBefore) {
		t.Errorf("a certificate of the future is served: %v", err)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	write := func(file, content string) func(*testing.T, string, *clock) {
		return func(t *testing.T, dir string, _ *clock) {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(file string) func(*testing.T, string, *clock) {
		return func(t *testing.T, dir string, _ *clock) {
			if err := os.Remove(filepath.Join(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string, c *clock)
		want  string // "" = all is well
	}{
		"CA cut off":     {write("ca.pem", "-----BEGIN CERT"), "ca-key.pem is damaged"},
		"CA key empty":   {write("ca-key.pem", ""), "ca-key.pem is damaged"},
		"server cut off": {write("server.pem", "x"), "server.pem is damaged"},
		"CA key of another": {func(t *testing.T, dir string, c *clock) {
			copyFile(t, filepath.Join(open(t, t.TempDir(), c).dir, "ca-key.pem"), filepath.Join(dir, "ca-key.pem"), start)
		}, "is damaged"},
		"CA is no CA": {func(t *testing.T, dir string, _ *clock) {
			copyFile(t, filepath.Join(dir, "server.pem"), filepath.Join(dir, "ca.pem"), start)
			copyFile(t, filepath.Join(dir, "server.pem"), filepath.Join(dir, "ca-key.pem"), start)
		}, "is not the certificate of a CA"},
		"CA key gone":         {remove("ca-key.pem"), "put the key back, or remove both"},
		"CA has run out":      {func(_ *testing.T, _ string, c *clock) { c.t = start.Add(caLife + time.Hour) }, "ran out on 2036"},
		"crash before the CA": {remove("ca.pem"), ""},
		"server gone":         {remove("server.pem"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, clk := t.TempDir(), &clock{start}
			open(t, dir, clk)
			c.spoil(t, dir, clk)
			_, err := Open(dir, nil, clk.now)
			if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "tls"), nil, time.Now); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("a file for a folder: %v", err)
	}
}

func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, ".server.pem.123")
	if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir, &clock{start})
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

func TestOwnFiles(t *testing.T) {
	t.Parallel()
	c := &clock{start}
	a, b := open(t, t.TempDir(), c), open(t, t.TempDir(), c)
	dir := t.TempDir()
	file := filepath.Join(dir, "own.pem")
	copyFile(t, filepath.Join(a.dir, "server.pem"), file, start)
	conf, err := LoadOwn(file, file)
	if err != nil {
		t.Fatal(err)
	}
	served := func() string {
		got, err := conf.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Leaf.SerialNumber.String()
	}
	if served() != serial(t, a) {
		t.Error("another certificate is served")
	}
	copyFile(t, filepath.Join(b.dir, "server.pem"), file, start.Add(time.Minute))
	if served() != serial(t, b) {
		t.Error("the new certificate is not served")
	}
	copyFile(t, filepath.Join(b.dir, "ca.pem"), file, start.Add(2*time.Minute)) // no key in it
	if served() != serial(t, b) {
		t.Error("a file that does not read has replaced a good one")
	}
	if _, err := LoadOwn(filepath.Join(dir, "none.pem"), file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func copyFile(t *testing.T, from, to string, at time.Time) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(to, data, 0o600), os.Chtimes(to, at, at)); err != nil {
		t.Fatal(err)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), &clock{time.Now()})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", s.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake() // the client tells what went wrong
			_ = c.Close()
		}
	}()
	ca, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	d := &net.Dialer{Timeout: 5 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", ln.Addr().String(), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if c, err := tls.DialWithDialer(d, "tcp", ln.Addr().String(), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is spoken")
	}
}
