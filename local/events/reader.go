package events

import (
	"context"
	"log/slog"
	"time"
)

const (
	// pollEvery is the pause after an answer that left nothing to read. It is also what lets records gather into batches.
	pollEvery = 100 * time.Millisecond
	// maxRead is the most records one read may bring.
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html
	maxRead = 1000
	// richAnswer is the size of an answer after which the next read does not wait: there is more, most likely.
	richAnswer = 128 << 10
	// maxBatch bounds the records of one event, in bytes. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxBatch = 6<<20 - 64<<10
)

// reader reads one shard.
type reader struct {
	*source
	arn, shard string
	log        *slog.Logger

	iterator *string   // nil: to be found anew
	ended    bool      // all of the shard has been read
	pending  []record  // passed the filters and not yet delivered
	since    time.Time // when the first of them was read
	read     string    // number of the last record read
	window   window
}

// run reads the shard to its end, or until ctx ends or the shard is gone.
func (r *reader) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		more, err := r.step(ctx)
		switch {
		case err == nil && r.ended:
			r.places.set(r.shard, place{Sequence: r.read, Done: true})
			return
		case err == nil:
			pause = firstPause
			if !more {
				sleep(ctx, pollEvery)
			}
		case gone(err):
			r.finish(ctx)
			return
		case ctx.Err() == nil:
			r.log.Error("the stream cannot be read", "error", err)
			sleep(ctx, pause)
			pause = min(2*pause, longestPause)
		}
	}
}

// finish delivers what was read of a shard that is no more: nothing comes behind it.
func (r *reader) finish(ctx context.Context) {
	r.ended = true
	if r.deliverRipe(ctx) == nil {
		_ = r.closeWindow(ctx) // fails only when ctx has ended
	}
}

// step reads once and delivers what is ripe. more means that the next read should not wait.
func (r *reader) step(ctx context.Context) (more bool, err error) {
	if r.iterator == nil {
		if err := r.position(ctx); err != nil {
			return false, err
		}
	}
	size, count, err := r.fetch(ctx)
	if err != nil {
		return false, err
	}
	if err := r.deliverRipe(ctx); err != nil {
		return false, err
	}
	if len(r.pending) == 0 && r.read != "" {
		r.moved(r.read)
	}
	if r.window.over(r.stream.TumblingWindow, time.Now()) || r.ended {
		if err := r.closeWindow(ctx); err != nil {
			return false, err
		}
	}
	return size > richAnswer || count >= r.limit(), nil
}

// position finds where reading goes on: after the last record read, or at the place that was kept.
func (r *reader) position(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	after := r.read
	if after == "" {
		after = r.places.get(r.shard).Sequence
	}
	it, err := r.client.iterator(ctx, r.arn, r.shard, after)
	if trimmed(err) {
		r.log.Error("records were deleted from the stream before they were read; reading goes on with the oldest", "after", after)
		it, err = r.client.iterator(ctx, r.arn, r.shard, "")
	}
	r.iterator = it
	return err
}

func (r *reader) fetch(ctx context.Context) (size, count int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := r.client.records(ctx, r.iterator, r.limit())
	if err != nil {
		// Whatever it is, a new iterator does no harm; some errors need one.
		r.iterator = nil
		if expired(err) || trimmed(err) {
			return 0, r.limit(), nil
		}
		return 0, 0, err
	}
	c, err := parse(body, r.filters)
	if err != nil {
		r.iterator = nil
		return 0, 0, err
	}
	if len(r.pending) == 0 {
		r.since = time.Now()
	}
	r.pending = append(r.pending, c.records...)
	if c.last != "" {
		r.read = c.last
	}
	r.iterator, r.ended = c.next, c.next == nil
	return len(body), c.count, nil
}

func (r *reader) limit() int { return min(max(r.stream.BatchSize, 100), maxRead) }

// deliverRipe delivers full batches, and what has waited for its window or ends the shard.
func (r *reader) deliverRipe(ctx context.Context) error {
	for len(r.pending) > 0 {
		n, full := r.batch()
		if !full && !r.ended && time.Since(r.since) < r.stream.Window {
			return nil
		}
		if err := r.deliver(ctx, r.pending[:n]); err != nil {
			return err
		}
		r.pending = r.pending[n:]
	}
	r.pending = nil // what was delivered is not kept alive by the slice
	return nil
}

// batch says how many of the pending records make the next event, and whether that is all an event can hold.
func (r *reader) batch() (n int, full bool) {
	size := 0
	for n = range r.pending {
		size += len(r.pending[n].raw) + len(r.arn) + 32
		switch {
		case n >= r.stream.BatchSize, n > 0 && size > maxBatch, !sameWindow(r.pending[0], r.pending[n], r.stream.TumblingWindow):
			return n, true
		}
	}
	return n + 1, n+1 >= r.stream.BatchSize
}
