package expr

import (
	"strconv"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// flaw is what is wrong with an expression; in names the parameter that it came in and makes it an error for a client.
type flaw string

func (f flaw) Error() string { return string(f) }

func (f Field) refuse(err error) error {
	if err == nil {
		return nil
	}
	return value.Invalid("Invalid " + string(f) + ": " + err.Error())
}

// What AWS says of an expression that is sound but does not fit the item. It does not name the parameter.
var (
	errNoAttribute = value.Invalid("The provided expression refers to an attribute that does not exist in the item")
	errOperandType = value.Invalid("An operand in the update expression has an incorrect data type")
	errUpdatePath  = value.Invalid("The document path provided in the update expression is invalid for update")
	errNesting     = value.Invalid("Nesting Levels have exceeded supported limits")
)

func syntaxError(src string, tokens []token, at int) error {
	from, to := tokens[at].start, tokens[at].end
	if at > 0 {
		from = tokens[at-1].start
	}
	if at+1 < len(tokens) {
		to = tokens[at+1].end
	}
	text := src[tokens[at].start:tokens[at].end]
	if tokens[at].kind == tokEOF {
		text = "<EOF>"
		if at == 0 {
			from = 0
		}
	}
	return flaw("Syntax error; token: \"" + text + "\", near: \"" + src[from:to] + "\"")
}

func tooManyOperators() error {
	return flaw("The expression contains too many operators; operator count: " + strconv.Itoa(maxOperators+1))
}
