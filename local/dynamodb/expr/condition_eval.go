package expr

import (
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// evaluator holds a condition against one item.
type evaluator struct {
	item value.Item
	args Args
}

func (e evaluator) condition(n *node) bool {
	switch n.operator {
	case "AND":
		return e.condition(n.left) && e.condition(n.right)
	case "OR":
		return e.condition(n.left) || e.condition(n.right)
	case "NOT":
		return !e.condition(n.left)
	}
	if len(n.operands) < 2 {
		return e.existence(n)
	}
	first, second := e.operand(n.operands[0]), e.operand(n.operands[1])
	switch n.operator {
	case "=":
		return equal(first, second)
	case "<>":
		return !equal(first, second)
	case "BETWEEN":
		return compares(first, ">=", second) && compares(first, "<=", e.operand(n.operands[2]))
	case "IN":
		return slices.ContainsFunc(n.operands[1:], func(o operand) bool { return equal(first, e.operand(o)) })
	case "begins_with":
		return first.Kind() == second.Kind() && strings.HasPrefix(first.Text(), second.Text()) && isText(first)
	case "contains":
		return contains(first, second)
	case "attribute_type":
		return !first.IsZero() && first.Kind().String() == second.Text()
	}
	return compares(first, n.operator, second)
}

func (e evaluator) existence(n *node) bool {
	exists := !e.operand(n.operands[0]).IsZero()
	return exists == (n.operator == "attribute_exists")
}

// operand gives the operand's value, the zero Value if it has none.
func (e evaluator) operand(o operand) value.Value {
	switch {
	case o.value != "":
		return e.args.Values.Get(o.value)
	case o.call != nil:
		return sizeOf(e.operand(o.call.args[0]))
	}
	return o.path.find(e.item, e.args)
}

// equal is false when one of the two does not exist, even if neither does.
func equal(a, b value.Value) bool { return !a.IsZero() && value.Equal(a, b) }

func compares(a value.Value, operator string, b value.Value) bool {
	order, ok := value.Compare(a, b)
	if !ok {
		return false
	}
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

func isText(v value.Value) bool { return v.Kind() == value.S || v.Kind() == value.B }

// contains looks for a part of a text, a member of a set, or an element of a list.
func contains(whole, part value.Value) bool {
	switch whole.Kind() {
	case value.S, value.B:
		return part.Kind() == whole.Kind() && strings.Contains(whole.Text(), part.Text())
	case value.SS:
		return part.Kind() == value.S && slices.Contains(whole.Members(), part.Text())
	case value.NS:
		return part.Kind() == value.N && slices.Contains(whole.Members(), part.Text())
	case value.BS:
		return part.Kind() == value.B && slices.Contains(whole.Members(), part.Text())
	case value.L:
		return slices.ContainsFunc(whole.List(), func(v value.Value) bool { return equal(v, part) })
	}
	return false
}

// sizeOf is the function size: bytes of a B, elements of sets, lists and maps, and of an S its length in UTF-16, which is
// how the service's own language counts. Other types have no size.
func sizeOf(v value.Value) value.Value {
	n := 0
	switch v.Kind() {
	case value.S:
		for _, r := range v.Text() {
			n += utf16.RuneLen(r)
		}
	case value.B:
		n = len(v.Text())
	case value.SS, value.NS, value.BS:
		n = len(v.Members())
	case value.L:
		n = len(v.List())
	case value.M:
		n = len(v.Map())
	default:
		return value.Value{}
	}
	return value.Int(int64(n))
}
