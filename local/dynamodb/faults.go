package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"
)

// Faults are what AWS's DynamoDB does now and then and a server on one machine
// would never do. Each is off by default; the zero value does nothing.
//
// Rates are probabilities from 0 to 1. Each kind of fault draws from a sequence of
// its own, made from Seed: the same seed and the same calls, one after the other,
// meet the same faults, and one kind more or less does not change the others. Of
// calls that run at the same time, which one draws first is up to them. Partition
// limits, overlaps and lag follow what really happens and depend on time.
//
// The faults concern calls for items; Latency concerns every call. A fault never
// breaks a promise that AWS gives: what was refused has changed nothing, and a
// transaction that was carried out is never refused when its token comes again.
type Faults struct {
	// Seed of all draws.
	Seed uint64
	// PartitionLimits holds each partition key of a table or an index to 1,000
	// write units and 3,000 read units a second.
	PartitionLimits bool
	// Throttles is the rate of requests refused as if by a limit.
	Throttles float64
	// Overlaps refuses what meets a change of the same item that is under way,
	// when one of the two is a transaction, and a token that is in use.
	Overlaps bool
	// Conflicts is the rate of writes and transactions refused as if something
	// overlapped.
	Conflicts float64
	// Unprocessed is the rate of keys and items that a batch leaves; one at least
	// is done.
	Unprocessed float64
	// ShortPages is the rate of pages of Query and Scan that end early, with a
	// LastEvaluatedKey: after some items, or, behind an ExclusiveStartKey, none.
	ShortPages float64
	// IndexLag is how old what a read of an index shows may be, TableLag the same
	// for a read of a table that is not consistent. A later read may show less.
	IndexLag, TableLag time.Duration
	// Redelivered is the rate of batches of stream records that a function gets
	// once more after it took them. The server does nothing with it: its GetRecords
	// answers a record once for each iterator, as AWS's does. Who reads the stream
	// for functions, as Lambda does, obeys it.
	Redelivered float64
	// Latency is the longest time that a request waits before it is carried out.
	Latency time.Duration
	// LostAnswers is the rate of requests that were carried out and whose answer
	// is lost: an InternalServerError, or a connection that breaks, half each.
	LostAnswers float64
}

// Kinds of faults, each with a sequence of its own.
const (
	drawThrottles = iota + 1
	drawConflicts
	drawUnprocessed
	drawShortPages
	drawLag
	drawLatency
	drawLostAnswers
)

// longestFault bounds the faults that take time.
const longestFault = time.Minute

// Check says in one sentence what is wrong with f.
func (f Faults) Check() error {
	for _, r := range f.rates() {
		if !(*r.rate >= 0 && *r.rate <= 1) { // false for NaN too
			return fmt.Errorf("the rate of the fault %s must be from 0 to 1, not %g", r.name, *r.rate)
		}
	}
	for _, s := range f.spans() {
		if *s.span < 0 || *s.span > longestFault {
			return fmt.Errorf("the time of the fault %s must be from 0 to %v, not %v", s.name, longestFault, *s.span)
		}
	}
	return nil
}

// dice is one kind's sequence of draws.
type dice struct {
	mu     sync.Mutex
	source *rand.Rand
}

func newDice(seed, kind uint64) *dice { return &dice{source: rand.New(rand.NewPCG(seed, kind))} }

// hit is true at the rate.
func (d *dice) hit(rate float64) bool {
	if rate <= 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.Float64() < rate
}

// below is from 0 to n-1.
func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.source.IntN(n)
}

// faults are those of an open server; nil when none is on. Methods may be called
// from any goroutine unless they say otherwise.
type faults struct {
	Faults
	dice   map[uint64]*dice
	limits *limits // nil: off
	flight *flight // nil: off
	lag    *lag    // nil: off
}

func newFaults(f Faults, s *Server) (*faults, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	if f == (Faults{Seed: f.Seed}) {
		return nil, nil
	}
	fs := &faults{Faults: f, dice: map[uint64]*dice{}}
	for kind := uint64(drawThrottles); kind <= drawLostAnswers; kind++ {
		fs.dice[kind] = newDice(f.Seed, kind)
	}
	if f.PartitionLimits {
		fs.limits = newLimits(s.now)
	}
	if f.Overlaps {
		fs.flight = newFlight()
	}
	if f.IndexLag > 0 || f.TableLag > 0 {
		fs.lag = newLag(s.store, max(f.IndexLag, f.TableLag))
	}
	return fs, nil
}

// delay lets a request wait. The error is ctx's.
func (f *faults) delay(ctx context.Context) error {
	if f.Latency <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(f.dice[drawLatency].below(int(f.Latency))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errBroken is what a client sees whose connection broke.
var errBroken error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

var errLost = internal(errors.New("Internal server error")) //nolint:staticcheck // AWS's text

// lose decides whether the answer to a request that succeeded is lost.
func (f *faults) lose(target string) error {
	if !forItems[target] || !f.dice[drawLostAnswers].hit(f.LostAnswers) {
		return nil
	}
	if f.dice[drawLostAnswers].below(2) == 0 {
		return errBroken
	}
	return errLost
}

// forItems are the operations whose answers may be lost.
var forItems = map[string]bool{
	targetDynamo + "GetItem":            true,
	targetDynamo + "PutItem":            true,
	targetDynamo + "UpdateItem":         true,
	targetDynamo + "DeleteItem":         true,
	targetDynamo + "Query":              true,
	targetDynamo + "Scan":               true,
	targetDynamo + "BatchGetItem":       true,
	targetDynamo + "BatchWriteItem":     true,
	targetDynamo + "TransactGetItems":   true,
	targetDynamo + "TransactWriteItems": true,
}
