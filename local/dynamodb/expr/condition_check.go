package expr

import (
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// check goes through the comparisons and functions from left to right. In each, AWS reports undefined placeholders first,
// then what is wrong with inner functions, then with the outer operator.
func (n *node) check(a Args) error {
	switch n.operator {
	case "AND", "OR":
		if err := n.left.check(a); err != nil {
			return err
		}
		return n.right.check(a)
	case "NOT":
		return n.left.check(a)
	}
	if err := firstUndefined(n.operands, a); err != nil {
		return err
	}
	if _, isFunction := functions[n.operator]; isFunction {
		return (&call{name: n.operator, args: n.operands}).check(a)
	}
	if err := checkCalls(n.operands, a); err != nil {
		return err
	}
	return n.checkOperator(a)
}

func (n *node) checkOperator(a Args) error {
	switch n.operator {
	case "<", "<=", ">", ">=", "BETWEEN":
		if err := checkKinds(n.operator, n.operands, a, value.S, value.N, value.B); err != nil {
			return err
		}
	}
	if err := checkDistinct(n.operator, n.operands, a); err != nil {
		return err
	}
	if n.operator == "BETWEEN" {
		return checkBounds(n.operands[1], n.operands[2], a)
	}
	return nil
}

func checkBounds(low, high operand, a Args) error {
	if low.value == "" || high.value == "" {
		return nil
	}
	l, h := a.Values.Get(low.value), a.Values.Get(high.value)
	order, ok := value.Compare(l, h)
	switch {
	case !ok:
		return flaw("The BETWEEN operator requires same data type for lower and upper bounds; " + boundsText(l, h))
	case order > 0:
		return flaw("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; " + boundsText(l, h))
	}
	return nil
}

func boundsText(low, high value.Value) string {
	return "lower bound operand: AttributeValue: " + valueText(low) + ", upper bound operand: AttributeValue: " + valueText(high)
}

// valueText writes a scalar as AWS's messages do: {S:text}. Bytes are shown in Base64, as the client sent them.
func valueText(v value.Value) string {
	text := v.Text()
	if v.Kind() == value.B {
		json := string(value.AppendValue(nil, v))
		text = strings.TrimSuffix(strings.TrimPrefix(json, `{"B":"`), `"}`)
	}
	return "{" + v.Kind().String() + ":" + text + "}"
}

// checkTypeName demands a :value that holds the name of a type.
func checkTypeName(o operand, a Args) error {
	kind := o.kind(a)
	if kind == 0 {
		return wrongType("attribute_type", "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")
	}
	if kind != value.S {
		return wrongType("attribute_type", kind.String())
	}
	name := a.Values.Get(o.value).Text()
	if _, ok := value.KindOf(name); !ok {
		return flaw("Invalid attribute type name found; type: " + name + ", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}")
	}
	return nil
}
