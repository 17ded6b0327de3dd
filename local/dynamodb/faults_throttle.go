package dynamodb

import (
	"slices"
	"sync"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// What one partition key may do in a second.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
const (
	writeLimit = 1000
	readLimit  = 3000
)

// maxBuckets bounds the partitions that are counted at a time.
const maxBuckets = 10000

// limits counts what each partition key uses: a bucket holds the units of one
// second and fills up again in one. A request is let in while its buckets hold
// anything and may overdraw them, so that a large one gets its turn.
type limits struct {
	now     func() time.Time
	mu      sync.Mutex
	buckets map[string]*bucket
}

type bucket struct {
	left, limit float64
	at          time.Time
}

func newLimits(now func() time.Time) *limits {
	return &limits{now: now, buckets: map[string]*bucket{}}
}

// usage is what a request needs of one partition key.
type usage struct {
	partition string // with the kind of units in front
	limit     float64
	units     float64
	index     *index // nil: the table itself
}

func (b *bucket) fill(now time.Time) {
	b.left = min(b.limit, b.left+now.Sub(b.at).Seconds()*b.limit)
	b.at = now
}

// take takes all of needs, or nothing and says which is short.
func (l *limits) take(needs []usage) (n int, short bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for i := range needs {
		if b := l.buckets[needs[i].partition]; b != nil {
			if b.fill(now); b.left <= 0 {
				return i, true
			}
		}
	}
	for _, u := range needs {
		b := l.buckets[u.partition]
		if b == nil {
			l.makeRoom(now)
			b = &bucket{left: u.limit, limit: u.limit, at: now}
			l.buckets[u.partition] = b
		}
		b.left -= u.units
	}
	return 0, false
}

// makeRoom drops what is full again, which changes nothing, and then any one.
func (l *limits) makeRoom(now time.Time) {
	if len(l.buckets) < maxBuckets {
		return
	}
	for p, b := range l.buckets {
		if b.fill(now); b.left == b.limit {
			delete(l.buckets, p)
		}
	}
	for p := range l.buckets {
		if len(l.buckets) < maxBuckets {
			return
		}
		delete(l.buckets, p)
	}
}

// readUsage is what a read of the partition with this key prefix needs.
func readUsage(prefix []byte, ix *index, units float64) usage {
	return usage{partition: "r" + string(prefix), limit: readLimit, units: units, index: ix}
}

func writeUsage(prefix []byte, ix *index, units float64) usage {
	return usage{partition: "w" + string(prefix), limit: writeLimit, units: units, index: ix}
}

// partitionOf cuts the key of an item or an entry behind its hash key: all of its
// partition begin with that.
func partitionOf(key []byte) []byte {
	n := 5 // kind and table
	if key[0] == kindEntry {
		n += 2
	}
	_, rest, err := value.DecodeKey(key[n:])
	if err != nil {
		return key // damaged: it counts by itself
	}
	return key[:len(key)-len(rest)]
}

func (t *table) entryPartition(ix *index, item value.Item) []byte {
	return value.AppendKey(t.indexPrefix(nil, ix), item.Get(ix.Key.Hash.Name))
}

// usages appends what the change, evaluated, needs of its table's partition and,
// if it is to be written, of those of indexes.
func (c *change) usages(dst []usage, factor float64, written bool) []usage {
	t := c.table
	base := factor * writeUnits(max(value.Size(c.old), value.Size(c.new)))
	dst = append(dst, writeUsage(partitionOf(c.key), nil, base))
	if !written || c.kind == changeCheck || c.old != nil && c.new != nil && value.EqualItems(c.old, c.new) {
		return dst
	}
	for _, ix := range t.Indexes {
		was, is := ix.has(c.old), ix.has(c.new)
		if was && is && sameAttrs(&ix.Key, c.old, c.new) {
			if n := ix.writeUnits(c.old, c.new); n > 0 {
				dst = append(dst, writeUsage(t.entryPartition(ix, c.new), ix, n))
			}
			continue
		}
		if was {
			dst = append(dst, writeUsage(t.entryPartition(ix, c.old), ix, writeUnits(ix.entrySize(c.old))))
		}
		if is {
			dst = append(dst, writeUsage(t.entryPartition(ix, c.new), ix, writeUnits(ix.entrySize(c.new))))
		}
	}
	return dst
}

// Texts of throttles.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html#API_TransactWriteItems_Errors
const (
	textOnDemand      = "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or index so please try again shortly. If exceptions persist, check if you have a hot key: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
	textOnDemandIndex = "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is automatically scaling your index so please try again shortly."
	textProvisioned   = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API."
	textProvisionedIx = "The level of configured provisioned throughput for one or more global secondary indexes of the table was exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with the UpdateTable API."
)

// throttle is why a request of a table is refused.
type throttle struct {
	table *table
	index *index // nil: the table itself
	write bool
}

// onDemand: a table's indexes are billed as the table is.
func (t *throttle) onDemand() bool { return t.table.Throughput == nil }

func (t *throttle) text() string {
	switch {
	case t.onDemand() && t.index != nil && t.write:
		return textOnDemandIndex
	case t.onDemand():
		return textOnDemand
	case t.index != nil:
		return textProvisionedIx
	}
	return textProvisioned
}

// throttledBy names the limit and what met it.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ThrottlingReason.html
type throttledBy struct{ reason, resource string }

func (t *throttle) by(region string) throttledBy {
	by := throttledBy{reason: "Table", resource: t.table.arn(region)}
	if t.index != nil {
		by = throttledBy{reason: "Index", resource: by.resource + "/index/" + t.index.Name}
	}
	if t.write {
		by.reason += "Write"
	} else {
		by.reason += "Read"
	}
	by.reason += "KeyRangeThroughputExceeded"
	return by
}

// answer is the error of a request by itself.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/throttling-key-range-limit-exceeded-mitigation.html
func (t *throttle) answer(region string) *apiError {
	name := "ProvisionedThroughputExceededException"
	if t.onDemand() {
		name = "ThrottlingException"
	}
	e := failure(name, "%s", t.text())
	by := t.by(region)
	e.throttled = &by
	return e
}

// reason is that of an action of a transaction.
func (t *throttle) reason() reason {
	if t.onDemand() {
		return reason{code: "ThrottlingError", message: t.text()}
	}
	return reason{code: "ProvisionedThroughputExceeded", message: t.text()}
}

// chargeWrite lets a write that was evaluated with the outcome err through its
// limits and returns the outcome that is left: err, or that it is throttled. What
// a condition refused costs the table all the same. Actions of a batch that are
// short are left. Only the writer may call it.
func (f *faults) chargeWrite(r *write, err error, region string) error {
	switch {
	case f.limits == nil || err != nil && !isConditionFailed(err) && !r.transaction:
		return err
	case r.transaction:
		return f.chargeTransaction(r, err)
	case r.batch:
		return f.chargeBatch(r, region)
	}
	c := &r.changes[0]
	needs := c.usages(nil, 1, err == nil)
	if n, short := f.limits.take(needs); short {
		return (&throttle{c.table, needs[n].index, true}).answer(region)
	}
	return err
}

func (f *faults) chargeTransaction(r *write, err error) error {
	var needs []usage
	ends := make([]int, len(r.changes)) // where the needs of each action end
	for i := range r.changes {
		needs = r.changes[i].usages(needs, 2, err == nil)
		ends[i] = len(needs)
	}
	n, short := f.limits.take(needs)
	if !short {
		return err
	}
	i, _ := slices.BinarySearch(ends, n+1)
	return throttledTransaction(len(r.changes), i, &throttle{r.changes[i].table, needs[n].index, true})
}

// chargeBatch leaves what is short. If that is all, it is the batch's error.
func (f *faults) chargeBatch(r *write, region string) error {
	var last *throttle
	done := 0
	for i := range r.changes {
		c := &r.changes[i]
		if c.left {
			continue
		}
		needs := c.usages(nil, 1, true)
		if n, short := f.limits.take(needs); short {
			c.left, last = true, &throttle{c.table, needs[n].index, true}
			continue
		}
		done++
	}
	if done == 0 && last != nil {
		return last.answer(region)
	}
	return nil
}

// throttledTransaction is the answer to a transaction of n actions, of which
// number i was throttled.
func throttledTransaction(n, i int, t *throttle) *apiError {
	reasons := make([]reason, n)
	reasons[i] = t.reason()
	return cancelled(reasons)
}

// chargeGet lets the read of one item through; nil for no limit met.
func (f *faults) chargeGet(g *get, factor readFactor, size int) *throttle {
	if f.limits == nil {
		return nil
	}
	if _, short := f.limits.take([]usage{readUsage(partitionOf(g.key), nil, factor.units(size))}); short {
		return &throttle{table: g.table}
	}
	return nil
}

// read decides whether the read of one item is refused.
func (f *faults) read(g *get, factor readFactor, size int, region string) error {
	t := f.refuseRead(g.table, nil)
	if t == nil {
		t = f.chargeGet(g, factor, size)
	}
	if t == nil {
		return nil
	}
	return t.answer(region)
}

// chargeGets is chargeGet for a transaction.
func (f *faults) chargeGets(gets []*get, sizes []int) error {
	if f.limits == nil {
		return nil
	}
	needs := make([]usage, len(gets))
	for i, g := range gets {
		needs[i] = readUsage(partitionOf(g.key), nil, readTransactional.units(sizes[i]))
	}
	if i, short := f.limits.take(needs); short {
		return throttledTransaction(len(gets), i, &throttle{table: gets[i].table})
	}
	return nil
}

// chargePage lets a page through, by what it read of each partition.
func (f *faults) chargePage(pg *page) *throttle {
	if f.limits == nil {
		return nil
	}
	needs := make([]usage, 0, len(pg.spent))
	for p, size := range pg.spent {
		needs = append(needs, readUsage([]byte(p), pg.index, float64(pg.factor)*float64(size)/(4<<10)))
	}
	if _, short := f.limits.take(needs); short {
		return &throttle{table: pg.table, index: pg.index}
	}
	return nil
}

// refuseRead throttles a request of reads at random; nil for not.
func (f *faults) refuseRead(t *table, ix *index) *throttle {
	if f.dice[drawThrottles].hit(f.Throttles) {
		return &throttle{table: t, index: ix}
	}
	return nil
}
