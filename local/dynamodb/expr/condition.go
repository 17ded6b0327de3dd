package expr

import (
	"iter"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Condition is a parsed ConditionExpression or FilterExpression.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
type Condition struct {
	root  *node
	field Field
	usage Usage
}

// ParseCondition parses a condition or filter; field says which of the two it is and appears in errors.
func ParseCondition(src string, field Field) (*Condition, error) {
	p := newParser(src)
	root := parseConditionNode(p)
	if err := p.finish(); err != nil {
		return nil, field.refuse(err)
	}
	return &Condition{root: root, field: field, usage: p.usage}, nil
}

// Uses names the placeholders in c.
func (c *Condition) Uses() Usage { return c.usage }

// Check finds undefined placeholders, wrong numbers of operands, and operands whose type cannot be right for any item.
func (c *Condition) Check(a Args) error {
	return c.field.refuse(c.root.check(a))
}

// TopLevel gives the top-level attributes that c mentions; one may come twice.
func (c *Condition) TopLevel(a Args) iter.Seq[string] {
	var paths []path
	c.root.collect(&paths)
	return topLevels(paths, a)
}

func (n *node) collect(paths *[]path) {
	if n == nil {
		return
	}
	n.left.collect(paths)
	n.right.collect(paths)
	collectPaths(n.operands, paths)
}

func collectPaths(operands []operand, paths *[]path) {
	for _, o := range operands {
		if o.isPath() {
			*paths = append(*paths, o.path)
		}
		if o.call != nil {
			collectPaths(o.call.args, paths)
		}
	}
}

// Eval tells whether the item (nil: there is none) meets the condition. Attributes that the item lacks, or has with
// another type than the condition asks for, make comparisons false and are no error. Check must have passed with a.
func (c *Condition) Eval(item value.Item, a Args) (bool, error) {
	return evaluator{item: item, args: a}.condition(c.root), nil
}
