package main

import (
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The worker starts before the server does.
func TestProgramServerLater(t *testing.T) {
	t.Parallel()
	p := newPeer()
	_, ca := p.serve(t) // the certificate is the same for all servers of httptest
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	away := make(chan struct{})
	go func() { // until the deadline below, connections are cut
		defer close(away)
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			_ = c.Close()
		}
	}()
	id := p.add("hello")
	w := launch(t, "https://"+ln.Addr().String(), ca)
	w.waitLog(t, "registration failed")
	if err := ln.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	<-away
	if err := ln.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(p)
	_ = s.Listener.Close()
	s.Listener = ln
	s.StartTLS()
	t.Cleanup(s.Close)
	p.waitStatus(t, id, "completed")
	w.stop(t, p)
}

// A certificate that the worker does not trust is an error that it tells.
func TestProgramWrongCertificate(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, _ := p.serve(t)
	cmd := exec.Command(workerBin, "-url", url, "-name", "w")
	cmd.Dir = t.TempDir() // no .bloom there
	out := &logs{}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "message", func() bool { return strings.Contains(out.String(), "certificate signed by unknown authority") })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if p.count("workers") != 0 {
		t.Error("the server was trusted")
	}
}

// The certificate appears in the default place only after the worker started.
func TestProgramLateCertificate(t *testing.T) {
	t.Parallel()
	p := newPeer()
	url, ca := p.serve(t)
	id := p.add("hello")
	dir := t.TempDir()
	cmd := exec.Command(workerBin, "-url", url, "-name", "w", "-key", "test-key", "--", standinBin)
	cmd.Dir = dir
	out := &logs{}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "message", func() bool { return strings.Contains(out.String(), "unknown authority") })
	if err := os.MkdirAll(filepath.Join(dir, ".bloom", "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(ca, filepath.Join(dir, ".bloom", "tls", "ca.pem")); err != nil {
		t.Fatal(err)
	}
	p.waitStatus(t, id, "completed")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestProgramWrongSettings(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(workerBin, "-concurrency", "99")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("%v", err)
	}
	if got := string(out); got != "worker: -concurrency is \"99\"; it must be a whole number from 1 to 32\n" {
		t.Errorf("%q", got)
	}
	if out, err := exec.Command(workerBin, "-h").Output(); err != nil || !strings.HasPrefix(string(out), "usage: worker") {
		t.Errorf("-h: %v %s", err, out)
	}
}
