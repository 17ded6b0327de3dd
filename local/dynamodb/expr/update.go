package expr

import (
	"iter"
	"slices"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Update is a parsed UpdateExpression.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
type Update struct {
	actions []action
	paths   []path // of the actions
	usage   Usage
}

type verb uint8

const (
	set verb = iota
	remove
	add
	del
)

var verbNames = [...]string{set: "SET", remove: "REMOVE", add: "ADD", del: "DELETE"}

// action is one change: SET path = source, REMOVE path, ADD path :value, DELETE path :value.
type action struct {
	verb   verb
	path   path
	source source // of SET
	value  string // of ADD and DELETE
}

// source is the right-hand side of a SET: an operand, or two with + or - between them.
type source struct {
	operator string // "", "+" or "-"
	operands []operand
}

// ParseUpdate parses an UpdateExpression:
//
//	update = { SET path "=" source { "," … } | REMOVE path { "," … } | ADD path :value { "," … } | DELETE path :value { "," … } }
//
// with each section at most once, in any order.
func ParseUpdate(src string) (*Update, error) {
	p := newParser(src)
	p.inUpdate = true
	u := &Update{}
	p.sections(u)
	if err := p.finish(); err != nil {
		return nil, UpdateExpression.refuse(err)
	}
	u.usage = p.usage
	for _, act := range u.actions {
		u.paths = append(u.paths, act.path)
	}
	return u, nil
}

func (p *parser) sections(u *Update) {
	var seen [len(verbNames)]bool
	for first := true; p.err == nil && (first || p.token().kind != tokEOF); first = false {
		v, ok := p.verb()
		if !ok {
			p.fail()
			return
		}
		if seen[v] {
			p.note(p.at, flaw("The \""+verbNames[v]+"\" section can only be used once in an update expression;"))
		}
		seen[v] = true
		u.actions = append(u.actions, p.action(v))
		for p.accept(",") {
			u.actions = append(u.actions, p.action(v))
		}
	}
}

func (p *parser) verb() (verb, bool) {
	for v, name := range verbNames {
		if p.accept(name) {
			return verb(v), true
		}
	}
	return 0, false
}

func (p *parser) action(v verb) action {
	act := action{verb: v, path: p.path()}
	switch v {
	case set:
		p.expect("=")
		act.source = p.source()
	case add, del:
		act.value = p.valueRef()
	}
	return act
}

// source reads operand [ (+|-) operand ], which may stand in parentheses.
func (p *parser) source() source {
	s, _ := p.sourceIn()
	return s
}

func (p *parser) sourceIn() (s source, parentheses bool) {
	if p.accept("(") {
		s, parentheses = p.sourceIn()
		p.closeParentheses(parentheses)
		if s.operator != "" {
			return s, true
		}
		parentheses = true
	} else {
		s = source{operands: []operand{p.bareOperand()}}
	}
	if sign := p.token(); p.err == nil && (sign.is("+") || sign.is("-")) {
		p.next()
		p.countOperator()
		s = source{operator: sign.word, operands: append(s.operands, p.operand())}
		p.checkUse(s.operands...)
		return s, false
	}
	return s, parentheses
}

// Uses names the placeholders in u.
func (u *Update) Uses() Usage { return u.usage }

// TopLevel gives the top-level attributes that u writes; one may come twice.
func (u *Update) TopLevel(a Args) iter.Seq[string] { return topLevels(u.paths, a) }

// OnlyRemoves tells whether u writes nothing: it does not make an item that is not there.
func (u *Update) OnlyRemoves() bool {
	return !slices.ContainsFunc(u.actions, func(a action) bool { return a.verb == set || a.verb == add })
}

// Touched gives those parts of an item that u writes, for UPDATED_OLD (of the old item) and UPDATED_NEW (of the new);
// it is empty when the item has none of them, and never nil.
func (u *Update) Touched(item value.Item, a Args) value.Item { return project(item, u.paths, a) }

// Check finds undefined placeholders, paths that overlap, wrong numbers of operands, and operands whose type cannot be
// right for any item. Of several actions that are wrong AWS names the last.
func (u *Update) Check(a Args) error {
	return UpdateExpression.refuse(u.check(a))
}

func (u *Update) check(a Args) error {
	if err := checkPaths(u.paths, a); err != nil {
		return err
	}
	for _, act := range slices.Backward(u.actions) {
		if err := act.check(a); err != nil {
			return err
		}
	}
	return nil
}

// typeWords are the names of types in the messages of ADD and DELETE.
var typeWords = map[value.Kind]string{
	value.S: "STRING", value.N: "NUMBER", value.B: "BINARY", value.BOOL: "BOOLEAN", value.NULL: "NULL", value.L: "LIST", value.M: "MAP",
}

func (act action) check(a Args) error {
	switch act.verb {
	case set:
		return act.source.check(a)
	case add:
		return act.checkValue(a, value.N, value.SS, value.NS, value.BS)
	case del:
		return act.checkValue(a, value.SS, value.NS, value.BS)
	}
	return nil
}

func (act action) checkValue(a Args, want ...value.Kind) error {
	o := operand{value: act.value}
	if err := o.undefined(a); err != nil {
		return err
	}
	kind := o.kind(a)
	if slices.Contains(want, kind) {
		return nil
	}
	name := verbNames[act.verb]
	return flaw("Incorrect operand type for operator or function; operator: " + name + ", operand type: " + typeWords[kind] +
		", typeSet: ALLOWED_FOR_" + name + "_OPERAND")
}

func (s source) check(a Args) error {
	if err := firstUndefined(s.operands, a); err != nil {
		return err
	}
	if err := checkCalls(s.operands, a); err != nil || s.operator == "" {
		return err
	}
	return checkKinds(s.operator, s.operands, a, value.N)
}
