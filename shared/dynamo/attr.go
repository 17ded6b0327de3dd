package dynamo

import (
	"sort"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/bloom-runtime/bloom/shared/clock"
)

// item is an item of the table, as the SDK takes and gives it.
type item map[string]types.AttributeValue

func str(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }

func num[N ~int | ~int64](v N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(v), 10)}
}

func float(v float64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatFloat(v, 'f', -1, 64)}
}

func boolean(v bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: v} }

func strs(v []string) types.AttributeValue {
	l := make([]types.AttributeValue, len(v))
	for i, s := range v {
		l[i] = str(s)
	}
	return &types.AttributeValueMemberL{Value: l}
}

// setStr, setNum and setFlag leave out what is not set: an absent attribute costs nothing.
func (i item) setStr(name, v string) {
	if v != "" {
		i[name] = str(v)
	}
}

func (i item) setNum(name string, v int64) {
	if v != 0 {
		i[name] = num(v)
	}
}

func (i item) setFlag(name string, v bool) {
	if v {
		i[name] = boolean(v)
	}
}

func (i item) str(name string) string {
	if s, ok := i[name].(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func (i item) num(name string) int64 {
	if n, ok := i[name].(*types.AttributeValueMemberN); ok {
		v, _ := strconv.ParseInt(n.Value, 10, 64) // this package wrote it
		return v
	}
	return 0
}

func (i item) int(name string) int             { return int(i.num(name)) }
func (i item) millis(name string) clock.Millis { return clock.Millis(i.num(name)) }

func (i item) float(name string) float64 {
	if n, ok := i[name].(*types.AttributeValueMemberN); ok {
		v, _ := strconv.ParseFloat(n.Value, 64) // this package wrote it
		return v
	}
	return 0
}

func (i item) bool(name string) bool {
	b, ok := i[name].(*types.AttributeValueMemberBOOL)
	return ok && b.Value
}

func (i item) strs(name string) []string {
	out := []string{}
	switch v := i[name].(type) {
	case *types.AttributeValueMemberL:
		for _, e := range v.Value {
			if s, ok := e.(*types.AttributeValueMemberS); ok {
				out = append(out, s.Value)
			}
		}
	case *types.AttributeValueMemberSS:
		out = append(out, v.Value...)
	}
	return out
}

func (i item) sub(name string) item {
	if m, ok := i[name].(*types.AttributeValueMemberM); ok {
		return m.Value
	}
	return nil
}

// key is the primary key of an item.
type key struct{ pk, sk string }

func (k key) item() item { return item{attrPK: str(k.pk), attrSK: str(k.sk)} }

func keyOf(i item) key { return key{i.str(attrPK), i.str(attrSK)} }

// update is an update expression under construction. Names and values are
// numbered in the order they come, so that equal updates have equal texts.
type update struct {
	set, remove, add, del []string
	names                 map[string]string
	values                item
}

func newUpdate() *update {
	return &update{names: make(map[string]string, 14), values: make(item, 14)} // most steps have about ten
}

// name returns the placeholder of an attribute.
func (u *update) name(attr string) string {
	n := "#" + strconv.Itoa(len(u.names))
	u.names[n] = attr
	return n
}

// value returns the placeholder of a value.
func (u *update) value(v types.AttributeValue) string {
	p := ":" + strconv.Itoa(len(u.values))
	u.values[p] = v
	return p
}

func (u *update) setTo(attr string, v types.AttributeValue) {
	u.set = append(u.set, u.name(attr)+" = "+u.value(v))
}

func (u *update) removeAttr(attr string) { u.remove = append(u.remove, u.name(attr)) }

func (u *update) expression() string {
	var parts []string
	for _, c := range []struct {
		word  string
		terms []string
	}{{"SET ", u.set}, {"REMOVE ", u.remove}, {"ADD ", u.add}, {"DELETE ", u.del}} {
		if len(c.terms) > 0 {
			parts = append(parts, c.word+strings.Join(c.terms, ", "))
		}
	}
	return strings.Join(parts, " ")
}

// diff is the update that turns the item old into new, and touches nothing else:
// attributes that a newer version of this program added survive.
func diff(old, new item) *update {
	u := newUpdate()
	changed, removed := make([]string, 0, 16), make([]string, 0, 8)
	for name, v := range new {
		if !equal(old[name], v) {
			changed = append(changed, name)
		}
	}
	for name := range old {
		if _, kept := new[name]; !kept {
			removed = append(removed, name)
		}
	}
	sort.Strings(changed)
	sort.Strings(removed)
	for _, name := range changed {
		u.setTo(name, new[name])
	}
	for _, name := range removed {
		u.removeAttr(name)
	}
	return u
}

func sortedNames(i item) []string {
	names := make([]string, 0, len(i))
	for n := range i {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// equal compares scalars; other values count as changed only when they are new
// or their text differs.
func equal(a, b types.AttributeValue) bool {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		b, ok := b.(*types.AttributeValueMemberS)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberN:
		b, ok := b.(*types.AttributeValueMemberN)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberBOOL:
		b, ok := b.(*types.AttributeValueMemberBOOL)
		return ok && a.Value == b.Value
	case *types.AttributeValueMemberL:
		b, ok := b.(*types.AttributeValueMemberL)
		if !ok || len(a.Value) != len(b.Value) {
			return false
		}
		for i := range a.Value {
			if !equal(a.Value[i], b.Value[i]) {
				return false
			}
		}
		return true
	case *types.AttributeValueMemberM:
		b, ok := b.(*types.AttributeValueMemberM)
		if !ok || len(a.Value) != len(b.Value) {
			return false
		}
		for n := range a.Value {
			if !equal(a.Value[n], b.Value[n]) {
				return false
			}
		}
		return true
	default:
		return false
	}
}
