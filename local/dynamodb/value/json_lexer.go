package value

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errSyntax = malformed("The request body is not valid JSON")

// lexer walks over JSON text that is known to be valid UTF-8.
type lexer struct {
	src string
	pos int
}

// peek skips white space and gives the next byte, 0 at the end.
func (l *lexer) peek() byte {
	for l.pos < len(l.src) {
		switch c := l.src[l.pos]; c {
		case ' ', '\t', '\n', '\r':
			l.pos++
		default:
			return c
		}
	}
	return 0
}

func (l *lexer) atEnd() bool { return l.peek() == 0 && l.pos == len(l.src) }

func (l *lexer) accept(c byte) bool {
	if l.peek() != c || l.pos == len(l.src) {
		return false
	}
	l.pos++
	return true
}

func (l *lexer) literal(word string) error {
	if !strings.HasPrefix(l.src[l.pos:], word) {
		return errSyntax
	}
	l.pos += len(word)
	return nil
}

// null takes a null if there is one.
func (l *lexer) null() bool { return l.peek() == 'n' && l.literal("null") == nil }

// object reads an object; member is called before each value and must consume it.
func (l *lexer) object(member func(name string) error) error {
	if !l.accept('{') {
		return errSyntax
	}
	if l.accept('}') {
		return nil
	}
	for {
		if l.peek() != '"' {
			return errSyntax
		}
		name, err := l.text()
		if err != nil {
			return err
		}
		if !l.accept(':') {
			return errSyntax
		}
		if err := member(name); err != nil {
			return err
		}
		if l.accept('}') {
			return nil
		}
		if !l.accept(',') {
			return errSyntax
		}
	}
}

// array reads an array; element is called before each element and must consume it.
func (l *lexer) array(element func() error) error {
	if !l.accept('[') {
		return errSyntax
	}
	if l.accept(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if l.accept(']') {
			return nil
		}
		if !l.accept(',') {
			return errSyntax
		}
	}
}

// text reads a string that the next byte begins.
func (l *lexer) text() (string, error) {
	start := l.pos + 1
	for i := start; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '"':
			l.pos = i + 1
			return l.src[start:i], nil
		case c == '\\':
			return l.escapedText(start, i)
		case c < ' ':
			return "", errSyntax
		}
	}
	return "", errSyntax
}

// escapedText reads on from the first escape, which is at i.
func (l *lexer) escapedText(start, i int) (string, error) {
	buf := append(make([]byte, 0, 2*(i-start)+16), l.src[start:i]...)
	for i < len(l.src) {
		switch c := l.src[i]; {
		case c == '"':
			l.pos = i + 1
			return string(buf), nil
		case c < ' ':
			return "", errSyntax
		case c != '\\':
			buf = append(buf, c)
			i++
		default:
			var err error
			if buf, i, err = l.escape(buf, i+1); err != nil {
				return "", err
			}
		}
	}
	return "", errSyntax
}

// escape reads what follows a backslash at i and gives the place after it.
func (l *lexer) escape(buf []byte, i int) ([]byte, int, error) {
	if i >= len(l.src) {
		return nil, 0, errSyntax
	}
	switch c := l.src[i]; c {
	case '"', '\\', '/':
		return append(buf, c), i + 1, nil
	case 'b':
		return append(buf, '\b'), i + 1, nil
	case 'f':
		return append(buf, '\f'), i + 1, nil
	case 'n':
		return append(buf, '\n'), i + 1, nil
	case 'r':
		return append(buf, '\r'), i + 1, nil
	case 't':
		return append(buf, '\t'), i + 1, nil
	case 'u':
		return l.unicodeEscape(buf, i+1)
	}
	return nil, 0, errSyntax
}

func (l *lexer) unicodeEscape(buf []byte, i int) ([]byte, int, error) {
	r, err := l.hex4(i)
	if err != nil {
		return nil, 0, err
	}
	i += 4
	if utf16.IsSurrogate(r) {
		if !strings.HasPrefix(l.src[i:], `\u`) {
			return nil, 0, errSurrogate
		}
		low, err := l.hex4(i + 2)
		if err != nil {
			return nil, 0, err
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return nil, 0, errSurrogate
		}
		i += 6
	}
	return utf8.AppendRune(buf, r), i, nil
}

// errSurrogate refuses half a surrogate pair, which no UTF-8 can hold.
var errSurrogate = malformed("The request body holds an unpaired surrogate")

func (l *lexer) hex4(i int) (rune, error) {
	if i+4 > len(l.src) {
		return 0, errSyntax
	}
	n, err := strconv.ParseUint(l.src[i:i+4], 16, 16)
	if err != nil {
		return 0, errSyntax
	}
	return rune(n), nil
}

// tokenName names the scalar at hand as AWS's messages do.
func (l *lexer) tokenName() (string, error) {
	switch l.peek() {
	case 't':
		return "TRUE_VALUE", l.literal("true")
	case 'f':
		return "FALSE_VALUE", l.literal("false")
	case 'n':
		return "NULL_VALUE", l.literal("null")
	case '"':
		_, err := l.text()
		return "STRING_VALUE", err
	}
	number, err := l.number()
	if strings.ContainsAny(number, ".eE") {
		return "DECIMAL_VALUE", err
	}
	return "NUMBER_VALUE", err
}

// wrongToken refuses the scalar at hand with the text, or as bad JSON if it is none.
func (l *lexer) wrongToken(text string) error {
	if _, err := l.tokenName(); err != nil {
		return err
	}
	return malformed(text)
}

// number reads a JSON number: -?int frac? exp?.
func (l *lexer) number() (string, error) {
	start := l.pos
	l.oneOf("-")
	if !l.oneOf("0") && !l.digits() {
		return "", errSyntax
	}
	if l.oneOf(".") && !l.digits() {
		return "", errSyntax
	}
	if l.oneOf("eE") {
		l.oneOf("+-")
		if !l.digits() {
			return "", errSyntax
		}
	}
	return l.src[start:l.pos], nil
}

// oneOf takes the next byte if it is one of those, without skipping white space.
func (l *lexer) oneOf(bytes string) bool {
	if l.pos == len(l.src) || strings.IndexByte(bytes, l.src[l.pos]) < 0 {
		return false
	}
	l.pos++
	return true
}

func (l *lexer) digits() bool {
	start := l.pos
	for l.pos < len(l.src) && l.src[l.pos] >= '0' && l.src[l.pos] <= '9' {
		l.pos++
	}
	return l.pos > start
}

// maxSkipped bounds the nesting of what is passed over.
const maxSkipped = 64

// skip passes over one value of any kind.
func (l *lexer) skip() error { return l.skipNested(0) }

func (l *lexer) skipNested(depth int) error {
	if depth > maxSkipped {
		return Invalid(textNesting)
	}
	switch l.peek() {
	case '{':
		return l.object(func(string) error { return l.skipNested(depth + 1) })
	case '[':
		return l.array(func() error { return l.skipNested(depth + 1) })
	}
	_, err := l.tokenName()
	return err
}
