//go:build unix

package process

import "sync"

// head keeps the first max bytes written to it and calls full, once, when
// there are more. It never blocks and never fails: a command whose output is
// not read would hang.
type head struct {
	mu   sync.Mutex
	max  int
	buf  []byte
	over bool
	full func()
}

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	room := h.max - len(h.buf)
	if len(p) <= room {
		h.buf = append(h.buf, p...)
		return len(p), nil
	}
	h.buf = append(h.buf, p[:room]...)
	if !h.over {
		h.over = true
		h.full()
	}
	return len(p), nil
}

func (h *head) bytes() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.buf
}

func (h *head) overflowed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over
}

// tail keeps the last max bytes written to it.
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
