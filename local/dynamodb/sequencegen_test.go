package dynamodb

import (
	"slices"

	"pgregory.net/rapid"
)

// The generators draw from few keys, names and values, so that what is drawn
// meets what is there.

func drawKey(t *rapid.T) vMap {
	return vMap{"PK": rapid.SampledFrom([]string{"p", "q"}).Draw(t, "PK"), "SK": rapid.SampledFrom([]string{"a", "b", "b1", "c"}).Draw(t, "SK")}
}

var (
	genText  = rapid.SampledFrom([]string{"", "a", "ab", "abc", "b", "é"})
	genInt   = rapid.IntRange(-3, 12)
	genBytes = rapid.SampledFrom([]vBin{"\x00", "\x01\xff", "k"})
)

// attributes are the names outside of the table's key. Those of indexes only
// take values of their kind: DynamoDB Local stores others.
var attributes = []string{"n", "s", "l", "m", "ns", "ss", "any", "shown", "G1PK", "G1SK", "G2PK", "G3PK"}

// drawFor draws a value that the attribute may have; often of the kind that its
// name says.
func drawFor(t *rapid.T, name string) any {
	switch name {
	case "G1PK", "G2PK":
		return rapid.SampledFrom([]string{"g", "h"}).Draw(t, name)
	case "G1SK":
		return genInt.Draw(t, name)
	case "G3PK":
		return genBytes.Draw(t, name)
	}
	if name == "any" || name == "shown" || rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
		name = rapid.SampledFrom([]string{"n", "s", "l", "m", "ns", "ss", "b", "bool", "null"}).Draw(t, "kind")
	}
	return drawKind(t, name)
}

func drawKind(t *rapid.T, kind string) any {
	switch kind {
	case "n":
		return genInt.Draw(t, "n")
	case "s":
		return genText.Draw(t, "s")
	case "b":
		return genBytes.Draw(t, "b")
	case "bool":
		return rapid.Bool().Draw(t, "bool")
	case "l":
		return vList(rapid.SliceOfN(rapid.Custom(drawScalar), 0, 3).Draw(t, "l"))
	case "m":
		m := vMap{}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"x", "y"}), 0, 2, rapid.ID).Draw(t, "m") {
			m[name] = drawScalar(t)
		}
		return m
	case "ns":
		set := rapid.SliceOfNDistinct(rapid.IntRange(0, 4), 1, 3, rapid.ID).Draw(t, "ns")
		slices.Sort(set)
		return vNums(set)
	case "ss":
		set := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(t, "ss")
		slices.Sort(set)
		return vStrs(set)
	}
	return nil
}

func drawScalar(t *rapid.T) any {
	return drawKind(t, rapid.SampledFrom([]string{"n", "s", "b", "bool", "null"}).Draw(t, "kind"))
}

func drawItem(t *rapid.T) vMap {
	m := drawKey(t)
	for _, name := range drawNames(t, 0, 6) {
		m[name] = drawFor(t, name)
	}
	return m
}

func drawNames(t *rapid.T, least, most int) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(attributes), least, most, rapid.ID).Draw(t, "names")
}

// drawPath draws a path that begins with name.
func drawPath(t *rapid.T, name string) path {
	switch p := (path{name}); name {
	case "m":
		return append(p, rapid.SampledFrom([]path{{}, {"x"}, {"y"}, {"x", "z"}}).Draw(t, "below")...)
	case "l":
		return append(p, rapid.SampledFrom([]path{{}, {0}, {1}, {7}}).Draw(t, "below")...)
	default:
		return p
	}
}

func drawAnyPath(t *rapid.T) path {
	return drawPath(t, rapid.SampledFrom(append([]string{"PK", "SK"}, attributes...)).Draw(t, "name"))
}

var operators = rapid.SampledFrom([]string{"=", "<>", "<", "<=", ">", ">="})

