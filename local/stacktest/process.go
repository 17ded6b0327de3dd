package stacktest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a program may take to get ready and to stop. Both are generous: a
// test that hits them has found a hang, not a slow machine.
const (
	readyWithin = 60 * time.Second
	stopWithin  = 30 * time.Second
)

// process is one running program whose output goes to a log file.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	exit chan struct{} // closed when the program has ended
	err  error         // how it ended; read after exit is closed
}

// command is a program with its arguments, whole environment and working folder.
type command struct {
	path string
	args []string
	env  []string
	dir  string
}

// run starts a program. Its output is appended to the file at logPath; each
// line of standard output is also given to onLine. The end of ctx does not end
// the program: tests say how it ends.
func run(ctx context.Context, c command, logPath string, onLine func(string)) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.path, c.args...)
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.Stderr = log
	cmd.SysProcAttr = withParent()
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.path, joinClose(err, log))
	}
	p := &process{cmd: cmd, log: log, exit: make(chan struct{})}
	go p.watch(stdout, onLine)
	return p, nil
}

// watch copies the program's lines until it closes its output, then reaps it.
func (p *process) watch(stdout io.Reader, onLine func(string)) {
	defer close(p.exit)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, _ = fmt.Fprintln(p.log, lines.Text()) // the log is for people; a lost line fails nothing
		onLine(lines.Text())
	}
	_, _ = io.Copy(io.Discard, stdout) // a line over the buffer's size must not block the program
	p.err = joinClose(p.cmd.Wait(), p.log)
}

// signal sends s and waits for the end. It returns how the program ended.
func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !p.ended() {
		return err
	}
	select {
	case <-p.exit:
		return p.err
	case <-time.After(stopWithin):
		_ = p.cmd.Process.Kill()
		<-p.exit
		return fmt.Errorf("did not stop within %v of %v", stopWithin, s)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.exit:
		return true
	default:
		return false
	}
}

// await returns the first line that match accepts, or an error when the program
// ends or takes too long.
type await struct {
	once sync.Once
	line chan string
}

func newAwait() *await { return &await{line: make(chan string, 1)} }

func (a *await) see(line string, match bool) {
	if match {
		a.once.Do(func() { a.line <- line })
	}
}

func (a *await) wait(p *process, what string) (string, error) {
	select {
	case line := <-a.line:
		return line, nil
	case <-p.exit:
		return "", fmt.Errorf("%s ended before it was ready: %w", what, p.err)
	case <-time.After(readyWithin):
		_ = p.cmd.Process.Kill()
		<-p.exit
		return "", fmt.Errorf("%s was not ready within %v", what, readyWithin)
	}
}

// tail returns the last lines of the log at path, for a failed test's output.
func tail(path string, lines int) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	if len(all) > lines {
		all = append([]string{fmt.Sprintf("… %d lines before …", len(all)-lines)}, all[len(all)-lines:]...)
	}
	return strings.Join(all, "\n")
}

func joinClose(err error, c io.Closer) error {
	if cerr := c.Close(); err == nil {
		return cerr
	}
	return err
}
