// Package jsonscan finds where the parts of a JSON text begin and end, and decodes
// only what is asked for. It is for texts of megabytes from a trusted sender, of
// which little is wanted: what is stepped over is not checked.
package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrJSON says that a text is not the JSON expected.
var ErrJSON = errors.New("not the JSON expected")

// EachField calls f with the name of each field of the object that begins at at, and where its value begins. f returns where
// the value ends. The result is where the object ends.
func EachField(b []byte, at int, f func(name []byte, at int) (end int, err error)) (int, error) {
	return each(b, at, '{', '}', func(at int) (int, error) {
		if b[at] != '"' {
			return 0, ErrJSON
		}
		end, err := Skip(b, at)
		if err != nil {
			return 0, err
		}
		name := b[at+1 : end-1]
		if at = space(b, end); at >= len(b) || b[at] != ':' {
			return 0, ErrJSON
		}
		if at = space(b, at+1); at >= len(b) {
			return 0, ErrJSON
		}
		return f(name, at)
	})
}

// EachElement calls f with where each element of the array at at begins, and f returns where it ends.
func EachElement(b []byte, at int, f func(at int) (end int, err error)) (int, error) {
	return each(b, at, '[', ']', f)
}

func each(b []byte, at int, open, closing byte, item func(at int) (int, error)) (int, error) {
	if at = space(b, at); at >= len(b) || b[at] != open {
		return 0, ErrJSON
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
			return 0, ErrJSON
		}
	}
	return 0, ErrJSON
}

func space(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\t' || b[at] == '\n' || b[at] == '\r') {
		at++
	}
	return at
}

// Skip returns the end of the value that begins at at.
func Skip(b []byte, at int) (int, error) {
	depth := 0
	for at < len(b) {
		switch b[at] {
		case '"':
			end := quoted(b, at)
			if end == 0 {
				return 0, ErrJSON
			}
			at = end
		case '{', '[':
			depth++
			at++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return 0, ErrJSON
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
	return 0, ErrJSON
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

// Text decodes a JSON string; ok is false for any other value.
func Text(value []byte) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	return s, json.Unmarshal(value, &s) == nil
}