// drawCondition draws on attributes outside of the keys if filter is set: a
// query's filter must not look at them.
func drawCondition(t *rapid.T, depth int, filter bool) condition {
	kinds := []string{"exists", "compares", "other", "between", "in", "calls", "sized"}
	if depth > 0 {
		kinds = append(kinds, "joined", "joined", "negated")
	}
	at := drawAnyPath(t)
	if filter {
		at = drawPath(t, rapid.SampledFrom([]string{"n", "s", "l", "m", "ns", "ss", "any", "shown"}).Draw(t, "name"))
	}
	switch rapid.SampledFrom(kinds).Draw(t, "condition") {
	case "exists":
		return exists{at, rapid.Bool().Draw(t, "not")}
	case "other":
		// An attribute compared with itself is refused.
		other := path{"any"}
		if at.top() == "any" {
			other = path{"n"}
		}
		return compares{at: at, op: operators.Draw(t, "op"), other: other}
	case "between":
		low, top := genInt.Draw(t, "low"), genInt.Draw(t, "top")
		return between{at, min(low, top), max(low, top)}
	case "in":
		return in{at, []any{drawScalar(t), drawScalar(t)}}
	case "calls":
		return drawCall(t, at)
	case "sized":
		return sized{at, operators.Draw(t, "op"), rapid.IntRange(0, 3).Draw(t, "size")}
	case "joined":
		return joined{rapid.SampledFrom([]string{"AND", "OR"}).Draw(t, "op"), drawCondition(t, depth-1, filter), drawCondition(t, depth-1, filter)}
	case "negated":
		return negated{drawCondition(t, depth-1, filter)}
	}
	op := operators.Draw(t, "op")
	if op == "=" || op == "<>" {
		return compares{at: at, op: op, value: drawFor(t, "any")}
	}
	return compares{at: at, op: op, value: drawKind(t, rapid.SampledFrom([]string{"n", "s", "b"}).Draw(t, "kind"))}
}

func drawCall(t *rapid.T, at path) condition {
	switch function := rapid.SampledFrom([]string{"begins_with", "contains", "attribute_type"}).Draw(t, "function"); function {
	case "begins_with":
		return calls{function, at, genText.Draw(t, "prefix")}
	case "contains":
		return calls{function, at, drawScalar(t)}
	default:
		return calls{function, at, rapid.SampledFrom([]string{"S", "N", "B", "BOOL", "NULL", "L", "M", "NS", "SS"}).Draw(t, "type")}
	}
}

func drawUpdate(t *rapid.T) update {
	names := drawNames(t, 1, 3)
	u := make(update, len(names))
	for i, name := range names {
		u[i] = drawAssignment(t, name)
	}
	return u
}

func drawAssignment(t *rapid.T, name string) assignment {
	at := drawPath(t, name)
	indexKey := name[0] == 'G'
	switch rapid.SampledFrom([]string{"SET", "SET", "SET", "REMOVE", "ADD", "DELETE"}).Draw(t, "verb") {
	case "REMOVE":
		return assignment{verb: "REMOVE", at: at}
	case "ADD":
		if !indexKey {
			return assignment{verb: "ADD", at: at, with: drawKind(t, rapid.SampledFrom([]string{"n", "n", "ns", "ss"}).Draw(t, "kind"))}
		}
	case "DELETE":
		if !indexKey {
			return assignment{verb: "DELETE", at: at, with: drawKind(t, rapid.SampledFrom([]string{"ns", "ss"}).Draw(t, "kind"))}
		}
	}
	if indexKey {
		return assignment{verb: "SET", at: at, how: "value", with: drawFor(t, name)}
	}
	from := drawAnyPath(t)
	switch how := rapid.SampledFrom([]string{"value", "value", "copy", "plus", "minus", "default", "append", "prepend"}).Draw(t, "how"); how {
	case "plus", "minus":
		return assignment{"SET", at, how, from, genInt.Draw(t, "n")}
	case "append", "prepend":
		return assignment{"SET", at, how, path{"l"}, drawKind(t, "l")}
	case "copy":
		return assignment{"SET", at, how, from, nil}
	default:
		return assignment{"SET", at, how, from, drawFor(t, "any")}
	}
}

