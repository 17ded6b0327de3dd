package dynamodb

import (
	"fmt"
	"maps"
	"slices"
)

// model is the table of mainTable as maps: what random sequences must find.
type model struct {
	items   map[[2]string]vMap
	records map[[2]string][]string // of the stream, for each item
}

func newModel() *model {
	return &model{items: map[[2]string]vMap{}, records: map[[2]string][]string{}}
}

// key is the PK and SK of an item or a key.
func key(m vMap) [2]string { return [2]string{m["PK"].(string), m["SK"].(string)} }

// set stores an item, or removes it if it is nil.
func (m *model) set(k [2]string, is vMap) {
	was := m.items[k]
	if shownItem(was) == shownItem(is) {
		return
	}
	event := "MODIFY"
	switch {
	case was == nil:
		event = "INSERT"
	case is == nil:
		event = "REMOVE"
	}
	m.records[k] = append(m.records[k], fmt.Sprint(event, " ", shownItem(was), " -> ", shownItem(is)))
	if is == nil {
		delete(m.items, k)
		return
	}
	m.items[k] = is
}

// modelIndex is one of mainTable's indexes.
type modelIndex struct {
	name, hash, rng string
	project         []string // beside the keys; nil for all
}

var modelIndexes = map[string]modelIndex{
	"":       {"", "PK", "SK", nil},
	"G1all":  {"G1all", "G1PK", "G1SK", nil},
	"G2keys": {"G2keys", "G2PK", "G1SK", []string{}},
	"G3some": {"G3some", "G3PK", "", []string{"shown"}},
}

// entries returns what the table (index "") or an index holds, in the order of
// its sort key, then the table's key.
func (m *model) entries(index string) []vMap {
	ix := modelIndexes[index]
	var list []vMap
	for _, k := range slices.SortedFunc(maps.Keys(m.items), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if entry := ix.entry(m.items[k]); entry != nil {
			list = append(list, entry)
		}
	}
	slices.SortStableFunc(list, func(a, b vMap) int { return ix.compare(a, b) })
	return list
}

func (ix modelIndex) compare(a, b vMap) int {
	if lt, _ := less(a[ix.rng], b[ix.rng]); lt {
		return -1
	}
	if gt, _ := less(b[ix.rng], a[ix.rng]); gt {
		return 1
	}
	return 0
}

// entry is what the index keeps of an item, nil if it is not in it.
func (ix modelIndex) entry(m vMap) vMap {
	_, hash := m[ix.hash]
	_, rng := m[ix.rng]
	if !hash || ix.rng != "" && !rng {
		return nil
	}
	if ix.project == nil {
		return m
	}
	entry := vMap{}
	for _, name := range append([]string{"PK", "SK", ix.hash, ix.rng}, ix.project...) {
		if v, ok := m[name]; ok {
			entry[name] = v
		}
	}
	return entry
}

// modelWrite is a put, an update, a delete or, in a transaction, a check.
type modelWrite struct {
	verb     string // put, update, delete, check
	item     vMap   // of a put: the item; else the key
	update   update
	cond     condition
	returns  string // ReturnValues
	showItem bool   // ReturnValuesOnConditionCheckFailure is ALL_OLD
}

// outcome is what a write does to the item that is there: the new one, or the
// name of its error.
func (w *modelWrite) outcome(m *model) (is vMap, failure string) {
	was := m.items[key(w.item)]
	if w.cond != nil && !w.cond.holds(was) {
		return nil, "ConditionalCheckFailedException"
	}
	switch w.verb {
	case "put":
		return w.item, ""
	case "delete":
		return nil, ""
	case "check":
		return was, ""
	}
	is, ok := w.update.apply(was, w.item)
	if !ok {
		return nil, "ValidationException"
	}
	if was == nil && w.update.onlyRemoves() {
		return nil, ""
	}
	return is, ""
}

// returned is what ReturnValues asks for.
func (w *modelWrite) returned(was, is vMap) vMap {
	var shown vMap
	switch w.returns {
	case "ALL_OLD":
		shown = was
	case "ALL_NEW":
		shown = is
	case "UPDATED_OLD":
		shown = project(was, w.update.paths())
	case "UPDATED_NEW":
		shown = project(is, w.update.paths())
	}
	if len(shown) == 0 {
		return nil
	}
	return shown
}

// one carries out a write by itself.
func (m *model) one(w *modelWrite) answer {
	was := m.items[key(w.item)]
	is, failure := w.outcome(m)
	if failure == "ConditionalCheckFailedException" && w.showItem && was != nil {
		failure += " " + shownItem(was)
	}
	if failure != "" {
		return answer{text: failure}
	}
	m.set(key(w.item), is)
	var used modelUnits
	used.write(was, is, 1)
	return answer{"ok " + shownItem(w.returned(was, is)), used.String()}
}

// together carries out a transaction.
func (m *model) together(writes []*modelWrite) answer {
	seen := map[[2]string]bool{}
	reasons := make([]string, len(writes))
	refused := false
	after := make([]vMap, len(writes))
	for i, w := range writes {
		k := key(w.item)
		if seen[k] {
			return answer{text: "ValidationException"}
		}
		seen[k] = true
		var failure string
		after[i], failure = w.outcome(m)
		switch failure {
		case "":
			reasons[i] = "None"
			continue
		case "ConditionalCheckFailedException":
			reasons[i] = "ConditionalCheckFailed"
			if w.showItem && m.items[k] != nil {
				reasons[i] += " " + shownItem(m.items[k])
			}
		default:
			reasons[i] = "ValidationError"
		}
		refused = true
	}
	if refused {
		return answer{text: fmt.Sprintf("TransactionCanceledException %q", reasons)}
	}
	var used modelUnits
	for i, w := range writes {
		used.write(m.items[key(w.item)], after[i], 2)
		m.set(key(w.item), after[i])
	}
	return answer{"ok", used.String()}
}
