package expr

import (
	"strings"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF     tokenKind = iota
	tokBad               // a character that no token begins with
	tokName              // a letter, then letters, digits and _
	tokNameRef           // #name
	tokValue             // :value
	tokInteger           // 0, or digits that do not begin with 0
	tokSymbol            // = <> < <= > >= ( ) [ ] . , + -
	tokKeyword           // one of keywords, in any case
)

// keywords are tokens of their own in every kind of expression, so that they are a syntax error where a name is wanted.
var keywords = map[string]bool{
	"AND": true, "OR": true, "NOT": true, "IN": true, "BETWEEN": true,
	"SET": true, "REMOVE": true, "ADD": true, "DELETE": true,
}

// token is a piece of the source, from start to end. word is its text; keywords have it in capitals.
type token struct {
	kind       tokenKind
	start, end int
	word       string
}

func (t token) is(word string) bool {
	return t.word == word && (t.kind == tokSymbol || t.kind == tokKeyword)
}

// lex cuts the source into tokens; the last is tokEOF.
func lex(src string) []token {
	tokens := make([]token, 0, len(src)/3+2)
	for i := 0; i < len(src); {
		if isSpace(src[i]) {
			i++
			continue
		}
		t := nextToken(src, i)
		tokens = append(tokens, t)
		i = t.end
	}
	return append(tokens, token{kind: tokEOF, start: len(src), end: len(src), word: "<EOF>"})
}

func nextToken(src string, start int) token {
	kind, end := tokBad, start+1
	switch c := src[start]; {
	case isLetter(c):
		kind, end = tokName, wordEnd(src, start)
	case c == '#' || c == ':':
		end = wordEnd(src, start+1)
		switch {
		case end == start+1: // the mark alone is no token
		case c == '#':
			kind = tokNameRef
		default:
			kind = tokValue
		}
	case isDigit(c):
		kind = tokInteger
		for c != '0' && end < len(src) && isDigit(src[end]) {
			end++
		}
	case strings.IndexByte("=()[].,+-", c) >= 0:
		kind = tokSymbol
	case c == '<' || c == '>':
		kind = tokSymbol
		if end < len(src) && (src[end] == '=' || c == '<' && src[end] == '>') {
			end++
		}
	default:
		_, size := utf8.DecodeRuneInString(src[start:])
		end = start + size
	}
	t := token{kind: kind, start: start, end: end, word: src[start:end]}
	if kind == tokName && len(t.word) <= len("BETWEEN") {
		if upper := strings.ToUpper(t.word); keywords[upper] {
			t.kind, t.word = tokKeyword, upper
		}
	}
	return t
}

func wordEnd(src string, i int) int {
	for i < len(src) && (isLetter(src[i]) || isDigit(src[i]) || src[i] == '_') {
		i++
	}
	return i
}

func isSpace(c byte) bool  { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
