package events

import (
	"context"
	"math/rand/v2"
	"sync"
)

// again decides which batches are delivered twice.
type again struct {
	rate float64

	mu   sync.Mutex
	dice *rand.Rand
}

func newAgain(o Options) *again {
	return &again{rate: o.Redelivered, dice: rand.New(rand.NewPCG(o.Seed, 0))}
}

func (a *again) draw() bool {
	if a.rate <= 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.dice.Float64() < a.rate
}

// callOnceOrTwice hands records over, and now and then once more as if their place had not been noted after the function took
// them. What it says then counts.
func (r *reader) callOnceOrTwice(ctx context.Context, records []record) (done int, err error) {
	state := r.window.State
	done, err = r.call(ctx, records, false)
	if done < len(records) || !r.again.draw() {
		return done, err
	}
	r.window.State = state
	return r.call(ctx, records, false)
}
