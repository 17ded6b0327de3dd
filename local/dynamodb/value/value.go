// Package value holds DynamoDB's attribute values: their JSON on the wire, their form on disk, the order of keys,
// the arithmetic of numbers and the sizes that limits and capacity units are counted by.
//
// Values are immutable: nothing in this package changes one once it is made, and whoever builds an Item must not
// change it after handing it on. They may therefore be shared between goroutines and between items.
package value

// Kind is the data type of a Value.
type Kind uint8

// The data types of DynamoDB.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
const (
	S    Kind = iota + 1 // string, UTF-8
	N                    // number
	B                    // bytes
	BOOL                 // true or false
	NULL                 // the value null, not absence
	L                    // list
	M                    // map
	SS                   // set of strings
	NS                   // set of numbers
	BS                   // set of byte strings
)

var kindNames = [...]string{"", "S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"}

// String gives the name used on the wire; the zero Kind has none.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// KindOf finds a kind by its name on the wire.
func KindOf(name string) (Kind, bool) {
	for k := S; k <= BS; k++ {
		if kindNames[k] == name {
			return k, true
		}
	}
	return 0, false
}

// MaxLevels is how deep values may nest; the attribute itself is level 1.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-attributes
const MaxLevels = 32

// Value is one attribute value. The zero Value is no value at all (IsZero). 32 bytes.
type Value struct {
	text     string // S; N in canonical text; B as raw bytes
	compound *compound
	kind     Kind
	truth    bool
}

type compound struct {
	list    []Value
	members []string // of a set: sorted, without duplicates, numbers in canonical text
	fields  Item
}

// String makes an S. It must be valid UTF-8.
func String(s string) Value { return Value{kind: S, text: s} }

// Binary makes a B of a copy of b.
func Binary(b []byte) Value { return Value{kind: B, text: string(b)} }

// Bool makes a BOOL.
func Bool(b bool) Value { return Value{kind: BOOL, truth: b} }

// Null makes a NULL.
func Null() Value { return Value{kind: NULL} }

// Numeric makes an N.
func Numeric(n Number) Value { return Value{kind: N, text: n.String()} }

// Int makes an N of an integer.
func Int(i int64) Value { return Numeric(IntNumber(i)) }

// List makes an L that takes the slice over.
func List(elements []Value) Value { return Value{kind: L, compound: &compound{list: elements}} }

// Map makes an M that takes the map over.
func Map(fields Item) Value { return Value{kind: M, compound: &compound{fields: fields}} }

// Set makes a set of the kind SS, NS or BS and takes the slice over; duplicates are dropped. Members are UTF-8 text, the
// canonical text of numbers, or raw bytes. No members give the zero Value, since DynamoDB has no empty sets.
func Set(kind Kind, members []string) Value {
	if len(members) == 0 {
		return Value{}
	}
	return Value{kind: kind, compound: &compound{members: sortedMembers(kind, members)}}
}

// Kind tells the data type; 0 for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// IsZero tells whether v is no value.
func (v Value) IsZero() bool { return v.kind == 0 }

// Text gives the text of an S, the canonical text of an N and the raw bytes of a B; "" for other kinds.
func (v Value) Text() string { return v.text }

// Truth gives the value of a BOOL; false for other kinds.
func (v Value) Truth() bool { return v.truth }

// Number gives the value of an N; 0 for other kinds.
func (v Value) Number() Number {
	if v.kind != N {
		return Number{}
	}
	return Number{v.text}
}

// List gives the elements of an L, nil for other kinds. The caller must not change them.
func (v Value) List() []Value {
	if v.compound == nil {
		return nil
	}
	return v.compound.list
}

// Map gives the fields of an M, nil for other kinds. The caller must not change them.
func (v Value) Map() Item {
	if v.compound == nil {
		return nil
	}
	return v.compound.fields
}

// Members gives the members of a set in order (numbers in numeric order, in canonical text), nil for other kinds. The
// caller must not change them.
func (v Value) Members() []string {
	if v.compound == nil {
		return nil
	}
	return v.compound.members
}

// IsSet tells whether v is one of the three sets.
func (v Value) IsSet() bool { return v.kind >= SS }

// Levels tells how deep v nests: 1 for a scalar or set, 1 more than its deepest element for a list or map.
func (v Value) Levels() int {
	deepest := 0
	for _, e := range v.List() {
		deepest = max(deepest, e.Levels())
	}
	for _, f := range v.Map() {
		deepest = max(deepest, f.Value.Levels())
	}
	return deepest + 1
}
