package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bloom-runtime/bloom/local/datadir"
	"github.com/bloom-runtime/bloom/local/template"
)

// asProgram in the environment has this test's binary be the program.
const asProgram = "BLOOM_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command is the program with these arguments and this environment, beside what every test gives it: free ports.
func command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"-https", "127.0.0.1:0", "-http", "", "-membridge", ""}, args...)...)
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "RUNTIME_API_KEY=") && !strings.HasPrefix(kv, "BLOOM_") && !strings.HasPrefix(kv, "AWS_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env, asProgram+"=1"), env...)
	return cmd
}

// program is a running one.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	ready  string // the line
	stderr bytes.Buffer
	http   *http.Client
}

func start(t *testing.T, data string, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: command(context.Background(), env, append([]string{"-data", data}, args...)...)} // the cleanup below ends it
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("no line: %v\n%s", p.cmd.Wait(), &p.stderr)
	}
	p.ready = lines.Text()
	p.url = strings.TrimSuffix(strings.Fields(p.ready)[1], ",")
	_, trusted, _ := strings.Cut(p.ready, "certificate ")
	p.trust(trusted)
	return p
}

// trust makes a client that takes the certificates of a file for good.
func (p *program) trust(file string) {
	p.t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	p.http = &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (p *program) call(method, url, key, body string) (int, []byte) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("X-Runtime-API-Key", key)
	}
	res, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, b
}

// end sends the signal and returns the exit status, -1 for one that was killed.
func (p *program) end(s os.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // its state says it better
	return p.cmd.ProcessState.ExitCode()
}

const task = `{"context_id":"c","agent_slug":"a","prompt":"hello"}`

func TestServeAndStop(t *testing.T) {
	t.Parallel()
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		data := filepath.Join(t.TempDir(), "data")
		p := start(t, data, nil)
		if !strings.HasPrefix(p.ready, "ready https://127.0.0.1:") || !strings.Contains(p.ready, "auth off") || !strings.Contains(p.ready, filepath.Join(data, "tls", "ca.pem")) {
			t.Errorf("ready line %q", p.ready)
		}
		if status, body := p.call(http.MethodGet, p.url+"/api/runtime/health", "", ""); status != http.StatusOK {
			t.Errorf("health: %d %s", status, body)
		}
		if code := p.end(s); code != 0 {
			t.Errorf("%v: exit status %d\n%s", s, code, &p.stderr)
		}
		if !strings.Contains(p.stderr.String(), "WARNING: auth is off") || strings.Count(p.stderr.String(), "\n") != 1 {
			t.Errorf("stderr %q", &p.stderr)
		}
	}
}

// What was acknowledged is there after kill -9, and a lock is not.
func TestKill(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p := start(t, data, nil)
	status, body := p.call(http.MethodPost, p.url+"/api/runtime/llm-tasks", "", task)
	var made struct{ ID string }
	if err := json.Unmarshal(body, &made); status != http.StatusCreated || err != nil {
		t.Fatalf("create: %d %s", status, body)
	}
	if code := p.end(syscall.SIGKILL); code != -1 {
		t.Errorf("killed: exit status %d", code)
	}
	p = start(t, data, nil)
	if status, body := p.call(http.MethodGet, p.url+"/api/runtime/llm-tasks/"+made.ID, "", ""); status != http.StatusOK {
		t.Errorf("after kill -9: %d %s", status, body)
	}
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d\n%s", code, &p.stderr)
	}
}

