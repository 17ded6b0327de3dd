// Package dynamo keeps everything in one DynamoDB table. It is the only importer
// of service/dynamodb. Its calls read what they need, let the domain decide, and
// write conditionally on what was read; infra/docs/access-patterns.md gives
// each one's key, condition, outcomes and units.
//
// A Table is safe for concurrent use. Every call follows its context and ends
// within callTimeout. Errors are faults: not_found, conflict, lease_lost,
// no_worker, unavailable (throttled, timed out, lost races that did not end);
// anything else is internal.
package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/google/uuid"

	"github.com/bloom-runtime/bloom/shared/clock"
	"github.com/bloom-runtime/bloom/shared/fault"
)

// callTimeout bounds one call to DynamoDB, its retries included. A function may
// make several of them within API Gateway's 29 s.
const callTimeout = 5 * time.Second

// Settings of a table.
type Settings struct {
	Name string
	// Partitions is how many partition keys share what all tasks have in common
	// (queue, lists, audit); each is good for about 250 lifecycles a second. It
	// may be raised at any time and never lowered.
	Partitions int
	// Retention is how long what has ended is kept; 0 = for ever.
	Retention time.Duration
	Now       clock.Now
}

// Table is the table and how to reach it.
type Table struct {
	db         *dynamodb.Client
	name       string
	partitions int
	retention  time.Duration
	now        clock.Now
	observe    func(Units)
}

// Open returns the table. It makes no call.
func Open(cfg aws.Config, s Settings) *Table {
	return &Table{db: dynamodb.NewFromConfig(cfg, forServer(cfg), withRetries), name: s.Name, partitions: max(s.Partitions, 1),
		retention: s.Retention, now: s.Now}
}

// NewID returns a fresh id: a UUIDv7, which sorts by the time it was made.
// https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// Units are the capacity units that one call consumed.
type Units struct{ WriteBase, WriteIndex, Read float64 }

// Observe has f called with the units that each call consumed. It is for
// measuring, and must be set before the first call.
func (t *Table) Observe(f func(Units)) { t.observe = f }

func (t *Table) units() types.ReturnConsumedCapacity {
	if t.observe == nil {
		return types.ReturnConsumedCapacityNone
	}
	return types.ReturnConsumedCapacityIndexes
}

func (t *Table) sawRead(c ...types.ConsumedCapacity) {
	for _, u := range c {
		if t.observe != nil {
			t.observe(Units{Read: aws.ToFloat64(u.CapacityUnits)})
		}
	}
}

func (t *Table) sawWrite(c ...types.ConsumedCapacity) {
	for _, u := range c {
		if t.observe == nil || u.Table == nil {
			continue
		}
		base := aws.ToFloat64(u.Table.CapacityUnits)
		t.observe(Units{WriteBase: base, WriteIndex: aws.ToFloat64(u.CapacityUnits) - base})
	}
}

// one is the capacity of a call that reports a single one, if it reports any.
func one(c *types.ConsumedCapacity) []types.ConsumedCapacity {
	if c == nil {
		return nil
	}
	return []types.ConsumedCapacity{*c}
}

// get reads one item, strongly consistent. An item past its TTL is not found.
func (t *Table) get(ctx context.Context, k key) (item, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &t.name, Key: k.item(), ConsistentRead: aws.Bool(true), ReturnConsumedCapacity: t.units(),
	})
	if err != nil {
		return nil, false, t.fail("get item", err)
	}
	t.sawRead(one(out.ConsumedCapacity)...)
	if out.Item == nil || gone(out.Item, t.now()) {
		return nil, false, nil
	}
	return out.Item, true, nil
}

// batchKeys is DynamoDB's limit for one BatchGetItem.
const batchKeys = 100

// batch reads items by key and returns those that exist, each once, in the order
// asked for. An index that is behind may have given a key twice, under an entry
// that was and one that is; DynamoDB refuses that.
func (t *Table) batch(ctx context.Context, keys []key, consistent bool) ([]item, error) {
	keys = eachOnce(keys)
	found := make(map[key]item, len(keys))
	for start := 0; start < len(keys); start += batchKeys {
		if err := t.batchInto(ctx, found, keys[start:min(start+batchKeys, len(keys))], consistent); err != nil {
			return nil, err
		}
	}
	now, items := t.now(), make([]item, 0, len(keys))
	for _, k := range keys {
		if i, ok := found[k]; ok && !gone(i, now) {
			items = append(items, i)
		}
	}
	return items, nil
}

func eachOnce(keys []key) []key {
	seen := make(map[key]bool, len(keys))
	return slices.DeleteFunc(slices.Clone(keys), func(k key) bool {
		twice := seen[k]
		seen[k] = true
		return twice
	})
}

func (t *Table) batchInto(ctx context.Context, found map[key]item, keys []key, consistent bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	want := types.KeysAndAttributes{ConsistentRead: aws.Bool(consistent)}
	for _, k := range keys {
		want.Keys = append(want.Keys, k.item())
	}
	for try := 0; len(want.Keys) > 0; try++ {
		out, err := t.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{t.name: want}, ReturnConsumedCapacity: t.units(),
		})
		if err != nil {
			return t.fail("batch get", err)
		}
		t.sawRead(out.ConsumedCapacity...)
		for _, i := range out.Responses[t.name] {
			found[keyOf(i)] = i
		}
		want = out.UnprocessedKeys[t.name]
		if len(want.Keys) > 0 {
			if err := pause(ctx, try); err != nil {
				return t.fail("batch get", err)
			}
		}
	}
	return nil
}

// pause waits before the try after try (from 0): exponential with full jitter,
// at most 200 ms.
func pause(ctx context.Context, try int) error {
	span := min(5*time.Millisecond<<min(try, 6), 200*time.Millisecond)
	timer := time.NewTimer(time.Duration(rand.Int64N(int64(span)) + 1))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fail translates an error of the SDK that no caller handles.
func (t *Table) fail(op string, err error) error {
	var throttled *types.ProvisionedThroughputExceededException
	var limit *types.RequestLimitExceeded
	var throttle *types.ThrottlingException
	var broken *types.InternalServerError
	var conflict *types.TransactionConflictException
	var unsent *smithyhttp.RequestSendError
	switch {
	case errors.As(err, &throttled), errors.As(err, &limit), errors.As(err, &throttle):
		return fault.New(fault.Unavailable, "The store is overloaded; try again in a few seconds").Because(err)
	case errors.As(err, &conflict):
		return fault.New(fault.Unavailable, "Too many calls change the same item; try again").Because(err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.New(fault.Unavailable, "The store did not answer in time; try again").Because(err)
	case errors.As(err, &broken), errors.As(err, &unsent):
		return fault.New(fault.Unavailable, "The store cannot take the call now; try again later").Because(err)
	default:
		return fault.New(fault.Internal, "The store failed: %s", op).Because(err)
	}
}
