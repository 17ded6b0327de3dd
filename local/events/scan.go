package events

import (
	"encoding/json"
	"errors"
)

// The stream's JSON goes into the function's event as it is, so it is walked and not decoded: what follows finds where the
// fields of an object and the elements of an array begin and end.

var errJSON = errors.New("the stream's answer is not the JSON expected")

// eachField calls f with the name (as written, without quotes) and the value of each field of an object.
func eachField(object []byte, f func(name, value []byte) error) error {
	return each(object, '{', '}', func(b []byte, at int) (int, error) {
		end, err := skip(b, at)
		if err != nil || b[at] != '"' {
			return 0, errJSON
		}
		name := b[at+1 : end-1]
		if at = space(b, end); at >= len(b) || b[at] != ':' {
			return 0, errJSON
		}
		at = space(b, at+1)
		if end, err = skip(b, at); err != nil {
			return 0, err
		}
		return end, f(name, b[at:end])
	})
}

// eachElement calls f with each element of an array.
func eachElement(array []byte, f func(value []byte) error) error {
	return each(array, '[', ']', func(b []byte, at int) (int, error) {
		end, err := skip(b, at)
		if err != nil {
			return 0, err
		}
		return end, f(b[at:end])
	})
}

func each(b []byte, open, closing byte, item func(b []byte, at int) (int, error)) error {
	at := space(b, 0)
	if at >= len(b) || b[at] != open {
		return errJSON
	}
	if at = space(b, at+1); at < len(b) && b[at] == closing {
		return nil
	}
	for at < len(b) {
		end, err := item(b, at)
		if err != nil {
			return err
		}
		if at = space(b, end); at >= len(b) {
			break
		}
		switch b[at] {
		case closing:
			return nil
		case ',':
			at = space(b, at+1)
		default:
			return errJSON
		}
	}
	return errJSON
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
	for ; at < len(b); at++ {
		switch b[at] {
		case '"':
			for at++; at < len(b) && b[at] != '"'; at++ {
				if b[at] == '\\' {
					at++
				}
			}
			if at >= len(b) {
				return 0, errJSON
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return 0, errJSON
			}
		case ',', ':', ' ', '\t', '\n', '\r':
			continue
		default:
			for at+1 < len(b) && !ends(b[at+1]) {
				at++
			}
		}
		if depth == 0 {
			return at + 1, nil
		}
	}
	return 0, errJSON
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
	for _, c := range value {
		if c == '\\' {
			return s, json.Unmarshal(value, &s) == nil
		}
	}
	return string(value[1 : len(value)-1]), true
}
