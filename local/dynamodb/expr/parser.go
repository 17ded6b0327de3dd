package expr

import (
	"slices"
	"strconv"
)

// The limits of expressions.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters
const (
	maxSize      = 4096 // bytes
	maxOperators = 300  // operators and functions
	maxIn        = 100  // operands of IN
	maxSteps     = 32   // of a document path
	maxIndex     = 1<<31 - 1
)

// parser walks over the tokens of one expression. The first error stops it: every method does nothing and gives a zero
// value once err is set. What is wrong besides syntax is noted and read on over, since a syntax error further on takes
// precedence; of the flaws that which stands first in the source is reported.
type parser struct {
	src    string
	tokens []token
	at     int
	err    error

	flaw      error
	flawAt    int // the token that flaw is about
	operators int
	usage     Usage
	inUpdate  bool
}

func newParser(src string) *parser {
	p := &parser{src: src}
	switch {
	case src == "":
		p.err = flaw("The expression can not be empty;")
	case len(src) > maxSize:
		p.err = flaw("Expression size has exceeded the maximum allowed size; expression size: " + strconv.Itoa(len(src)))
	default:
		p.tokens = lex(src)
		return p
	}
	p.tokens = []token{{kind: tokEOF}}
	return p
}

func (p *parser) token() token { return p.tokens[p.at] }

// next steps over the current token and gives it.
func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

func (p *parser) accept(word string) bool {
	if p.err != nil || !p.token().is(word) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(word string) {
	if !p.accept(word) {
		p.fail()
	}
}

// fail reports a syntax error at the current token.
func (p *parser) fail() {
	if p.err == nil {
		p.stop(syntaxError(p.src, p.tokens, p.at))
	}
}

func (p *parser) note(at int, err error) {
	if p.flaw == nil || at < p.flawAt {
		p.flaw, p.flawAt = err, at
	}
}

// stop ends the reading with an error.
func (p *parser) stop(err error) {
	if p.err == nil {
		p.err = err
		p.at = len(p.tokens) - 1
	}
}

// finish expects the end of the source and gives the first error in AWS's order.
func (p *parser) finish() error {
	if p.err == nil && p.token().kind != tokEOF {
		p.fail()
	}
	if p.err != nil {
		return p.err
	}
	return p.flaw
}

func (p *parser) countOperator() {
	if p.operators++; p.operators > maxOperators {
		p.stop(tooManyOperators())
	}
}

func use(list *[]string, name string) {
	if !slices.Contains(*list, name) {
		*list = append(*list, name)
	}
}

// path reads a document path: name { .name | [index] }.
func (p *parser) path() path {
	var result path
	p.step(&result)
	for p.err == nil {
		switch {
		case p.accept("."):
			p.step(&result)
		case p.accept("["):
			p.index(&result)
			p.expect("]")
		default:
			if n := len(result.steps); n > maxSteps {
				p.note(len(p.tokens), flaw("The document path has too many nesting levels; nesting levels: "+strconv.Itoa(n)))
			}
			return result
		}
	}
	return result
}

func (p *parser) step(to *path) {
	t := p.token()
	switch t.kind {
	case tokName:
		if isReserved(t.word) {
			p.note(p.at, flaw("Attribute name is a reserved keyword; reserved keyword: "+t.word))
		}
	case tokNameRef:
		use(&p.usage.Names, t.word)
		to.refs = true
	case tokValue:
		if len(to.steps) == 0 {
			p.fail()
			return
		}
		to.refs = true
	default:
		p.fail()
		return
	}
	p.next()
	to.steps = append(to.steps, step{name: t.word, index: noIndex})
}

func (p *parser) index(to *path) {
	t := p.token()
	if p.err != nil || t.kind != tokInteger {
		p.fail()
		return
	}
	i, err := strconv.Atoi(t.word)
	if err != nil || i > maxIndex {
		p.note(p.at, flaw("List index is not within the allowable range; index: ["+t.word+"]"))
		i = maxIndex
	}
	p.next()
	to.steps = append(to.steps, step{index: i})
}

func (p *parser) valueRef() string {
	t := p.token()
	if p.err != nil || t.kind != tokValue {
		p.fail()
		return ""
	}
	p.next()
	use(&p.usage.Values, t.word)
	return t.word
}

// operand reads a path, a :value, a function call, or one of them in parentheses.
func (p *parser) operand() operand {
	o, _ := p.operandIn()
	return o
}

// operandIn tells besides whether the operand stood in parentheses.
func (p *parser) operandIn() (o operand, parentheses bool) {
	if !p.accept("(") {
		return p.bareOperand(), false
	}
	o, parentheses = p.operandIn()
	p.closeParentheses(parentheses)
	return o, true
}

// closeParentheses expects the end of a pair; again tells whether all that it holds is another pair.
func (p *parser) closeParentheses(again bool) {
	p.expect(")")
	if again {
		p.stop(flaw("The expression has redundant parentheses;"))
	}
}

func (p *parser) bareOperand() operand {
	t := p.token()
	switch {
	case p.err != nil:
		return operand{}
	case t.kind == tokValue:
		return operand{value: p.valueRef()}
	case t.kind == tokName && p.tokens[p.at+1].is("("):
		return operand{call: p.call()}
	}
	return operand{path: p.path()}
}

// call reads name(operand, …). Any name will do here; which it is, is told after the syntax.
func (p *parser) call() *call {
	c := &call{at: p.at, name: p.next().word}
	p.countOperator()
	p.checkName(c)
	p.expect("(")
	c.args = append(c.args, p.argument())
	for p.accept(",") {
		c.args = append(c.args, p.argument())
	}
	p.expect(")")
	return c
}

func (p *parser) checkName(c *call) {
	f, known := functions[c.name]
	switch {
	case !known:
		p.note(c.at, flaw("Invalid function name; function: "+c.name))
	case f.condition && p.inUpdate:
		p.note(c.at, flaw("The function is not allowed in an update expression; function: "+c.name))
	case !f.condition && !p.inUpdate:
		p.note(c.at, flaw("The function is not allowed in a condition expression; function: "+c.name))
	}
}

func (p *parser) argument() operand {
	o := p.operand()
	p.checkUse(o)
	return o
}

// checkUse refuses a function where its result is an operand: only size and if_not_exists may stand there.
func (p *parser) checkUse(operands ...operand) {
	for _, o := range operands {
		if o.call != nil && o.call.name != "size" && o.call.name != "if_not_exists" {
			p.misused(o.call)
		}
	}
}

func (p *parser) misused(c *call) {
	p.note(c.at, flaw("The function is not allowed to be used this way in an expression; function: "+c.name))
}