func drawWrite(t *rapid.T, verbs ...string) *modelWrite {
	w := &modelWrite{verb: rapid.SampledFrom(verbs).Draw(t, "verb"), showItem: rapid.Bool().Draw(t, "show item")}
	if w.verb == "put" {
		w.item = drawItem(t)
	} else {
		w.item = drawKey(t)
	}
	if w.verb == "update" {
		w.update = drawUpdate(t)
	}
	if w.verb == "check" || rapid.IntRange(0, 2).Draw(t, "conditional") == 0 {
		w.cond = drawCondition(t, 2, false)
	}
	return w
}

func drawSingleWrite(t *rapid.T, verb string) *modelWrite {
	w := drawWrite(t, verb)
	returns := []string{"", "NONE", "ALL_OLD"}
	if verb == "update" {
		returns = append(returns, "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
	}
	w.returns = rapid.SampledFrom(returns).Draw(t, "return")
	return w
}

func drawBatch(t *rapid.T) batchStep {
	b := make(batchStep, rapid.IntRange(1, 4).Draw(t, "writes"))
	for i := range b {
		b[i] = drawWrite(t, "put", "delete")
		b[i].cond = nil
	}
	return b
}

func drawTransaction(t *rapid.T) transactionStep {
	tx := make(transactionStep, rapid.IntRange(1, 4).Draw(t, "actions"))
	for i := range tx {
		tx[i] = drawWrite(t, "put", "update", "delete", "check")
	}
	return tx
}

// drawProjection draws paths of different attributes.
func drawProjection(t *rapid.T) []path {
	if rapid.IntRange(0, 1).Draw(t, "projected") == 0 {
		return nil
	}
	var paths []path
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(append([]string{"PK", "SK"}, attributes...)), 1, 3, rapid.ID).Draw(t, "projection") {
		paths = append(paths, drawPath(t, name))
	}
	return paths
}

func drawGet(t *rapid.T, verb string) *getStep {
	g := &getStep{verb: verb, projection: drawProjection(t), consistent: rapid.Bool().Draw(t, "consistent")}
	n := 1
	if verb != "get" {
		n = rapid.IntRange(1, 4).Draw(t, "keys")
	}
	for range n {
		g.keys = append(g.keys, drawKey(t))
	}
	return g
}

func drawPages(t *rapid.T, query bool) *pagesStep {
	p := &pagesStep{index: rapid.SampledFrom([]string{"", "", "G1all", "G2keys", "G3some"}).Draw(t, "index")}
	if query {
		drawKeyCondition(t, p)
		p.reverse = rapid.Bool().Draw(t, "reverse")
	}
	if rapid.Bool().Draw(t, "filtered") {
		p.filter = drawCondition(t, 1, true)
	}
	if p.count = rapid.IntRange(0, 4).Draw(t, "count") == 0; !p.count {
		p.projection = drawProjection(t)
	}
	if rapid.Bool().Draw(t, "limited") {
		p.limit = rapid.Int32Range(1, 4).Draw(t, "limit")
	}
	return p
}

func drawKeyCondition(t *rapid.T, p *pagesStep) {
	sortKey := rapid.SampledFrom([]any{"a", "b", "b1", "c"})
	ops := []string{"", "=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"}
	switch p.index {
	case "":
		p.hash = rapid.SampledFrom([]string{"p", "q"}).Draw(t, "hash")
	case "G3some":
		p.hash = genBytes.Draw(t, "hash")
		return
	default:
		p.hash = rapid.SampledFrom([]string{"g", "h"}).Draw(t, "hash")
		sortKey = rapid.Map(genInt, func(n int) any { return n })
		ops = ops[:len(ops)-1]
	}
	if p.op = rapid.SampledFrom(ops).Draw(t, "op"); p.op == "" {
		return
	}
	p.low = sortKey.Draw(t, "low")
	if p.op == "BETWEEN" {
		p.top = sortKey.Draw(t, "top")
		if swapped, _ := less(p.top, p.low); swapped {
			p.low, p.top = p.top, p.low
		}
	}
}
