package dynamodb

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// condition is an expression that the model evaluates and AWS reads.
type condition interface {
	text(s *scope) string
	holds(m vMap) bool
	paths() []path
}

type (
	// exists is attribute_exists or attribute_not_exists.
	exists struct {
		at  path
		not bool
	}
	// compares compares an attribute with a value or, if other is set, an attribute.
	compares struct {
		at    path
		op    string
		value any
		other path
	}
	between struct {
		at       path
		low, top any
	}
	in struct {
		at     path
		values []any
	}
	// calls is begins_with, contains or attribute_type.
	calls struct {
		function string
		at       path
		value    any
	}
	sized struct {
		at path
		op string
		n  int
	}
	joined struct {
		op          string // AND, OR
		left, right condition
	}
	negated struct{ of condition }
)

func (c exists) text(s *scope) string {
	if c.not {
		return "attribute_not_exists(" + s.path(c.at) + ")"
	}
	return "attribute_exists(" + s.path(c.at) + ")"
}

func (c exists) holds(m vMap) bool {
	_, ok := c.at.in(m)
	return ok != c.not
}

func (c compares) text(s *scope) string {
	if c.other != nil {
		return s.path(c.at) + " " + c.op + " " + s.path(c.other)
	}
	return s.path(c.at) + " " + c.op + " " + s.value(c.value)
}

func (c compares) holds(m vMap) bool {
	v, ok := c.at.in(m)
	with := c.value
	if c.other != nil {
		var there bool
		with, there = c.other.in(m)
		ok = ok && there
	}
	if !ok {
		return c.op == "<>"
	}
	return compare(v, c.op, with)
}

func compare(a any, op string, b any) bool {
	switch op {
	case "=":
		return equalValues(a, b)
	case "<>":
		return !equalValues(a, b)
	}
	lt, ok := less(a, b)
	gt, _ := less(b, a)
	switch op {
	case "<":
		return ok && lt
	case "<=":
		return ok && !gt
	case ">":
		return ok && gt
	default:
		return ok && !lt
	}
}

func (c between) text(s *scope) string {
	return s.path(c.at) + " BETWEEN " + s.value(c.low) + " AND " + s.value(c.top)
}

func (c between) holds(m vMap) bool {
	v, ok := c.at.in(m)
	return ok && compare(v, ">=", c.low) && compare(v, "<=", c.top)
}

func (c in) text(s *scope) string {
	parts := make([]string, len(c.values))
	for i, v := range c.values {
		parts[i] = s.value(v)
	}
	return s.path(c.at) + " IN (" + strings.Join(parts, ", ") + ")"
}

func (c in) holds(m vMap) bool {
	v, ok := c.at.in(m)
	return ok && slices.ContainsFunc(c.values, func(x any) bool { return equalValues(v, x) })
}

func (c calls) text(s *scope) string {
	return c.function + "(" + s.path(c.at) + ", " + s.value(c.value) + ")"
}

func (c calls) holds(m vMap) bool {
	v, ok := c.at.in(m)
	if !ok {
		return false
	}
	switch c.function {
	case "attribute_type":
		return kindName(v) == c.value
	case "begins_with":
		text, ok := v.(string)
		return ok && strings.HasPrefix(text, c.value.(string))
	}
	switch v := v.(type) { // contains
	case string:
		part, ok := c.value.(string)
		return ok && strings.Contains(v, part)
	case vList:
		return slices.ContainsFunc(v, func(x any) bool { return equalValues(x, c.value) })
	case vNums:
		n, ok := c.value.(int)
		return ok && slices.Contains(v, n)
	case vStrs:
		text, ok := c.value.(string)
		return ok && slices.Contains(v, text)
	}
	return false
}

func (c sized) text(s *scope) string {
	return "size(" + s.path(c.at) + ") " + c.op + " " + s.value(c.n)
}

func (c sized) holds(m vMap) bool {
	v, _ := c.at.in(m)
	var n int
	switch v := v.(type) {
	case string:
		n = utf8.RuneCountInString(v)
	case vBin:
		n = len(v)
	case vList:
		n = len(v)
	case vMap:
		n = len(v)
	case vNums:
		n = len(v)
	case vStrs:
		n = len(v)
	default: // no attribute, or one without a size
		return c.op == "<>"
	}
	return compare(n, c.op, c.n)
}

func (c joined) text(s *scope) string {
	return "(" + c.left.text(s) + ") " + c.op + " (" + c.right.text(s) + ")"
}

func (c joined) holds(m vMap) bool {
	if c.op == "AND" {
		return c.left.holds(m) && c.right.holds(m)
	}
	return c.left.holds(m) || c.right.holds(m)
}

func (c negated) text(s *scope) string { return "NOT (" + c.of.text(s) + ")" }
func (c negated) holds(m vMap) bool    { return !c.of.holds(m) }

func (c exists) paths() []path  { return []path{c.at} }
func (c between) paths() []path { return []path{c.at} }
func (c in) paths() []path      { return []path{c.at} }
func (c calls) paths() []path   { return []path{c.at} }
func (c sized) paths() []path   { return []path{c.at} }
func (c negated) paths() []path { return c.of.paths() }
func (c joined) paths() []path  { return append(c.left.paths(), c.right.paths()...) }
func (c compares) paths() []path {
	if c.other != nil {
		return []path{c.at, c.other}
	}
	return []path{c.at}
}
