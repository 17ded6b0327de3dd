package expr

import "github.com/bloom-runtime/bloom/local/dynamodb/value"

// KeyCondition is a parsed KeyConditionExpression.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.KeyConditionExpressions.html
type KeyCondition struct{ condition *Condition }

// ParseKeyCondition parses a KeyConditionExpression. Its grammar is that of conditions: what a key condition may not hold
// is found by Resolve.
func ParseKeyCondition(src string) (*KeyCondition, error) {
	c, err := ParseCondition(src, KeyConditionExpression)
	if err != nil {
		return nil, err
	}
	return &KeyCondition{condition: c}, nil
}

// Uses names the placeholders in k.
func (k *KeyCondition) Uses() Usage { return k.condition.usage }

// Check is Condition.Check.
func (k *KeyCondition) Check(a Args) error { return k.condition.Check(a) }

// Op is the operator of a Range on the sort key.
type Op uint8

// The operators that a sort key can be held against.
const (
	All        Op = iota // no condition on the sort key
	Equal                // = Low
	Less                 // < Low
	LessEq               // <= Low
	Greater              // > Low
	GreaterEq            // >= Low
	Between              // Low to High, both included
	BeginsWith           // Low is a prefix (S or B)
)

// Range is what a key condition asks for: one partition and a range of its sort keys.
type Range struct {
	Hash      value.Value
	Op        Op
	Low, High value.Value
}

// Resolve holds k against a table or index with the given names of keys (rng "" when it has no sort key). It checks what
// Check does besides. The kinds of the values are not held against the schema: that is the caller's.
func (k *KeyCondition) Resolve(a Args, hash, rng string) (Range, error) {
	if err := k.Check(a); err != nil {
		return Range{}, err
	}
	r := keyResolver{args: a}
	if err := r.collect(k.condition.root); err != nil {
		return Range{}, err
	}
	return r.assign(hash, rng)
}

// keyTerm is one condition on one key, the key on its left.
type keyTerm struct {
	attribute string
	op        Op
	operands  []operand
}

type keyResolver struct {
	args  Args
	terms []keyTerm
}

var comparators = map[string]Op{
	"=": Equal, "<": Less, "<=": LessEq, ">": Greater, ">=": GreaterEq, "BETWEEN": Between, "begins_with": BeginsWith,
}

// mirrored are the comparators as they read from right to left.
var mirrored = map[Op]Op{Equal: Equal, Less: Greater, LessEq: GreaterEq, Greater: Less, GreaterEq: LessEq}

func (r *keyResolver) collect(n *node) error {
	if n.operator == "AND" {
		if err := r.collect(n.left); err != nil {
			return err
		}
		return r.collect(n.right)
	}
	op, ok := comparators[n.operator]
	if !ok {
		return value.Invalid("Invalid operator used in KeyConditionExpression: " + n.operator)
	}
	if (op == Between || op == BeginsWith) && n.operands[0].value != "" {
		return value.Invalid("Invalid condition in KeyConditionExpression: " + n.operator +
			" operator must have the key attribute as its first operand")
	}
	key, err := r.keyOperand(n.operands)
	if err != nil {
		return err
	}
	t := keyTerm{attribute: n.operands[key].path.top(r.args), op: op, operands: n.operands[1:]}
	if key > 0 {
		t.op, t.operands = mirrored[op], n.operands[:1]
	}
	return r.addTerm(t)
}

// keyOperand finds the one operand that is a path; all others must be values.
func (r *keyResolver) keyOperand(operands []operand) (int, error) {
	key := -1
	for i, o := range operands {
		switch {
		case o.call != nil:
			return 0, value.Invalid("KeyConditionExpressions cannot contain nested operations")
		case !o.isPath():
		case key >= 0:
			return 0, value.Invalid("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		case len(o.path.steps) > 1:
			return 0, value.Invalid("KeyConditionExpressions cannot have conditions on nested attributes")
		default:
			key = i
		}
	}
	if key < 0 {
		return 0, value.Invalid("Invalid condition in KeyConditionExpression: No key attribute specified")
	}
	return key, nil
}

func (r *keyResolver) addTerm(t keyTerm) error {
	for _, other := range r.terms {
		if other.attribute == t.attribute {
			return value.Invalid("KeyConditionExpressions must only contain one condition per key")
		}
	}
	r.terms = append(r.terms, t)
	return nil
}

func (r *keyResolver) term(attribute string) (keyTerm, bool) {
	for _, t := range r.terms {
		if t.attribute == attribute {
			return t, true
		}
	}
	return keyTerm{}, false
}

// assign tells which condition is on which key.
func (r *keyResolver) assign(hash, rng string) (Range, error) {
	if len(r.terms) > 2 {
		return Range{}, value.Invalid("Conditions can be of length 1 or 2 only")
	}
	partition, ok := r.term(hash)
	if !ok {
		return Range{}, value.Invalid("Query condition missed key schema element: " + hash)
	}
	if partition.op != Equal {
		return Range{}, value.Invalid("Query key condition not supported")
	}
	result := Range{Hash: r.value(partition.operands[0])}
	if len(r.terms) == 1 {
		return result, nil
	}
	sort, ok := r.term(rng)
	switch {
	case rng == "":
		return Range{}, value.Invalid("Query key condition not supported")
	case !ok:
		return Range{}, value.Invalid("Query condition missed key schema element: " + rng)
	}
	result.Op, result.Low = sort.op, r.value(sort.operands[0])
	if sort.op == Between {
		result.High = r.value(sort.operands[1])
	}
	return result, nil
}

func (r *keyResolver) value(o operand) value.Value { return r.args.Values.Get(o.value) }
