package expr

import (
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// check goes through the comparisons and functions from left to right; in each AWS reports undefined placeholders first,
// then the number of operands, then equal operands, then types.
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
	if err := n.checkCalls((*call).checkCount); err != nil {
		return err
	}
	if err := n.checkAllDistinct(a); err != nil {
		return err
	}
	return n.checkTypes(a)
}

// asCall gives a function that stands as a condition.
func (n *node) asCall() *call {
	if functions[n.operator].operands == 0 {
		return nil
	}
	return &call{name: n.operator, args: n.operands}
}

// checkCalls applies the test to every function of the comparison, inner ones first.
func (n *node) checkCalls(test func(*call) error) error {
	if err := checkOperandCalls(n.operands, test); err != nil {
		return err
	}
	if c := n.asCall(); c != nil {
		return test(c)
	}
	return nil
}

func checkOperandCalls(operands []operand, test func(*call) error) error {
	for _, o := range operands {
		if o.call == nil {
			continue
		}
		if err := checkOperandCalls(o.call.args, test); err != nil {
			return err
		}
		if err := test(o.call); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) checkAllDistinct(a Args) error {
	f, isFunction := functions[n.operator]
	if isFunction && !f.distinct {
		return nil
	}
	return checkDistinct(n.operator, n.operands, a)
}

func (n *node) checkTypes(a Args) error {
	if err := n.checkCalls(func(c *call) error { return c.checkConditionTypes(a) }); err != nil {
		return err
	}
	switch n.operator {
	case "<", "<=", ">", ">=":
		return checkScalars(n.operator, n.operands, a)
	case "BETWEEN":
		if err := checkScalars(n.operator, n.operands, a); err != nil {
			return err
		}
		return checkBounds(n.operands[1], n.operands[2], a)
	}
	return nil
}

// checkScalars demands types that have an order.
func checkScalars(operator string, operands []operand, a Args) error {
	for _, o := range operands {
		switch kind := o.kind(a); kind {
		case 0, value.S, value.N, value.B:
		default:
			return wrongType(operator, kind.String())
		}
	}
	return nil
}

func checkBounds(low, high operand, a Args) error {
	if low.value == "" || high.value == "" {
		return nil
	}
	l, h := a.Values[low.value], a.Values[high.value]
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

func (c *call) checkConditionTypes(a Args) error {
	if err := c.checkPath(); err != nil {
		return err
	}
	switch c.name {
	case "begins_with":
		for _, o := range c.args {
			if kind := o.kind(a); kind != 0 && kind != value.S && kind != value.B {
				return wrongType(c.name, kind.String())
			}
		}
	case "attribute_type":
		return checkTypeName(c.args[1], a)
	case "size":
		switch kind := c.args[0].kind(a); kind {
		case value.N, value.BOOL, value.NULL:
			return wrongType(c.name, kind.String())
		}
	}
	return nil
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
	name := a.Values[o.value].Text()
	if _, ok := value.KindOf(name); !ok {
		return flaw("Invalid attribute type name found; type: " + name + ", valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}")
	}
	return nil
}