func TestKeyAndRedirect(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain := ln.Addr().String()
	_ = ln.Close()
	p := start(t, filepath.Join(t.TempDir(), "data"), []string{"RUNTIME_API_KEY=the-first-key"}, "-http", plain)
	if strings.Contains(p.ready, "auth off") {
		t.Errorf("ready line %q", p.ready)
	}
	for key, want := range map[string]int{"": http.StatusUnauthorized, "wrong": http.StatusUnauthorized, "the-first-key": http.StatusOK} {
		if status, body := p.call(http.MethodGet, p.url+"/api/runtime/stats", key, ""); status != want {
			t.Errorf("key %q: %d %s", key, status, body)
		}
	}
	if status, _ := p.call(http.MethodGet, "http://"+plain+"/api/runtime/health", "", ""); status != http.StatusPermanentRedirect {
		t.Errorf("plain HTTP: %d", status)
	}
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d\n%s", code, &p.stderr)
	}
}

// A certificate of the user's own is served, and a new one without a restart. The pairs come from the CAs of two stacks.
func TestOwnCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var pairs, cas [2]string
	for n := range pairs {
		data := filepath.Join(dir, fmt.Sprint("stack", n))
		p := start(t, data, nil)
		if code := p.end(syscall.SIGTERM); code != 0 {
			t.Fatalf("exit status %d\n%s", code, &p.stderr)
		}
		pairs[n], cas[n] = filepath.Join(data, "tls", "server.pem"), filepath.Join(data, "tls", "ca.pem")
	}
	own := filepath.Join(dir, "own.pem")
	use := func(n int) {
		b, err := os.ReadFile(pairs[n])
		if err == nil {
			err = errors.Join(os.WriteFile(own+".new", b, 0o600), os.Rename(own+".new", own))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	use(0)
	p := start(t, filepath.Join(dir, "data"), nil, "-tls-cert", own, "-tls-key", own)
	if !strings.HasSuffix(p.ready, ", certificate "+own) {
		t.Errorf("ready line %q", p.ready)
	}
	for n, ca := range cas {
		use(n)
		p.trust(ca)
		if status, body := p.call(http.MethodGet, p.url+"/api/runtime/health", "", ""); status != http.StatusOK {
			t.Errorf("certificate %d: %d %s", n, status, body)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "tls")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a CA was made that nobody needs: %v", err)
	}
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit status %d\n%s", code, &p.stderr)
	}
}

