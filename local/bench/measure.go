package main

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// warmUp is how long the clients work before their work counts.
const warmUp = 2 * time.Second

// figures are what n clients reached: units of work a second, and how long one took.
type figures struct {
	rate     float64
	p50, p99 time.Duration
	all      int64         // units of work, those of the warm-up too
	cpu      time.Duration // of the server for each of them
}

// measure has n clients do units of work, one after the other each, for a time.
// work is called with the number of the client. The first error ends it.
func measure(ctx context.Context, n int, part time.Duration, work func(ctx context.Context, client int) error) (figures, error) {
	start := time.Now().Add(warmUp)
	end := start.Add(part)
	took := make([][]time.Duration, n)
	var all atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		g.Go(func() error {
			for {
				begin := time.Now()
				if begin.After(end) {
					return ctx.Err()
				}
				if err := work(ctx, i); err != nil {
					return err
				}
				all.Add(1)
				if now := time.Now(); begin.After(start) && now.Before(end) {
					took[i] = append(took[i], now.Sub(begin))
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return figures{}, err
	}
	counted := slices.Concat(took...)
	slices.Sort(counted)
	return figures{
		rate: float64(len(counted)) / part.Seconds(), all: all.Load(),
		p50: quantile(counted, 0.50), p99: quantile(counted, 0.99),
	}, nil
}

// quantile of sorted times; 0 if there are none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func mean(all []float64) float64 {
	sum := 0.0
	for _, x := range all {
		sum += x
	}
	return sum / float64(max(1, len(all)))
}
