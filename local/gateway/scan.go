package gateway

import (
	"slices"
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
	text    string
	at      int
	ok      bool
	lists   []string // the lists that strs has read, one behind the other
	scratch []byte   // strings are put together here
}

// scan starts on a text; not on one that has bytes that are no UTF-8.
func scan(text []byte) *scanner { return &scanner{text: string(text), ok: utf8.Valid(text)} }

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
	start := s.at + 1
	end := plainRun(s.text, start)
	if end < len(s.text) && s.text[end] == '"' {
		s.at = end + 1
		return s.text[start:end]
	}
	s.scratch = s.escaped(s.scratch[:0], start, end)
	return string(s.scratch)
}

// appendStr reads a string and appends it; null appends nothing.
func (s *scanner) appendStr(dst []byte) []byte {
	if s.peek() != '"' {
		return append(dst, s.str()...)
	}
	return s.escaped(dst, s.at+1, plainRun(s.text, s.at+1))
}

// plainRun is where the bytes that a string has as they are end.
func plainRun(text string, from int) int {
	for from < len(text) && !mustEscape[text[from]] {
		from++
	}
	return from
}

// escaped appends a string that began at start and has its first escape, or its
// end, at at.
func (s *scanner) escaped(out []byte, start, at int) []byte {
	text := s.text
	for {
		out = append(out, text[start:at]...)
		if at+1 >= len(text) || text[at] < ' ' {
			s.giveUp()
			return out
		}
		if text[at] == '"' {
			s.at = at + 1
			return out
		}
		if c := shortEscapes[text[at+1]]; c != 0 {
			out = append(out, c)
			start = at + 2
		} else {
			r, n := escapedRune(text[at+1:])
			if n == 0 {
				s.giveUp()
				return out
			}
			out = utf8.AppendRune(out, r)
			start = at + 1 + n
		}
		at = plainRun(text, start)
	}
}

// shortEscapes has what the escapes of two characters stand for.
var shortEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escapedRune reads a u, its digits and, of a surrogate, the second half when that
// follows; a half that has no other becomes U+FFFD. It returns the bytes that
// it took, 0 when the escape is none.
func escapedRune(text string) (rune, int) {
	r, ok := hex4(text)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 5
	}
	if digits, found := strings.CutPrefix(text[5:], `\`); found {
		if second, ok := hex4(digits); ok && utf16.DecodeRune(r, second) != utf8.RuneError {
			return utf16.DecodeRune(r, second), 11
		}
	}
	return utf8.RuneError, 5
}

func hex4(text string) (rune, bool) {
	if len(text) < 5 || text[0] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(text[1:5], 16, 32)
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

// strs reads a list of strings, nil for null. The lists of a text lie in one
// array, each with no room to grow into the next.
func (s *scanner) strs() []string {
	if s.null() {
		return nil
	}
	if s.lists == nil {
		s.lists = make([]string, 0, 8)
	}
	start := len(s.lists)
	s.list(func() {
		if s.peek() != '"' {
			s.giveUp() // null would have to become ""
			return
		}
		s.lists = append(s.lists, s.str())
	})
	return slices.Clip(s.lists[start:])
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
