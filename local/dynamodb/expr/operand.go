package expr

import (
	"slices"
	"strconv"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// operand is what operators and functions work on: a document path, a :value or a function call.
type operand struct {
	path  path
	value string
	call  *call
}

type call struct {
	at   int // the token of its name
	name string
	args []operand
}

func (o operand) isPath() bool { return o.path.steps != nil }

// kind tells the data type as far as it is known without an item; 0 for paths and what depends on them.
func (o operand) kind(a Args) value.Kind {
	switch {
	case o.value != "":
		return a.Values.Get(o.value).Kind()
	case o.call != nil:
		return functions[o.call.name].result
	}
	return 0
}

// undefined finds the first placeholder in o without a definition.
func (o operand) undefined(a Args) error {
	switch {
	case o.value != "":
		if a.Values.Get(o.value).IsZero() {
			return flaw("An expression attribute value used in expression is not defined; attribute value: " + o.value)
		}
		return nil
	case o.call != nil:
		return firstUndefined(o.call.args, a)
	}
	return o.path.undefined(a)
}

func firstUndefined(operands []operand, a Args) error {
	for _, o := range operands {
		if err := o.undefined(a); err != nil {
			return err
		}
	}
	return nil
}

// checkDistinct refuses operators and functions whose first operand is the same path as another of theirs.
func checkDistinct(operator string, operands []operand, a Args) error {
	first := operands[0]
	if !first.isPath() {
		return nil
	}
	for _, o := range operands[1:] {
		if !o.isPath() || len(o.path.steps) != len(first.path.steps) {
			continue
		}
		steps := first.path.resolve(a)
		if relate(steps, o.path.resolve(a)) == overlapping {
			return flaw("The first operand must be distinct from the remaining operands for this operator or function; operator: " +
				operator + ", first operand: " + pathText(steps))
		}
	}
	return nil
}

func wrongType(operator, kind string) error {
	return flaw("Incorrect operand type for operator or function; operator or function: " + operator + ", operand type: " + kind)
}

// function says what is known of a function before any item is seen.
type function struct {
	operands  int
	condition bool       // stands in conditions; otherwise in updates
	result    value.Kind // 0: that of an argument
	path      bool       // its first operand must be a path
	distinct  bool       // its first operand must differ from the others
}

// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html#Expressions.OperatorsAndFunctions.Functions
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
var functions = map[string]function{
	"attribute_exists":     {operands: 1, condition: true, result: value.BOOL, path: true},
	"attribute_not_exists": {operands: 1, condition: true, result: value.BOOL, path: true},
	"attribute_type":       {operands: 2, condition: true, result: value.BOOL, distinct: true},
	"begins_with":          {operands: 2, condition: true, result: value.BOOL, distinct: true},
	"contains":             {operands: 2, condition: true, result: value.BOOL, distinct: true},
	"size":                 {operands: 1, condition: true, result: value.N},
	"if_not_exists":        {operands: 2, path: true, distinct: true},
	"list_append":          {operands: 2, result: value.L},
}

// checkCalls checks the function calls among the operands.
func checkCalls(operands []operand, a Args) error {
	for _, o := range operands {
		if o.call == nil {
			continue
		}
		if err := o.call.check(a); err != nil {
			return err
		}
	}
	return nil
}

// check finds what is wrong with a function and its operands, innermost first.
func (c *call) check(a Args) error {
	if err := checkCalls(c.args, a); err != nil {
		return err
	}
	f := functions[c.name]
	if n := len(c.args); n != f.operands {
		return flaw("Incorrect number of operands for operator or function; operator or function: " + c.name +
			", number of operands: " + strconv.Itoa(n))
	}
	if f.path && !c.args[0].isPath() {
		return flaw("Operator or function requires a document path; operator or function: " + c.name)
	}
	if f.distinct {
		if err := checkDistinct(c.name, c.args, a); err != nil {
			return err
		}
	}
	return c.checkTypes(a)
}

func (c *call) checkTypes(a Args) error {
	switch c.name {
	case "begins_with":
		return checkKinds(c.name, c.args, a, value.S, value.B)
	case "attribute_type":
		return checkTypeName(c.args[1], a)
	case "size":
		return checkKinds(c.name, c.args, a, value.S, value.B, value.L, value.M, value.SS, value.NS, value.BS)
	case "list_append":
		return checkKinds(c.name, c.args, a, value.L)
	}
	return nil
}

// checkKinds demands that operands whose type is known be of one of the types.
func checkKinds(operator string, operands []operand, a Args, want ...value.Kind) error {
	for _, o := range operands {
		if kind := o.kind(a); kind != 0 && !slices.Contains(want, kind) {
			return wrongType(operator, kind.String())
		}
	}
	return nil
}
