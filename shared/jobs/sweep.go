// Package jobs holds what runs by itself: on a schedule, or because something in
// the table changed.
package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/bloom-runtime/bloom/shared/dynamo"
)

// Sweep looks at what is due every sweepEvery, so that a lapsed lease shows even if
// nobody asks for work. EventBridge starts it once a minute at most; it goes on
// until sweepMargin before its deadline.
const (
	sweepEvery  = 4 * time.Second
	sweepMargin = 3 * time.Second
	sweepBatch  = 100 // due entries looked at in each partition, at a time
)

// Sweep is the scheduled function. It never fails: what did not work is logged
// and tried again at the next look.
func Sweep(table *dynamo.Table) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			if _, err := table.Due(ctx, sweepBatch); err != nil && ctx.Err() == nil {
				slog.Error("sweep", "error", err)
			}
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < sweepEvery+sweepMargin {
				return nil
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	}
}
