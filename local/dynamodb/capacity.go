package dynamodb

import (
	"slices"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
	"github.com/bloom-runtime/bloom/local/dynamodb/wire"
)

// Values of ReturnConsumedCapacity.
const (
	capacityIndexes = "INDEXES"
	capacityTotal   = "TOTAL"
)

func wantsCapacity(v string) bool { return v == capacityIndexes || v == capacityTotal }

// capacity is what a request used of one table. Units of reads and of writes are
// not mixed within a request.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations
type capacity struct {
	table   float64
	indexes map[string]float64
}

// units is how many blocks of a size a number of bytes begins, at least one.
func units(size, block int) float64 {
	return float64(max(1, (size+block-1)/block))
}

func writeUnits(size int) float64 { return units(size, 1<<10) }

// readFactor is the price of 4 KB.
type readFactor float64

const (
	readEventual      readFactor = 0.5
	readConsistent    readFactor = 1
	readTransactional readFactor = 2
)

func consistency(consistent bool) readFactor {
	if consistent {
		return readConsistent
	}
	return readEventual
}

func (f readFactor) units(size int) float64 { return float64(f) * units(size, 4<<10) }

// write adds what a change cost: the larger of the old and the new item, times
// factor (2 in a transaction), and for each index what it wrote, once.
func (u *capacity) write(c *change, factor float64) {
	u.table += factor * writeUnits(max(value.Size(c.old), value.Size(c.new)))
	if c.kind == changeCheck || c.old != nil && c.new != nil && value.EqualItems(c.old, c.new) {
		return
	}
	for _, ix := range c.table.Indexes {
		if n := ix.writeUnits(c.old, c.new); n > 0 {
			u.index(ix.Name, n)
		}
	}
}

func (u *capacity) index(name string, n float64) {
	if u.indexes == nil {
		u.indexes = map[string]float64{}
	}
	u.indexes[name] += n
}

// writeUnits is what a change costs in this index: an entry put, deleted, or
// rewritten because something projected changed; two when its key changed.
func (ix *index) writeUnits(old, new value.Item) float64 {
	was, is := ix.has(old), ix.has(new)
	var n float64
	switch {
	case was && is && sameAttrs(&ix.Key, old, new):
		if !ix.sameEntry(old, new) {
			n = writeUnits(max(ix.entrySize(old), ix.entrySize(new)))
		}
	default:
		if was {
			n += writeUnits(ix.entrySize(old))
		}
		if is {
			n += writeUnits(ix.entrySize(new))
		}
	}
	return n
}

func (ix *index) entrySize(item value.Item) int {
	return value.Size(ix.project(make([]value.Field, 0, likelyProjected), item))
}

func (u *capacity) total() float64 {
	sum := u.table
	for _, n := range u.indexes {
		sum += n
	}
	return sum
}

// unitNames says which of the members that tell reads and writes apart are
// given: AWS gives them for transactions only.
type unitNames int

const (
	plainUnits unitNames = iota
	readUnitsToo
	writeUnitsToo
)

// appendJSON appends a ConsumedCapacity.
func (u *capacity) appendJSON(dst []byte, table, detail string, names unitNames) []byte {
	o := wire.Begin(dst)
	o.String("TableName", table)
	names.add(&o, u.total())
	if detail == capacityIndexes {
		o.Name("Table")
		o.Buf = names.appendJSON(o.Buf, u.table)
		if len(u.indexes) > 0 {
			o.Name("GlobalSecondaryIndexes")
			o.Buf = u.appendIndexes(o.Buf, names)
		}
	}
	return o.End()
}

func (u *capacity) appendIndexes(dst []byte, names unitNames) []byte {
	o := wire.Begin(dst)
	for _, name := range sortedKeys(u.indexes) {
		o.Name(name)
		o.Buf = names.appendJSON(o.Buf, u.indexes[name])
	}
	return o.End()
}

func (n unitNames) appendJSON(dst []byte, units float64) []byte {
	o := wire.Begin(dst)
	n.add(&o, units)
	return o.End()
}

func (n unitNames) add(o *wire.Object, units float64) {
	o.Float("CapacityUnits", units)
	switch n {
	case readUnitsToo:
		o.Float("ReadCapacityUnits", units)
	case writeUnitsToo:
		o.Float("WriteCapacityUnits", units)
	case plainUnits:
	}
}

// capacities are those of a request on several tables, by name.
type capacities map[string]*capacity

func (m capacities) of(table string) *capacity {
	u := m[table]
	if u == nil {
		u = &capacity{}
		m[table] = u
	}
	return u
}

// appendJSON appends the list, ordered by table.
func (m capacities) appendJSON(dst []byte, detail string, names unitNames) []byte {
	dst = append(dst, '[')
	for i, table := range sortedKeys(m) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m[table].appendJSON(dst, table, detail, names)
	}
	return append(dst, ']')
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