// Each of these ends the start with one sentence and a status other than 0.
// TestFaults: they are said loudly, and only where they are on; the program works with them.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  []string
		args []string
		want string
	}{
		{nil, nil, ""},
		{nil, []string{"-faults", "seed=3,throttle=0.3,lost=0.3"}, "WARNING: faults are on (seed=3,throttle=0.3,lost=0.3)"},
		{[]string{"BLOOM_FAULTS=seed=4,limits"}, nil, "WARNING: faults are on (seed=4,limits)"},
	} {
		p := start(t, filepath.Join(t.TempDir(), "data"), tt.env, tt.args...)
		for range 5 {
			if status, body := p.call("POST", p.url+"/api/runtime/llm-tasks", "", task); status != http.StatusCreated {
				t.Errorf("%d %s", status, body)
			}
		}
		if status := p.end(syscall.SIGTERM); status != 0 {
			t.Errorf("exit status %d\n%s", status, &p.stderr)
		}
		if said := p.stderr.String(); strings.Contains(said, "faults are on") != (tt.want != "") || !strings.Contains(said, tt.want) {
			t.Errorf("said %q, want %q in it", said, tt.want)
		}
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	busy := filepath.Join(t.TempDir(), "busy")
	other := start(t, busy, nil)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("Resources: {X: {Type: Nope}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		env  string
		want string
	}{
		{"https in use", []string{"-https", taken.Addr().String()}, "", "is in use by another program: stop it, or choose another with -https"},
		{"http in use", []string{"-http", taken.Addr().String()}, "", "choose another with -http"},
		{"not an address of this machine", []string{"-https", "192.0.2.1:0"}, "RUNTIME_API_KEY=k", "is not one of this machine"},
		{"not an address", []string{"-https", "8443"}, "", "-https must be host:port"},
		{"open to others without a key", []string{"-https", "0.0.0.0:0"}, "", "auth is off"},
		{"open to others without a key, all addresses", []string{"-https", ":0"}, "", "auth is off"},
		{"key that no header carries", nil, "RUNTIME_API_KEY=ключ", "printable ASCII"},
		{"second start", []string{"-data", busy}, "", "is used by another process (pid "},
		{"file as folder", []string{"-data", file}, "", "a file stands in its place"},
		{"folder that cannot be made", []string{"-data", "/proc/bloom"}, "", "cannot be made"},
		{"certificate without key", []string{"-tls-cert", file}, "", "-tls-cert and -tls-key go together"},
		{"no certificate", []string{"-tls-cert", "/nope.pem", "-tls-key", file}, "", "/nope.pem"},
		{"not a certificate", []string{"-tls-cert", file, "-tls-key", file}, "", file},
		{"no folder", []string{"-data", ""}, "", "-data must name a folder"},
		{"value of a parameter", []string{"-parameter-overrides", "ClientRequestsPerMinute=x"}, "", "ClientRequestsPerMinute"},
		{"unknown parameter", []string{"-parameter-overrides", "Partitions=2", "Nope=1", "-data", "x"}, "", "no parameter Nope"},
		{"not a parameter", []string{"-parameter-overrides", "Nope"}, "", "Name=Value"},
		{"no template", []string{"-template", "/nope.yaml"}, "", "the template /nope.yaml cannot be read: no such file"},
		{"bad template", []string{"-template", file}, "", file},
		{"argument", []string{"bogus"}, "", "-h lists the flags"},
		{"not a URL", []string{"-s3", "nope"}, "", "-s3 must be an http or https URL"},
		{"DynamoDB away", []string{"-dynamodb", "http://127.0.0.1:1"}, "", "the DynamoDB at http://127.0.0.1:1 (-dynamodb) does not answer"},
		{"unknown fault", []string{"-faults", "seed=1,al"}, "", "-faults: there is no fault \"al\""},
		{"bad rate of a fault", nil, "BLOOM_FAULTS=throttle=lots", "-faults: the rate of the fault throttle must be a number from 0 to 1"},
		{"faults of another server", []string{"-faults", "all", "-dynamodb", "http://127.0.0.1:1"}, "", "-faults are those of the embedded DynamoDB"},
		{"S3 away", []string{"-s3", "http://127.0.0.1:1"}, "", "the S3 at http://127.0.0.1:1 (-s3) does not answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t.Context(), strings.Fields(tt.env), append([]string{"-data", filepath.Join(t.TempDir(), "data")}, tt.args...)...)
			fails(t, cmd, tt.want)
		})
	}
	t.Cleanup(func() {
		if code := other.end(syscall.SIGTERM); code != 0 {
			t.Errorf("exit status %d\n%s", code, &other.stderr)
		}
	})
}

func fails(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() < 1 {
		t.Errorf("ended with %v", err)
	}
	said := stderr.String()
	if !strings.HasPrefix(said, "bloom: ") || !strings.Contains(said, want) || strings.Count(said, "\n") != 1 || len(said) > 400 {
		t.Errorf("said %q, want one line with %q", said, want)
	}
	if stdout.Len() > 0 {
		t.Errorf("printed %q", &stdout)
	}
}

