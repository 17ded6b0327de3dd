package value

import (
	"slices"
	"strings"
)

// Compare orders two values of the same kind S, N or B: strings and bytes by their bytes, numbers by value. ok is false
// when the kinds differ or have no order.
func Compare(a, b Value) (order int, ok bool) {
	if a.kind != b.kind {
		return 0, false
	}
	switch a.kind {
	case S, B:
		return strings.Compare(a.text, b.text), true
	case N:
		return compareText(a.text, b.text), true
	}
	return 0, false
}

// Equal tells whether two values are the same: kind and content, sets and maps in any order, numbers by value.
func Equal(a, b Value) bool {
	if a.kind != b.kind || a.text != b.text || a.truth != b.truth {
		return false
	}
	if a.compound == nil || a.compound == b.compound {
		return true
	}
	return slices.EqualFunc(a.compound.list, b.compound.list, Equal) &&
		slices.Equal(a.compound.members, b.compound.members) &&
		EqualItems(a.compound.fields, b.compound.fields)
}

// EqualItems tells whether two items have the same attributes with equal values.
func EqualItems(a, b Item) bool {
	return slices.EqualFunc(a, b, func(f, g Field) bool { return f.Name == g.Name && Equal(f.Value, g.Value) })
}

func sortedMembers(kind Kind, members []string) []string {
	if kind == NS {
		slices.SortFunc(members, compareText)
	} else {
		slices.Sort(members)
	}
	return slices.Compact(members)
}
