package value

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	textNesting   = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
	textNoType    = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
	textManyTypes = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
	textStructure = "Start of structure or map found where not expected"
	textField     = "Unexpected field type"
	classValue    = "com.amazonaws.dynamodb.v20120810.AttributeValue"
)

// ParseItem decodes an item from DynamoDB's JSON (`{"name":{"S":"x"},…}`); JSON null gives nil. The result shares memory
// with json. The errors are *Error: a SerializationException when the JSON has the wrong shape, a ValidationException when
// a value breaks a rule; as at AWS the former wins when both apply.
func ParseItem(json string) (Item, error) {
	d, err := newDecoder(json)
	if err != nil {
		return nil, err
	}
	var it Item
	if !d.null() {
		it, err = d.item(1)
	}
	return it, d.finish(err)
}

// ParseValue decodes one value from DynamoDB's JSON (`{"S":"x"}`), sharing and with the errors of ParseItem.
func ParseValue(json string) (Value, error) {
	d, err := newDecoder(json)
	if err != nil {
		return Value{}, err
	}
	v, err := d.value(1)
	return v, d.finish(err)
}

// ParseEach decodes an object of values like ParseItem, but keeps for each value which rule it breaks: faults are by name,
// nil when there is none. JSON null gives nil. The error is a SerializationException.
func ParseEach(json string) (values Item, faults map[string]*Error, err error) {
	d, err := newDecoder(json)
	if err != nil {
		return nil, nil, err
	}
	if d.null() {
		return nil, nil, d.finish(nil)
	}
	if err := d.expectMap(); err != nil {
		return nil, nil, err
	}
	begin := len(d.open)
	err = d.object(func(name string) error {
		v, err := d.value(1)
		d.open = append(d.open, Field{name, v})
		switch {
		case d.invalid != nil && faults == nil:
			faults = map[string]*Error{name: d.invalid}
		case d.invalid != nil:
			faults[name] = d.invalid
		default:
			delete(faults, name) // of a name that comes twice the last value counts
		}
		d.invalid = nil
		return err
	})
	return d.close(begin), faults, d.finish(err)
}

// decoder reads values; strings without escapes are slices of src. The first broken rule is kept in invalid while the
// rest is still read, because a wrong shape further on takes precedence.
type decoder struct {
	lexer
	invalid *Error
	open    []Field // those of the maps that are being read, the innermost last
	room    *[32]Field
}

// rooms are for the fields of most items and of the maps within them, while they are read.
var rooms = sync.Pool{New: func() any { return new([32]Field) }}

func newDecoder(json string) (decoder, error) {
	if !utf8.ValidString(json) {
		return decoder{}, malformed("The request body is not valid UTF-8")
	}
	room, _ := rooms.Get().(*[32]Field)
	return decoder{lexer: lexer{src: json}, room: room, open: room[:0]}, nil
}

// finish ends the reading: d is not used again.
func (d *decoder) finish(err error) error {
	clear(d.room[:])
	rooms.Put(d.room)
	if err == nil && !d.atEnd() {
		err = errSyntax
	}
	if err == nil && d.invalid != nil {
		err = d.invalid
	}
	return err
}

func (d *decoder) refuse(err *Error) {
	if d.invalid == nil {
		d.invalid = err
	}
}

// item reads an object of values that stand at the given level.
func (d *decoder) item(level int) (Item, error) {
	if err := d.expectMap(); err != nil {
		return nil, err
	}
	begin := len(d.open)
	err := d.object(func(name string) error {
		if flaw := NameFlaw(name); flaw != "" {
			d.refuse(Invalid(flaw))
		}
		v, err := d.value(level)
		d.open = append(d.open, Field{name, v})
		return err
	})
	return d.close(begin), err
}

// close makes an item of the fields from begin on.
func (d *decoder) close(begin int) Item {
	it := slices.Clone(NewItem(d.open[begin:]))
	d.open = d.open[:begin]
	return it
}

// maxName is how many bytes an attribute's name may have.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
const maxName = 65535

// NameFlaw says what is wrong with the name of an attribute, "" for nothing.
func NameFlaw(name string) string {
	switch {
	case name == "":
		return "Empty attribute name"
	case len(name) > maxName:
		return "Attribute name is too large, must be less than 65536 bytes"
	}
	return ""
}

func (d *decoder) expectMap() error {
	switch d.peek() {
	case '{':
		return nil
	case '[':
		return malformed("Unrecognized collection type java.util.Map<java.lang.String, " + classValue + ">")
	}
	return d.wrongToken(textField)
}

