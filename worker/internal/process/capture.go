//go:build unix

package process

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// capture is a file without a name that takes a command's standard output.
//
// It is not a pipe, since a program that ends without draining its buffers
// loses what a pipe did not take at once: the Claude CLI 2.1 prints a result of
// 4 MiB whole into a file, and cuts it off after 64 KiB to 2 MiB into a pipe,
// with exit status 0. Writes to a file complete at once.
type capture struct {
	file *os.File
	max  int64
}

// newCapture makes an empty capture of at most limit bytes.
func newCapture(limit int) (*capture, error) {
	f, err := os.CreateTemp("", "bloom-stdout-")
	if err != nil {
		return nil, fmt.Errorf("make a file for the output: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("make a file for the output: %w", err)
	}
	return &capture{f, int64(limit)}, nil
}

// watch calls full, once, when there is more than the limit, and returns when it
// did so or done is closed. A command can overshoot by what it writes in the
// tenth of a second between two looks.
func (c *capture) watch(done <-chan struct{}, full func()) {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
			if c.over() {
				full()
				return
			}
		}
	}
}

func (c *capture) over() bool {
	info, err := c.file.Stat()
	return err == nil && info.Size() > c.max
}

// read returns what was written, at most the limit.
func (c *capture) read() ([]byte, error) {
	b, err := io.ReadAll(io.NewSectionReader(c.file, 0, c.max))
	if err != nil {
		return nil, fmt.Errorf("read the output: %w", err)
	}
	return b, nil
}

func (c *capture) close() { _ = c.file.Close() } // it has no name: nothing is left

// tail keeps the last max bytes written to it. It never blocks and never
// fails: a command whose standard error is not read would hang.
type tail struct {
	mu  sync.Mutex
	max int
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > t.max {
		p = p[len(p)-t.max:]
	}
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*t.max { // cut seldom, so that many small writes stay cheap
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-t.max:]...)
	}
	return n, nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	// A copy: a descendant that holds the pipe may go on writing, and what is
	// kept is moved then.
	return append([]byte(nil), t.buf[max(0, len(t.buf)-t.max):]...)
}
