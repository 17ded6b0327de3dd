package gateway

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON of a known shape. Strings without escapes are parts of
// the text, not copies. It takes what encoders write and nothing odd: where it
// gives up, ok is false and encoding/json has the last word, so that it may be
// simple and yet never decide anything differently.
type scanner struct {
	text string
	at   int
	ok   bool
}

// scan starts on a text; not on one that has bytes that are no UTF-8.
func scan(text string) *scanner { return &scanner{text: text, ok: utf8.ValidString(text)} }

func (s *scanner) giveUp() { s.ok, s.at = false, len(s.text) }

// peek skips blanks and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// want takes the byte c.
func (s *scanner) want(c byte) {
	if s.peek() != c {
		s.giveUp()
		return
	}
	s.at++
}

// word takes a literal, if it is there.
func (s *scanner) word(w string) bool {
	s.peek()
	if !strings.HasPrefix(s.text[s.at:], w) {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) null() bool { return s.word("null") }

func (s *scanner) boolean() bool {
	if s.word("true") {
		return true
	}
	if !s.word("false") {
		s.giveUp()
	}
	return false
}

// end reports that the text was read well and to its end.
func (s *scanner) end() bool { return s.peek() == 0 && s.ok }

func (s *scanner) integer() int64 {
	s.peek()
	start := s.at
	for s.at < len(s.text) && (s.text[s.at] >= '0' && s.text[s.at] <= '9' || s.text[s.at] == '-') {
		s.at++
	}
	n, err := strconv.ParseInt(s.text[start:s.at], 10, 64)
	digits := s.text[start:s.at]
	if err != nil || len(digits) > 1 && digits[0] == '0' || strings.HasPrefix(digits, "-0") {
		s.giveUp()
	}
	return n
}

// str reads a string; null reads as "".
func (s *scanner) str() string {
	if s.peek() != '"' {
		if !s.null() {
			s.giveUp()
		}
		return ""
	}
	s.at++
	start := s.at
	for s.at < len(s.text) && !mustEscape[s.text[s.at]] {
		s.at++
	}
	if s.at < len(s.text) && s.text[s.at] == '"' {
		s.at++
		return s.text[start : s.at-1]
	}
	return s.escaped(start)
}

// escaped goes on with a string that began at start and has an escape at s.at.
func (s *scanner) escaped(start int) string {
	out := make([]byte, 0, min(len(s.text)-start, 64<<10)) // the body is most of the text
	for {
		out = append(out, s.text[start:s.at]...)
		if s.at+1 >= len(s.text) || s.text[s.at] < ' ' {
			s.giveUp()
			return ""
		}
		if s.text[s.at] == '"' {
			s.at++
			return string(out)
		}
		var ok bool
		if out, ok = s.escape(out); !ok {
			s.giveUp()
			return ""
		}
		start = s.at
		for s.at < len(s.text) && !mustEscape[s.text[s.at]] {
			s.at++
		}
	}
}

// escape reads one escape.
func (s *scanner) escape(out []byte) ([]byte, bool) {
	c := s.text[s.at+1]
	s.at += 2
	switch c {
	case '"', '\\', '/':
		return append(out, c), true
	case 'n':
		return append(out, '\n'), true
	case 't':
		return append(out, '\t'), true
	case 'r':
		return append(out, '\r'), true
	case 'b':
		return append(out, '\b'), true
	case 'f':
		return append(out, '\f'), true
	case 'u':
		r, ok := s.hex4()
		if ok && utf16.IsSurrogate(r) {
			// The second half, when it follows; what does not fit becomes U+FFFD.
			mark := s.at
			second, paired := rune(0), strings.HasPrefix(s.text[s.at:], `\u`)
			if paired {
				s.at += 2
				second, ok = s.hex4()
			}
			if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
				s.at = mark
			}
		}
		return utf8.AppendRune(out, r), ok
	}
	return out, false
}

func (s *scanner) hex4() (rune, bool) {
	if s.at+4 > len(s.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(s.text[s.at:s.at+4], 16, 32)
	s.at += 4
	return rune(n), err == nil
}

// object calls field with each key, to read its value; it is not called for null.
func (s *scanner) object(field func(key string)) {
	if s.null() {
		return
	}
	s.want('{')
	if s.peek() == '}' {
		s.at++
		return
	}
	for s.ok {
		if s.peek() != '"' {
			s.giveUp()
			return
		}
		key := s.str()
		s.want(':')
		field(key)
		if s.peek() == '}' {
			s.at++
			return
		}
		s.want(',')
	}
}

// list calls item for each item, to read it; it is not called for null.
func (s *scanner) list(item func()) {
	if s.null() {
		return
	}
	s.want('[')
	if s.peek() == ']' {
		s.at++
		return
	}
	for s.ok {
		item()
		if s.peek() == ']' {
			s.at++
			return
		}
		s.want(',')
	}
}

// strs reads a list of strings, nil for null.
func (s *scanner) strs() []string {
	var out []string
	s.list(func() {
		if s.peek() != '"' {
			s.giveUp() // null would have to become ""
			return
		}
		out = append(out, s.str())
	})
	if out == nil && s.ok && s.text[s.at-1] == ']' {
		out = []string{}
	}
	return out
}

// skip passes over a value that nobody wants.
func (s *scanner) skip(depth int) {
	switch c := s.peek(); {
	case depth > 20:
		s.giveUp()
	case c == '"':
		s.str()
	case c == '{':
		s.object(func(string) { s.skip(depth + 1) })
	case c == '[':
		s.list(func() { s.skip(depth + 1) })
	case c == '-' || c >= '0' && c <= '9':
		s.integer() // gives up at a fraction
	case c == 't' || c == 'f':
		s.boolean()
	default:
		if !s.null() {
			s.giveUp()
		}
	}
}
