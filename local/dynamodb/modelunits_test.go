package dynamodb

import "fmt"

// modelUnits counts the capacity of a request by hand: every item here is
// smaller than 1 KB, all of them together than 4 KB.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
type modelUnits struct {
	table   float64
	indexes map[string]float64
}

// write adds what a change of an item costs: each entry of an index that is
// written or removed one unit, two if its key changed.
func (u *modelUnits) write(was, is vMap, factor float64) {
	u.table += factor
	for name, ix := range modelIndexes {
		if name == "" {
			continue
		}
		before, after := ix.entry(was), ix.entry(is)
		moved := before != nil && after != nil && (!equalValues(before[ix.hash], after[ix.hash]) || !equalValues(before[ix.rng], after[ix.rng]))
		switch {
		case shownItem(before) == shownItem(after):
		case moved:
			u.index(name, 2)
		default:
			u.index(name, 1)
		}
	}
}

func (u *modelUnits) index(name string, n float64) {
	if u.indexes == nil {
		u.indexes = map[string]float64{}
	}
	u.indexes[name] += n
}

// String is as of the function shown.
func (u *modelUnits) String() string {
	total, parts := u.table, ""
	for _, name := range sortedKeys(u.indexes) {
		total += u.indexes[name]
		parts += fmt.Sprintf(" + %s %v", name, u.indexes[name])
	}
	return fmt.Sprintf("%v = table %v%s", total, u.table, parts)
}
