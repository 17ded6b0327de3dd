// Package wire reads the JSON of a request one member at a time, without
// building a tree: items inside it are handed on as the text they came in.
package wire

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// maxDepth bounds the nesting of brackets. An item may nest 32 levels of two
// brackets each, inside of a handful of the request's own.
const maxDepth = 256

// Decoder walks over one JSON text. Errors are SerializationExceptions. It must
// not be copied and is used by one goroutine.
type Decoder struct {
	src string
	pos int
}

// New returns a decoder of src. The strings that it reads share src's memory.
func New(src string) *Decoder { return &Decoder{src: src} }

func (d *Decoder) bad(what string) error {
	return &value.Error{Code: value.CodeSerialization, Message: what + " at byte " + strconv.Itoa(d.pos)}
}

func (d *Decoder) space() {
	for d.pos < len(d.src) {
		switch d.src[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is not white space, or 0 at the end.
func (d *Decoder) peek() byte {
	d.space()
	if d.pos < len(d.src) {
		return d.src[d.pos]
	}
	return 0
}

func (d *Decoder) take(c byte) bool {
	if d.peek() != c {
		return false
	}
	d.pos++
	return true
}

// Document reads one object that is the whole text.
func (d *Decoder) Document(member func(name string) error) error {
	if d.peek() == 'n' {
		return d.bad("Expected an object")
	}
	if err := d.Object(member); err != nil {
		return err
	}
	if d.peek() != 0 || d.pos < len(d.src) {
		return d.bad("Unexpected text after the end")
	}
	return nil
}

// Object calls member for each member of the next value, which must be an
// object or null; member must read the member's value.
func (d *Decoder) Object(member func(name string) error) error {
	if d.null() {
		return nil
	}
	if !d.take('{') {
		return d.bad("Expected an object")
	}
	if d.take('}') {
		return nil
	}
	for {
		name, err := d.name()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
		if d.take('}') {
			return nil
		}
		if !d.take(',') {
			return d.bad("Expected , or }")
		}
	}
}

func (d *Decoder) name() (string, error) {
	name, err := d.text()
	if err != nil {
		return "", err
	}
	if !d.take(':') {
		return "", d.bad("Expected :")
	}
	return name, nil
}

// Array calls element for each element of the next value, which must be an
// array or null; element must read it.
func (d *Decoder) Array(element func() error) error {
	if d.null() {
		return nil
	}
	if !d.take('[') {
		return d.bad("Expected an array")
	}
	if d.take(']') {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if d.take(']') {
			return nil
		}
		if !d.take(',') {
			return d.bad("Expected , or ]")
		}
	}
}

// null skips a null and tells whether there was one.
func (d *Decoder) null() bool {
	return d.peek() == 'n' && d.word("null")
}

func (d *Decoder) word(w string) bool {
	if !strings.HasPrefix(d.src[d.pos:], w) {
		return false
	}
	d.pos += len(w)
	return true
}

// String reads a string into s; a null leaves s as it is.
func (d *Decoder) String(s *string) error {
	if d.null() {
		return nil
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	*s = text
	return nil
}

// Text is a string that may be missing.
type Text struct {
	S     string
	Given bool
}

// Pointer is the string's address, nil if it is missing.
func (t *Text) Pointer() *string {
	if !t.Given {
		return nil
	}
	return &t.S
}

// Text reads a string that may be missing; a null leaves t as it is.
func (d *Decoder) Text(t *Text) (err error) {
	if d.null() {
		return nil
	}
	t.S, err = d.text()
	t.Given = err == nil
	return err
}

// Bool reads true or false into b; a null leaves it.
func (d *Decoder) Bool(b *bool) error {
	switch d.peek() {
	case 't':
		if d.word("true") {
			*b = true
			return nil
		}
	case 'f':
		if d.word("false") {
			*b = false
			return nil
		}
	case 'n':
		if d.word("null") {
			return nil
		}
	}
	return d.bad("Expected true or false")
}

// Int reads an integer; a null leaves n nil.
func (d *Decoder) Int(n **int64) error {
	if d.null() {
		return nil
	}
	raw, err := d.Raw()
	if err != nil {
		return err
	}
	i, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return d.bad("Expected an integer")
	}
	*n = &i
	return nil
}

// Strings reads an array of strings.
func (d *Decoder) Strings(list *[]string) error {
	return d.Array(func() error {
		s, err := d.text()
		if err != nil {
			return err
		}
		*list = append(*list, s)
		return nil
	})
}

// StringMap reads an object whose values are strings, as an item of them; a null
// leaves m nil.
func (d *Decoder) StringMap(m *value.Item) error {
	if d.null() {
		return nil
	}
	fields := make([]value.Field, 0, 32) // on the stack; the item gets its size
	err := d.Object(func(name string) error {
		s, err := d.text()
		fields = append(fields, value.Field{Name: name, Value: value.String(s)})
		return err
	})
	*m = slices.Clone(value.NewItem(fields))
	return err
}

// Raw returns the JSON of the next value; "" for null.
func (d *Decoder) Raw() (string, error) {
	d.space()
	start := d.pos
	if err := d.Skip(); err != nil {
		return "", err
	}
	raw := d.src[start:d.pos]
	if raw == "null" {
		return "", nil
	}
	return raw, nil
}

// RawInto is Raw into a variable.
func (d *Decoder) RawInto(raw *string) (err error) {
	*raw, err = d.Raw()
	return err
}

// Skip reads over the next value. It holds brackets and strings against each
// other; who decodes the bytes checks the rest.
func (d *Decoder) Skip() error {
	depth := 0
	for {
		switch c := d.peek(); c {
		case '{', '[':
			if depth++; depth > maxDepth {
				return d.bad("Nested too deeply")
			}
			d.pos++
		case '}', ']':
			if depth--; depth < 0 {
				return d.bad("Unexpected bracket")
			}
			d.pos++
		case '"':
			if err := d.skipString(); err != nil {
				return err
			}
		case ',', ':':
			if depth == 0 {
				return d.bad("Expected a value")
			}
			d.pos++
		case 0:
			return d.bad("Unexpected end")
		default:
			if !d.skipScalar() {
				return d.bad("Unexpected character")
			}
		}
		if depth == 0 {
			return nil
		}
	}
}

func (d *Decoder) skipScalar() bool {
	start := d.pos
	for d.pos < len(d.src) {
		c := d.src[d.pos]
		if c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != 'E' {
			break
		}
		d.pos++
	}
	return d.pos > start
}

func (d *Decoder) skipString() error {
	d.pos++
	for d.pos < len(d.src) {
		switch d.src[d.pos] {
		case '"':
			d.pos++
			return nil
		case '\\':
			d.pos++
		}
		d.pos++
	}
	d.pos = min(d.pos, len(d.src))
	return d.bad("Unexpected end of a string")
}

// text reads a string.
func (d *Decoder) text() (string, error) {
	if d.peek() != '"' {
		return "", d.bad("Expected a string")
	}
	start := d.pos + 1
	escaped, ascii := false, true
	for i := start; i < len(d.src); i++ {
		switch c := d.src[i]; {
		case c == '"':
			d.pos = i + 1
			return d.inside(d.src[start:i], escaped, ascii)
		case c < ' ':
			return "", d.bad("Control character in a string")
		case c == '\\':
			escaped = true
			i++
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return "", d.bad("Unexpected end of a string")
}

// inside returns what stands between a string's quotes.
func (d *Decoder) inside(raw string, escaped, ascii bool) (string, error) {
	if escaped {
		return d.unescape(raw)
	}
	if !ascii && !utf8.ValidString(raw) {
		return "", d.bad("Broken UTF-8 in a string")
	}
	return raw, nil
}
