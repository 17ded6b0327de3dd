package events

import (
	"bytes"
	"context"
	"encoding/json"
	"time"
)

// windowGrace is how long after a window's end records of it may still come.
const windowGrace = time.Second

// window is the tumbling window that a shard's events are in: a function's answers carry a state from one event to the next
// until the window's last one.
// https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
type window struct {
	Start time.Time       `json:"start"` // zero: none is open
	State json.RawMessage `json:"state"`
}

func (w *window) equal(other *window) bool {
	if w == nil || other == nil {
		return w == other
	}
	return w.Start.Equal(other.Start) && bytes.Equal(w.State, other.State)
}

// moved keeps that the records up to the one with this number are done, and the
// window with what the function said of them: both or neither survive a crash.
func (r *reader) moved(sequence string) {
	at := place{Sequence: sequence}
	if !r.window.Start.IsZero() {
		at.Window = &window{r.window.Start, r.window.State}
	}
	r.places.set(r.shard, at)
}

// emptyState begins every window.
var emptyState = json.RawMessage("{}")

func sameWindow(a, b record, size time.Duration) bool {
	return size == 0 || a.created.Truncate(size).Equal(b.created.Truncate(size))
}

// over says that an open window has ended.
func (w *window) over(size time.Duration, now time.Time) bool {
	return !w.Start.IsZero() && now.After(w.Start.Add(size+windowGrace))
}

// enterWindow makes the window of the record the open one. One that begins later ends the open one first.
func (r *reader) enterWindow(ctx context.Context, first record) error {
	size := r.stream.TumblingWindow
	if size == 0 {
		return nil
	}
	start := first.created.Truncate(size)
	if !r.window.Start.IsZero() && !start.After(r.window.Start) {
		return nil
	}
	if err := r.closeWindow(ctx); err != nil {
		return err
	}
	r.window = window{Start: start, State: emptyState}
	return nil
}

// closeWindow calls the function for the window's last time. A call that fails is repeated as often as a batch; then the state
// is given up.
func (r *reader) closeWindow(ctx context.Context) error {
	if r.window.Start.IsZero() {
		return nil
	}
	pause := firstPause
	for try := 0; ; try++ {
		_, err := r.call(ctx, nil, true)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.log.Error("the function failed at the end of a window", "error", err)
		if r.stream.Retries >= 0 && try >= r.stream.Retries {
			break
		}
		sleep(ctx, pause)
		pause = min(2*pause, longestPause)
	}
	r.window = window{}
	at := r.places.get(r.shard)
	at.Window = nil
	r.places.set(r.shard, at)
	return nil
}

// appendWindow appends what an event in a window has beside its records.
func (r *reader) appendWindow(dst []byte, final bool) []byte {
	size := r.stream.TumblingWindow
	fields, err := json.Marshal(struct {
		Window struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		} `json:"window"`
		State     json.RawMessage `json:"state"`
		Shard     string          `json:"shardId"`
		ARN       string          `json:"eventSourceARN"`
		Final     bool            `json:"isFinalInvokeForWindow"`
		EndsEarly bool            `json:"isWindowTerminatedEarly"`
	}{
		Window: struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		}{r.window.Start.UTC(), r.window.Start.Add(size).UTC()},
		State: r.window.State, Shard: r.shard, ARN: r.arn, Final: final,
		EndsEarly: final && time.Now().Before(r.window.Start.Add(size)),
	})
	if err != nil {
		panic(err) // the state was valid JSON when it came
	}
	return append(append(dst, ','), fields[1:len(fields)-1]...)
}
