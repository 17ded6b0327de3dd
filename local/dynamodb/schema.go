package dynamodb

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// account owns every table here. AWS's numbers have twelve digits.
const account = "000000000000"

// keyAttr is an attribute that is part of a key.
type keyAttr struct {
	Name string
	Type string // S, N or B
}

func (a keyAttr) kind() value.Kind {
	k, _ := value.KindOf(a.Type)
	return k
}

// keySchema is the key of a table or an index.
type keySchema struct {
	Hash  keyAttr
	Range *keyAttr `json:",omitempty"`
}

func (k keySchema) rangeName() string {
	if k.Range == nil {
		return ""
	}
	return k.Range.Name
}

// has tells whether the attribute is part of the key.
func (k keySchema) has(name string) bool {
	return name == k.Hash.Name || k.Range != nil && name == k.Range.Name
}

// attrs returns the key's attributes in order.
func (k keySchema) attrs() []keyAttr {
	if k.Range == nil {
		return []keyAttr{k.Hash}
	}
	return []keyAttr{k.Hash, *k.Range}
}

// Types of projections.
const (
	projectAll     = "ALL"
	projectKeys    = "KEYS_ONLY"
	projectInclude = "INCLUDE"
)

// index is a global secondary index. It does not change once made.
type index struct {
	ID         uint16 // within its table; never used again
	Name       string
	Key        keySchema
	Projection string
	Include    []string `json:",omitempty"`
	Throughput *throughput

	projected []string        // what an entry holds: keys and Include, in order; nil for ALL
	within    map[string]bool // the same as a set
}

type throughput struct{ Read, Write int64 }

// table is a table's definition. It does not change once published: a change
// makes a copy.
type table struct {
	ID         uint32 // of this table, never used again for another of its name
	Name       string
	UID        string
	Key        keySchema
	Indexes    []*index
	Defs       []keyAttr // AttributeDefinitions, as given
	Throughput *throughput
	Protected  bool // DeletionProtectionEnabled
	Class      string
	TTL        string    // the attribute, "" when it is off
	Enabling   *enabling `json:",omitempty"` // nil: every item that has the attribute has its expiry
	StreamID   uint32    // 0: none
	Created    int64     // Unix ms
	stream     *stream
}

// finish computes what is derived from the stored fields.
func (t *table) finish() {
	for _, ix := range t.Indexes {
		if ix.Projection == projectAll {
			continue
		}
		ix.within = map[string]bool{}
		add := func(name string) {
			if !ix.within[name] {
				ix.within[name] = true
				ix.projected = append(ix.projected, name)
			}
		}
		for _, a := range append(t.Key.attrs(), ix.Key.attrs()...) {
			add(a.Name)
		}
		for _, name := range ix.Include {
			add(name)
		}
		slices.Sort(ix.projected)
	}
}

func (t *table) index(name string) *index {
	for _, ix := range t.Indexes {
		if ix.Name == name {
			return ix
		}
	}
	return nil
}

func (t *table) arn(region string) string {
	return fmt.Sprintf("arn:aws:dynamodb:%s:%s:table/%s", region, account, t.Name)
}

// keyOf takes the key attributes out of an item.
func (t *table) keyOf(item value.Item) value.Item {
	attrs := t.Key.attrs()
	key := make([]value.Field, len(attrs))
	for i, a := range attrs {
		key[i] = value.Field{Name: a.Name, Value: item.Get(a.Name)}
	}
	return value.NewItem(key)
}

// has tells whether an entry for item belongs into the index: the index is
// sparse, an item without one of its key attributes is not in it.
func (ix *index) has(item value.Item) bool {
	if item == nil {
		return false
	}
	for _, a := range ix.Key.attrs() {
		if item.Get(a.Name).Kind() != a.kind() {
			return false
		}
	}
	return true
}

// likelyProjected is how many attributes an entry of an index holds, seldom more.
const likelyProjected = 8

// project returns what the index's entry for item holds, in room if it suffices.
func (ix *index) project(room []value.Field, item value.Item) value.Item {
	if ix.projected == nil {
		return item
	}
	entry := room[:0]
	for _, name := range ix.projected {
		if v := item.Get(name); !v.IsZero() {
			entry = append(entry, value.Field{Name: name, Value: v})
		}
	}
	return value.NewItem(entry)
}

// missing returns those of the attributes that the index's entries never hold.
func (ix *index) missing(names iter.Seq[string]) []string {
	var out []string
	for name := range names {
		if ix.projected != nil && !ix.within[name] {
			out = append(out, name)
		}
	}
	return out
}

// sameEntry tells whether two items, not both the same, have equal entries.
func (ix *index) sameEntry(a, b value.Item) bool {
	if ix.projected == nil {
		return false
	}
	for _, name := range ix.projected {
		if !value.Equal(a.Get(name), b.Get(name)) {
			return false
		}
	}
	return true
}

// label is the time of a stream's making, as in its ARN.
func label(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000")
}
