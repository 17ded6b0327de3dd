package gateway

import (
	"io"
	"strconv"
	"sync"
	"time"
)

// AccessLog writes one JSON line a request, never a key, a body or a query.
// Lines gather in memory and are written once a second, so that a slow disk
// does not slow an answer; Close writes the rest.
type AccessLog struct {
	w    io.Writer
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu      sync.Mutex
	pending []byte
	dropped int
}

const (
	flushEvery = time.Second
	// maxPending bounds what gathers while the writer does not keep up.
	maxPending = 4 << 20
)

// NewAccessLog starts a log on w, which only it writes to until Close.
func NewAccessLog(w io.Writer) *AccessLog {
	l := &AccessLog{w: w, stop: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// Close writes what is pending and stops. It does not close the writer.
func (l *AccessLog) Close() error {
	l.once.Do(func() { close(l.stop) })
	<-l.done
	return nil
}

func (l *AccessLog) run() {
	defer close(l.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var spare []byte
	for {
		select {
		case <-tick.C:
			spare = l.flush(spare)
		case <-l.stop:
			l.flush(spare)
			return
		}
	}
}

// flush swaps the pending lines for an empty buffer and writes them.
func (l *AccessLog) flush(spare []byte) []byte {
	l.mu.Lock()
	lines, dropped := l.pending, l.dropped
	l.pending, l.dropped = spare[:0], 0
	l.mu.Unlock()
	if dropped > 0 {
		lines = append(lines, `{"dropped_lines":`...)
		lines = strconv.AppendInt(lines, int64(dropped), 10)
		lines = append(lines, "}\n"...)
	}
	if len(lines) > 0 {
		_, _ = l.w.Write(lines) // there is no better place to say that the log is gone
	}
	return lines
}

func (l *AccessLog) write(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > maxPending {
		l.dropped++
		return
	}
	l.pending = c.appendLine(l.pending)
}

// appendLine appends the line. The path is the route's, so that no id and
// nothing that a client made up gets into the log.
func (c *call) appendLine(dst []byte) []byte {
	resource := ""
	if c.route != nil {
		resource = c.route.Path
	} else if m := c.g.mounted(c.r.URL.Path); m != nil {
		resource = m.prefix
	}
	dst = append(dst, `{"time":"`...)
	dst = c.start.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z07:00")
	dst = append(dst, `","request_id":`...)
	dst = appendString(dst, c.id)
	dst = append(dst, `,"method":`...)
	dst = appendString(dst, c.r.Method[:min(len(c.r.Method), 16)])
	dst = append(dst, `,"resource":`...)
	dst = appendString(dst, resource)
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(c.status), 10)
	dst = append(dst, `,"ms":`...)
	dst = strconv.AppendFloat(dst, float64(time.Since(c.start).Microseconds())/1000, 'f', 3, 64)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, c.sent, 10)
	dst = append(dst, `,"ip":`...)
	dst = appendString(dst, c.client)
	dst = append(dst, `,"principal":`...)
	dst = appendString(dst, c.principal)
	return append(dst, "}\n"...)
}