// A file that is damaged is named and left as it is.
func TestDamagedData(t *testing.T) {
	t.Parallel()
	sound := filepath.Join(t.TempDir(), "sound")
	p := start(t, sound, nil)
	if code := p.end(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit status %d\n%s", code, &p.stderr)
	}
	for file, want := range map[string]string{
		"layout":                             "layout is damaged",
		"table/MANIFEST-*":                   "table data in",
		"secrets.json":                       "secrets.json is damaged",
		"objects/credentials.json":           "credentials.json is damaged",
		"events/follow-changes-Changes.json": "follow-changes-Changes.json is damaged",
		"tls/ca.pem":                         "ca.pem",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(data, os.DirFS(sound)); err != nil {
				t.Fatal(err)
			}
			found, err := filepath.Glob(filepath.Join(data, file))
			if err != nil || len(found) != 1 {
				t.Fatalf("found %v, %v", found, err)
			}
			damage := []byte("{\x00 not what was here \xff\xff\xff\xff")
			if err := os.WriteFile(found[0], damage, 0o600); err != nil {
				t.Fatal(err)
			}
			fails(t, command(t.Context(), nil, "-data", data), want)
			if now, err := os.ReadFile(found[0]); err != nil || !bytes.Equal(now, damage) {
				t.Errorf("the file was changed: %q, %v", now, err)
			}
		})
	}
}

// The template, the folders of functions/ and what this program makes are the same functions.
func TestFunctionsAreTheTemplates(t *testing.T) {
	t.Parallel()
	stack, err := loadTemplate(settings{})
	if err != nil {
		t.Fatal(err)
	}
	var inTemplate, here, folders []string
	for _, f := range stack.Functions {
		inTemplate = append(inTemplate, f.Name)
	}
	for name := range functions {
		here = append(here, name)
	}
	for name := range cloudOnly {
		here = append(here, name)
	}
	entries, err := os.ReadDir("../functions")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		folders = append(folders, e.Name())
	}
	slices.Sort(inTemplate)
	slices.Sort(here)
	if !slices.Equal(inTemplate, here) || !slices.Equal(here, folders) {
		t.Errorf("template %v\nhere %v\nfunctions/ %v", inTemplate, here, folders)
	}
	handlers, err := buildFunctions(stack, stores{})
	if err != nil || len(handlers) != len(functions) {
		t.Errorf("%d handlers, %v", len(handlers), err)
	}
	if _, err := buildFunctions(&template.Stack{Functions: []template.Function{{Name: "nope"}}}, stores{}); err == nil {
		t.Error("an unknown function was made")
	}
}

// TestMembridgeAddress: one that is taken is said, in one sentence. It ends the start only where somebody asked for it.
func TestMembridgeAddress(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	at := taken.Addr().String()
	fails(t, command(t.Context(), nil, "-data", filepath.Join(t.TempDir(), "d"), "-membridge", at), at+" is in use by another program: stop it, or choose another with -membridge")
	fails(t, command(t.Context(), []string{"BLOOM_MEMBRIDGE=nonsense"}, "-data", filepath.Join(t.TempDir(), "d"), "-membridge", "nonsense"), "-membridge must be host:port")
	var stderr bytes.Buffer
	var undo closers
	ln, err := listenMembridge(t.Context(), settings{Membridge: at}, &stderr, &undo)
	if ln != nil || err != nil || !strings.Contains(stderr.String(), "the built-in Membridge is off: the address "+at+" is in use") {
		t.Errorf("nobody asked: %v %v %s", ln, err, &stderr)
	}
}

// TestMembridgeKey: the one given, else the one in the file, else a new one; the file has it, for its owner only.
func TestMembridgeKey(t *testing.T) {
	t.Parallel()
	data, err := datadir.Open(filepath.Join(t.TempDir(), "d"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = data.Close() }()
	first, err := membridgeKey(data, "")
	if err != nil || len(first) < 40 {
		t.Fatalf("%q %v", first, err)
	}
	for _, step := range []struct{ given, want string }{{"", first}, {"chosen", "chosen"}, {"", "chosen"}} {
		if got, err := membridgeKey(data, step.given); err != nil || got != step.want {
			t.Errorf("%+v: %q %v", step, got, err)
		}
	}
	if info, err := os.Stat(data.Path(keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := os.WriteFile(data.Path(keyFile), []byte("two words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := membridgeKey(data, ""); err == nil || !strings.Contains(err.Error(), "holds no key") {
		t.Errorf("a damaged file: %v", err)
	}
}
