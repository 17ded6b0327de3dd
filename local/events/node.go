package events

import "github.com/bloom-runtime/bloom/shared/jsonscan"

// The stream's JSON goes into the function's event as it is, so it is walked once and not decoded.

// field is a field of an object: its name as written, without quotes, and its value.
type field struct {
	name  []byte
	value node
}

// node is a JSON value whose fields may have been found already.
type node struct {
	raw    []byte
	fields []field
	walked bool
}

// children are the fields of an object; a value that is none has none.
func (n node) children() ([]field, error) {
	if n.walked {
		return n.fields, nil
	}
	if len(n.raw) == 0 || n.raw[0] != '{' {
		return nil, nil
	}
	var out []field
	_, err := jsonscan.EachField(n.raw, 0, func(name []byte, at int) (int, error) {
		end, err := jsonscan.Skip(n.raw, at)
		if err == nil {
			out = append(out, field{name, node{raw: n.raw[at:end]}})
		}
		return end, err
	})
	return out, err
}
