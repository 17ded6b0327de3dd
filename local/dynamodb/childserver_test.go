package dynamodb

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// serveDir tells the test binary to be a server that is killed.
const serveDir = "DYNAMODB_SERVE_DIR"

// serveUntilKilled serves the database in dir and says where. It ends with the
// process that started it.
func serveUntilKilled(dir string) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(2)
	}()
	s, err := Open(dir, Options{OnFatal: func(err error) { fmt.Println("error:", err); os.Exit(1) }})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it lives as long as the process
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return (&http.Server{Handler: s, ReadHeaderTimeout: time.Minute}).Serve(listener)
}

// child is a server in a process of its own, which may be killed and started
// again: its address is another one then.
type child struct {
	t   testing.TB
	dir string

	mu   sync.Mutex
	addr string
	cmd  *exec.Cmd
	up   chan struct{} // closed while it answers
}

func newChild(t testing.TB) *child {
	t.Helper()
	c := &child{t: t, dir: t.TempDir(), up: make(chan struct{})}
	c.start()
	t.Cleanup(c.kill)
	return c
}

func (c *child) start() {
	c.t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:noctx // it is killed
	cmd.Env = append(os.Environ(), serveDir+"="+c.dir)
	if _, err := cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	guard := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	guard.Stop()
	if err != nil || strings.HasPrefix(line, "error") {
		c.t.Fatalf("the server said %q, %v", line, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cmd, c.addr = cmd, strings.TrimSpace(line)
	close(c.up)
}

// kill ends the server as a power cut ends a process.
func (c *child) kill() {
	c.mu.Lock()
	cmd := c.cmd
	c.up = make(chan struct{})
	c.mu.Unlock()
	if cmd.ProcessState != nil {
		return
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
}

// wait waits until the server answers.
func (c *child) wait(ctx context.Context) {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
	case <-ctx.Done():
	}
}

// client calls the server wherever it is now.
func (c *child) client() *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		c.mu.Lock()
		addr := c.addr
		c.mu.Unlock()
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 32}, Timeout: time.Minute}
}
