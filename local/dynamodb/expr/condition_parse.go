package expr

import "strconv"

// node is a node of a condition: AND, OR and NOT have children, the others operands.
type node struct {
	operator    string // AND OR NOT = <> < <= > >= BETWEEN IN, or the name of a function
	left, right *node  // of AND and OR; NOT has left only
	operands    []operand
}

// term is what a part of the source may turn out to be: a condition, an operand that waits for its operator, or a function,
// which may be either.
type term struct {
	condition   *node
	operand     operand
	parentheses bool // the term stood in parentheses and nothing else did
}

// parseConditionNode reads a whole condition:
//
//	or      = and { OR and }
//	and     = not { AND not }
//	not     = NOT not | primary
//	primary = "(" or ")" | operand [ comparator operand | BETWEEN operand AND operand | IN "(" operand { "," operand } ")" ]
func parseConditionNode(p *parser) *node {
	return p.condition(p.or())
}

// condition demands that the term be a condition.
func (p *parser) condition(t term) *node {
	switch {
	case p.err != nil:
		return nil
	case t.condition != nil:
		return t.condition
	case t.operand.call == nil:
		p.fail()
		return nil
	}
	c := t.operand.call
	if c.name == "size" {
		p.misused(c)
	}
	return &node{operator: c.name, operands: c.args}
}

func (p *parser) or() term {
	t := p.and()
	for p.err == nil && p.token().is("OR") {
		left := p.condition(t)
		p.next()
		p.countOperator()
		t = term{condition: &node{operator: "OR", left: left, right: p.condition(p.and())}}
	}
	return t
}

func (p *parser) and() term {
	t := p.not()
	for p.err == nil && p.token().is("AND") {
		left := p.condition(t)
		p.next()
		p.countOperator()
		t = term{condition: &node{operator: "AND", left: left, right: p.condition(p.not())}}
	}
	return t
}

func (p *parser) not() term {
	if !p.accept("NOT") {
		return p.primary()
	}
	p.countOperator()
	return term{condition: &node{operator: "NOT", left: p.condition(p.not())}}
}

func (p *parser) primary() term {
	var t term
	if p.accept("(") {
		t = p.or()
		p.closeParentheses(t.parentheses)
		t.parentheses = true
	} else {
		t.operand = p.bareOperand()
	}
	if t.condition != nil || p.err != nil {
		return t
	}
	return p.comparison(t)
}

func (p *parser) comparison(t term) term {
	operator := p.token()
	switch operator.word {
	case "=", "<>", "<", "<=", ">", ">=", "BETWEEN", "IN":
	default:
		return t
	}
	p.next()
	p.countOperator()
	operands := []operand{t.operand}
	switch operator.word {
	case "BETWEEN":
		operands = append(operands, p.operand())
		p.expect("AND")
		operands = append(operands, p.operand())
	case "IN":
		operands = append(operands, p.inList()...)
	default:
		operands = append(operands, p.operand())
	}
	p.checkUse(operands...)
	return term{condition: &node{operator: operator.word, operands: operands}}
}

func (p *parser) inList() []operand {
	p.expect("(")
	list := []operand{p.operand()}
	for p.accept(",") {
		list = append(list, p.operand())
	}
	p.expect(")")
	if n := len(list); n > maxIn {
		p.stop(flaw("The IN operator is provided with too many operands; number of operands: " + strconv.Itoa(n)))
	}
	return list
}
