package wire

import (
	"encoding/json"
	"strconv"
)

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(dst, `""`...) // a string always marshals
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// AppendFloat appends a number of capacity units.
func AppendFloat(dst []byte, f float64) []byte {
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}

// Object builds a JSON object member by member.
type Object struct {
	Buf   []byte
	begun bool
}

// Begin starts an object at the end of buf.
func Begin(buf []byte) Object { return Object{Buf: append(buf, '{')} }

// Name appends a member's name, and the comma before it; the value follows in Buf.
func (o *Object) Name(name string) {
	if o.begun {
		o.Buf = append(o.Buf, ',')
	}
	o.begun = true
	o.Buf = AppendString(o.Buf, name)
	o.Buf = append(o.Buf, ':')
}

// String appends a member that is a string.
func (o *Object) String(name, s string) {
	o.Name(name)
	o.Buf = AppendString(o.Buf, s)
}

// Int appends a member that is an integer.
func (o *Object) Int(name string, n int64) {
	o.Name(name)
	o.Buf = strconv.AppendInt(o.Buf, n, 10)
}

// Float appends a member that is a number.
func (o *Object) Float(name string, f float64) {
	o.Name(name)
	o.Buf = AppendFloat(o.Buf, f)
}

// End closes the object.
func (o *Object) End() []byte { return append(o.Buf, '}') }
