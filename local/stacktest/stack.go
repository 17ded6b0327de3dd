package stacktest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Options says how a stack is started. The zero value is a stack on a free port
// over an empty data folder, with auth off and a throttle that no test reaches.
type Options struct {
	// Parameters override the template's parameters.
	Parameters map[string]string
	// Env is added to this process's environment ("NAME=value").
	Env []string
	// Args are added to the command line.
	Args []string
	// Data is the data folder in place of one of the stack's own; the caller removes it.
	Data string
	// APIKey turns auth on (RUNTIME_API_KEY) and is sent by Client.
	APIKey string
}

// Stack is the local program, running or stopped, with its data folder.
// Its methods are not safe to call from several goroutines; Client is.
type Stack struct {
	// URL is "https://127.0.0.1:port". A restart keeps it.
	URL string
	// Data is the -data folder.
	Data string

	opts Options
	dir  string // holds Data and the log; removed by Close
	env  []string
	http *http.Client
	proc *process
}

// Launch builds and starts a stack and waits until it is ready. The caller must
// Close it. Tests use Start.
func Launch(ctx context.Context, opts Options) (*Stack, error) {
	dir, err := os.MkdirTemp("", "bloom-stack-")
	if err != nil {
		return nil, err
	}
	s := &Stack{opts: opts, dir: dir, Data: filepath.Join(dir, "data"), env: environment(opts)}
	if opts.Data != "" {
		s.Data = opts.Data
	}
	if err := s.start(ctx, "127.0.0.1:0"); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Start launches a stack for one test. At its end the stack is stopped by
// SIGTERM, which must give exit status 0; the log is shown if the test failed.
func Start(t testing.TB, opts Options) *Stack {
	t.Helper()
	s, err := Launch(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.Running() {
			s.Stop(t)
		}
		if t.Failed() {
			t.Logf("the stack's log:\n%s", tail(s.logPath(), 60))
		}
		s.Close()
	})
	return s
}

// environment is this process's, plus the options'; of the program's own settings
// only BLOOM_FAULTS goes through, to a stack with an embedded DynamoDB. Beside a DynamoDB that is
// shared by several stacks, each takes an access key of its own, since DynamoDB
// Local keeps one database for each access key:
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/DynamoDBLocal.UsageNotes.html
func environment(opts Options) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "RUNTIME_API_KEY=") || strings.HasPrefix(kv, "BLOOM_")
	})
	if os.Getenv("AWS_ENDPOINT_URL_DYNAMODB") != "" {
		id := strings.ReplaceAll(uuid.NewString(), "-", "")
		env = append(env, "AWS_ACCESS_KEY_ID="+id[:20], "AWS_SECRET_ACCESS_KEY="+id)
	}
	if faults := os.Getenv("BLOOM_FAULTS"); faults != "" && !slices.Contains(opts.Args, "-dynamodb") {
		env = append(env, "BLOOM_FAULTS="+faults)
	}
	if opts.APIKey != "" {
		env = append(env, "RUNTIME_API_KEY="+opts.APIKey)
	}
	return append(env, opts.Env...)
}

// start runs the program on an address and waits for its line "ready https://…".
func (s *Stack) start(ctx context.Context, address string) error {
	ready := newAwait()
	proc, err := s.run(ctx, address, func(line string) { ready.see(line, strings.HasPrefix(line, "ready ")) })
	if err != nil {
		return err
	}
	s.proc = proc
	line, err := ready.wait(s.proc, "the stack")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, tail(s.logPath(), 30))
	}
	if s.URL, err = readyURL(line); err != nil {
		return err
	}
	return s.trust()
}

// Command runs the program with other arguments to its end, or until ctx ends,
// which kills it. It returns what it said and how it ended.
func Command(ctx context.Context, args ...string) (string, error) {
	path, err := Build(ctx, "./local")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.SysProcAttr = withParent()
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// run starts the program in the module's folder, where it finds template.yaml.
func (s *Stack) run(ctx context.Context, address string, onLine func(string)) (*process, error) {
	path, err := Build(ctx, "./local")
	if err != nil {
		return nil, err
	}
	root, err := Root()
	if err != nil {
		return nil, err
	}
	return run(ctx, command{path, s.arguments(address), s.env, root}, s.logPath(), onLine)
}

func (s *Stack) arguments(address string) []string {
	params := map[string]string{"ClientRequestsPerMinute": "6000000"}
	maps.Copy(params, s.opts.Parameters)
	args := []string{"-https", address, "-http", "", "-membridge", "", "-data", s.Data, "-parameter-overrides"}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		pairs = append(pairs, name+"="+params[name])
	}
	return append(append(args, strings.Join(pairs, " ")), s.opts.Args...)
}

