package events

import (
	"bytes"
	"encoding/json"
	"errors"
)

// The stream's JSON goes into the function's event as it is, so it is walked once and not decoded: what follows finds where
// the fields of objects and the elements of arrays begin and end.

var errJSON = errors.New("the stream's answer is not the JSON expected")

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
	_, err := eachField(n.raw, 0, func(name []byte, at int) (int, error) {
		end, err := skip(n.raw, at)
		if err == nil {
			out = append(out, field{name, node{raw: n.raw[at:end]}})
		}
		return end, err
	})
	return out, err
}

// eachField calls f with the name of each field of the object that begins at at, and where its value begins. f returns where
// the value ends. The result is where the object ends.
func eachField(b []byte, at int, f func(name []byte, at int) (end int, err error)) (int, error) {
	return each(b, at, '{', '}', func(at int) (int, error) {
		if b[at] != '"' {
			return 0, errJSON
		}
		end, err := skip(b, at)
		if err != nil {
			return 0, err
		}
		name := b[at+1 : end-1]
		if at = space(b, end); at >= len(b) || b[at] != ':' {
			return 0, errJSON
		}
		if at = space(b, at+1); at >= len(b) {
			return 0, errJSON
		}
		return f(name, at)
	})
}

// eachElement calls f with where each element of the array at at begins, and f returns where it ends.
func eachElement(b []byte, at int, f func(at int) (end int, err error)) (int, error) {
	return each(b, at, '[', ']', f)
}

func each(b []byte, at int, open, closing byte, item func(at int) (int, error)) (int, error) {
	if at = space(b, at); at >= len(b) || b[at] != open {
		return 0, errJSON
	}
	if at = space(b, at+1); at < len(b) && b[at] == closing {
		return at + 1, nil
	}
	for at < len(b) {
		end, err := item(at)
		if err != nil {
			return 0, err
		}
		if at = space(b, end); at >= len(b) {
			break
		}
		switch b[at] {
		case closing:
			return at + 1, nil
		case ',':
			at = space(b, at+1)
		default:
			return 0, errJSON
		}
	}
	return 0, errJSON
}

func space(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\t' || b[at] == '\n' || b[at] == '\r') {
		at++
	}
	return at
}

// skip returns the end of the value that begins at at.
func skip(b []byte, at int) (int, error) {
	depth := 0
	for at < len(b) {
		switch b[at] {
		case '"':
			end := quoted(b, at)
			if end == 0 {
				return 0, errJSON
			}
			at = end
		case '{', '[':
			depth++
			at++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return 0, errJSON
			}
			at++
		case ',', ':', ' ', '\t', '\n', '\r':
			at++
			continue
		default:
			for at++; at < len(b) && !ends(b[at]); {
				at++
			}
		}
		if depth == 0 {
			return at, nil
		}
	}
	return 0, errJSON
}

// quoted returns the end of the string that begins at at; 0 = it has none.
func quoted(b []byte, at int) int {
	for from := at + 1; ; {
		n := bytes.IndexByte(b[from:], '"')
		if n < 0 {
			return 0
		}
		end := from + n
		slashes := 0
		for end-1-slashes > at && b[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1
		}
		from = end + 1
	}
}

func ends(c byte) bool {
	switch c {
	case ',', ':', ']', '}', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}

// text decodes a JSON string; ok is false for any other value.
func text(value []byte) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	return s, json.Unmarshal(value, &s) == nil
}
