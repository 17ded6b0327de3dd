package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives waits between tries: each is random between nothing and a
// bound that doubles from first to most ("full jitter"), so that workers that
// lost the same server don't come back all at once.
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
type backoff struct {
	first, most time.Duration
	tries       int
}

func newBackoff() *backoff { return &backoff{first: 500 * time.Millisecond, most: 30 * time.Second} }

// next returns the next wait, never shorter than 50 ms: a server that refuses
// at once must not be asked in a tight loop.
func (b *backoff) next() time.Duration {
	bound := min(b.first<<min(b.tries, 20), b.most)
	b.tries++
	return max(50*time.Millisecond, rand.N(bound))
}

func (b *backoff) reset() { b.tries = 0 }

// jitter adds up to a fifth to d.
func jitter(d time.Duration) time.Duration { return d + rand.N(d/5+1) }

// sleep waits for d or the end of ctx, and reports whether ctx still lives.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