// value reads an object with one type key. Keys that are not a type and keys with null are passed over, as AWS does.
func (d *decoder) value(level int) (Value, error) {
	if level > MaxLevels {
		d.refuse(Invalid(textNesting))
		return Value{}, d.skip()
	}
	switch {
	case d.null():
		d.refuse(Invalid(textNoType))
		return Value{}, nil
	case d.peek() == '[':
		return Value{}, malformed("Unrecognized collection type class " + classValue)
	case d.peek() != '{':
		return Value{}, d.wrongToken("Unexpected value type in payload")
	}
	var v Value
	types := 0
	err := d.object(func(name string) error {
		kind, ok := KindOf(name)
		if !ok {
			return d.skip()
		}
		if d.null() {
			return nil
		}
		types++
		var err error
		v, err = d.typed(kind, level)
		return err
	})
	switch types {
	case 0:
		d.refuse(Invalid(textNoType))
	case 1:
	default:
		d.refuse(Invalid(textManyTypes))
	}
	return v, err
}

func (d *decoder) typed(kind Kind, level int) (Value, error) {
	switch kind {
	case S, N, B:
		text, err := d.scalar(kind)
		return Value{kind: kind, text: text}, err
	case BOOL:
		truth, err := d.boolean()
		return Bool(truth), err
	case NULL:
		truth, err := d.boolean()
		if err == nil && !truth {
			d.refuse(invalidParameter("Null attribute value types must have the value of true"))
		}
		return Null(), err
	case L:
		list, err := d.list(level + 1)
		return List(list), err
	case M:
		fields, err := d.item(level + 1)
		return Map(fields), err
	}
	return d.set(kind)
}

func (d *decoder) boolean() (bool, error) {
	switch d.peek() {
	case 't':
		return true, d.literal("true")
	case 'f':
		return false, d.literal("false")
	case '[':
		return false, malformed("Unrecognized collection type class java.lang.Boolean")
	case '{':
		return false, malformed(textStructure)
	case '"':
		return false, malformed("Unexpected token received from parser")
	}
	token, err := d.tokenName()
	if err != nil {
		return false, err
	}
	return false, malformed(token + " cannot be converted to Boolean")
}

func (d *decoder) list(level int) ([]Value, error) {
	if err := d.expectArray(); err != nil {
		return nil, err
	}
	elements := []Value{}
	err := d.array(func() error {
		v, err := d.value(level)
		elements = append(elements, v)
		return err
	})
	return elements, err
}

func (d *decoder) expectArray() error {
	switch d.peek() {
	case '[':
		return nil
	case '{':
		return malformed(textStructure)
	}
	return d.wrongToken(textField)
}

// scalar reads the string of an S, N or B, or of a member of their sets.
func (d *decoder) scalar(kind Kind) (string, error) {
	switch c := d.peek(); {
	case c == '"':
	case c == '{':
		return "", malformed(textStructure)
	case c == '[' && kind == B:
		return "", malformed("Unrecognized collection type class java.nio.ByteBuffer")
	case c == '[':
		return "", malformed("Unrecognized collection type class java.lang.String")
	case kind == B:
		return "", d.wrongToken("only base-64-encoded strings are convertible to bytes")
	default:
		token, err := d.tokenName()
		if err != nil {
			return "", err
		}
		return "", malformed(token + " cannot be converted to String")
	}
	text, err := d.text()
	if err != nil {
		return "", err
	}
	switch kind {
	case N:
		n, err := parseNumber(text)
		if err != nil {
			d.refuse(err)
		}
		return n.String(), nil
	case B:
		return decodeBase64(text)
	}
	return text, nil
}

func decodeBase64(text string) (string, error) {
	if len(text)%4 != 0 {
		return "", malformed("Base64 encoded length is expected a multiple of 4 bytes but found: " + IntNumber(int64(len(text))).String())
	}
	// Go's decoder passes over line breaks; DynamoDB does not.
	if strings.ContainsAny(text, "\r\n") {
		return "", malformed("Invalid Base64 character detected")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", malformed("Invalid Base64 character detected")
	}
	if base64.StdEncoding.EncodeToString(raw) != text {
		return "", malformed("Invalid last non-pad Base64 character dectected")
	}
	return string(raw), nil
}

// memberKinds says which scalars a set holds.
var memberKinds = map[Kind]Kind{SS: S, NS: N, BS: B}

func (d *decoder) set(kind Kind) (Value, error) {
	if err := d.expectArray(); err != nil {
		return Value{}, err
	}
	var members []string
	err := d.array(func() error {
		member, err := d.scalar(memberKinds[kind])
		members = append(members, member)
		return err
	})
	if err != nil {
		return Value{}, err
	}
	if len(members) == 0 {
		d.refuse(emptySet(kind))
		return Value{}, nil
	}
	v := Set(kind, slices.Clone(members))
	if len(v.Members()) < len(members) {
		d.refuse(duplicates(kind, members))
	}
	return v, nil
}

func emptySet(kind Kind) *Error {
	switch kind {
	case SS:
		return invalidParameter("An string set  may not be empty")
	case NS:
		return invalidParameter("An number set  may not be empty")
	}
	return invalidParameter("Binary sets should not be empty")
}

func duplicates(kind Kind, members []string) *Error {
	switch kind {
	case SS:
		return invalidParameter("Input collection [" + strings.Join(members, ", ") + "] contains duplicates.")
	case NS:
		return Invalid("Input collection contains duplicates")
	}
	return invalidParameter("Input collection of type BS contains duplicates.")
}
