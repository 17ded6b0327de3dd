package value

import (
	"slices"
	"strings"
)

// Item is an item or a map: its fields in the order of their names, each name once. A slice takes less room and less
// time than a map of that size to make, to copy, to compare and to write out; NewItem makes one. nil is no item, which
// an item without fields is not.
type Item []Field

// Field is an attribute of an item, or an entry of a map. 48 bytes.
type Field struct {
	Name  string
	Value Value
}

// NewItem makes an item of the fields and takes the slice over. Of several fields with the same name the last counts.
func NewItem(fields []Field) Item {
	if fields == nil {
		return nil
	}
	if inOrder(fields) {
		return fields
	}
	sortStable(fields)
	kept := fields[:0]
	for i, f := range fields {
		if i+1 == len(fields) || fields[i+1].Name != f.Name {
			kept = append(kept, f)
		}
	}
	return kept
}

// few is how many fields are handled the simple way.
const few = 32

// sortStable puts fields in the order of their names; those of the same name stay in their order.
func sortStable(fields []Field) {
	if len(fields) > few {
		slices.SortStableFunc(fields, compareNames)
		return
	}
	for i := 1; i < len(fields); i++ {
		f := fields[i]
		at, behind := 0, i
		for at < behind {
			if middle := (at + behind) / 2; fields[middle].Name <= f.Name {
				at = middle + 1
			} else {
				behind = middle
			}
		}
		copy(fields[at+1:i+1], fields[at:i])
		fields[at] = f
	}
}

func compareNames(a, b Field) int { return strings.Compare(a.Name, b.Name) }

func inOrder(fields []Field) bool {
	for i := 1; i < len(fields); i++ {
		if fields[i-1].Name >= fields[i].Name {
			return false
		}
	}
	return true
}

// Get gives the value of the named field, the zero Value if there is none.
func (it Item) Get(name string) Value {
	if len(it) <= few {
		// Most names differ in their length already: that is faster than to halve.
		for i := range it {
			if it[i].Name == name {
				return it[i].Value
			}
		}
		return Value{}
	}
	if i, ok := it.find(name); ok {
		return it[i].Value
	}
	return Value{}
}

// find gives the place of the named field, or the one that it would have.
func (it Item) find(name string) (int, bool) {
	return slices.BinarySearchFunc(it, name, func(f Field, name string) int { return strings.Compare(f.Name, name) })
}

// With gives a copy of the item with the fields put in, in place of those of the same names; a field whose value is the
// zero Value is taken out. The values are shared, since they never change. No name may come twice. With puts the fields in
// order and keeps no hold of them.
func (it Item) With(fields []Field) Item {
	if !inOrder(fields) {
		sortStable(fields)
	}
	merged := make(Item, 0, len(it)+len(fields))
	for _, f := range fields {
		i, found := it.find(f.Name)
		merged = append(merged, it[:i]...)
		if !f.Value.IsZero() {
			merged = append(merged, f)
		}
		if found {
			i++
		}
		it = it[i:]
	}
	return append(merged, it...)
}