// readyURL finds the https address in the line that says the stack is ready.
func readyURL(line string) (string, error) {
	for _, word := range strings.Fields(line) {
		u, err := url.Parse(strings.TrimRight(word, ",.;"))
		if err == nil && u.Scheme == "https" && u.Port() != "" && u.Port() != "0" {
			return "https://" + u.Host, nil
		}
	}
	return "", fmt.Errorf("no https address with a port in %q", line)
}

// trust makes the HTTP client from the certificate authority in the data folder.
func (s *Stack) trust() error {
	if s.http != nil {
		return nil
	}
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("no certificate in %s", s.CAFile())
	}
	s.http = &http.Client{
		Timeout: 60 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots},
			MaxIdleConns:        256,
			MaxIdleConnsPerHost: 256,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return nil
}

// CAFile is the path of the certificate that a client must trust.
func (s *Stack) CAFile() string { return filepath.Join(s.Data, "tls", "ca.pem") }

// Client returns a client of this stack, with its key. It is safe for
// concurrent use and stays right after a restart.
func (s *Stack) Client() *Client { return &Client{Base: s.URL, HTTP: s.http, Key: s.opts.APIKey} }

// Running reports whether the program has been started and has not ended.
func (s *Stack) Running() bool { return s.proc != nil && !s.proc.ended() }

// PID is the process id of the running program.
func (s *Stack) PID() int { return s.proc.cmd.Process.Pid }

// Kill9 ends the program at once, as a power cut would, and waits until it is gone.
func (s *Stack) Kill9(t testing.TB) {
	t.Helper()
	if !s.Running() {
		t.Fatalf("the stack ended by itself: %v\n%s", s.proc.err, tail(s.logPath(), 60))
	}
	_ = s.proc.signal(syscall.SIGKILL) // "killed" is the only way this ends
	s.http.CloseIdleConnections()
}

// Stop ends the program with SIGTERM; it must exit with status 0.
func (s *Stack) Stop(t testing.TB) {
	t.Helper()
	if err := s.Terminate(); err != nil {
		t.Errorf("SIGTERM: the stack must exit with status 0: %v\n%s", err, tail(s.logPath(), 60))
	}
}

// Terminate ends the program with SIGTERM and returns an error unless it exits
// with status 0.
func (s *Stack) Terminate() error {
	if s.proc == nil {
		return errors.New("not running")
	}
	err := s.proc.signal(syscall.SIGTERM)
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	return err
}

// Restart starts the program again on the same data and address.
func (s *Stack) Restart(t testing.TB) {
	t.Helper()
	if s.Running() {
		t.Fatal("the stack still runs")
	}
	if err := s.start(t.Context(), s.address()); err != nil {
		t.Fatalf("restart: %v", err)
	}
}

// KillWhileStarting starts the stopped or running program on an empty data folder
// the first time, on what it left there afterwards, and kills it after a while,
// ready or not.
func (s *Stack) KillWhileStarting(t testing.TB, after time.Duration) {
	t.Helper()
	if s.Running() {
		s.Kill9(t)
		if err := os.RemoveAll(s.Data); err != nil {
			t.Fatal(err)
		}
		s.http = nil // there will be another certificate
	}
	p, err := s.run(t.Context(), s.address(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	_ = p.signal(syscall.SIGKILL) // "killed" is the only way this ends
}

// address is the host and port of the stack.
func (s *Stack) address() string { return strings.TrimPrefix(s.URL, "https://") }

// Log returns the end of what the program printed.
func (s *Stack) Log() string { return tail(s.logPath(), 200) }

// Close kills the program if it still runs and removes its folder.
func (s *Stack) Close() {
	if s.Running() {
		_ = s.proc.signal(syscall.SIGKILL)
	}
	_ = os.RemoveAll(s.dir) // a leftover in the temporary folder harms nobody
}

func (s *Stack) logPath() string { return filepath.Join(s.dir, "stack.log") }

// FreeAddress is a loopback address that was free a moment ago, for programs
// that do not tell which port they took. It panics when there is none.
func FreeAddress(ctx context.Context) string {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer func() { _ = l.Close() }() // it was only to find the address
	return l.Addr().String()
}
