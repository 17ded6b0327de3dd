package dynamodb

import (
	"maps"
	"slices"
	"strings"
)

// assignment is one action of an update.
type assignment struct {
	verb string // SET, REMOVE, ADD, DELETE
	at   path
	how  string // of a SET: value, copy, plus, minus, default, append, prepend
	from path   // of a SET other than value: where its operand is
	with any
}

func (a assignment) text(s *scope) string {
	at := s.path(a.at)
	switch a.verb {
	case "REMOVE":
		return at
	case "ADD", "DELETE":
		return at + " " + s.value(a.with)
	}
	switch a.how {
	case "value":
		return at + " = " + s.value(a.with)
	case "copy":
		return at + " = " + s.path(a.from)
	case "plus":
		return at + " = " + s.path(a.from) + " + " + s.value(a.with)
	case "minus":
		return at + " = " + s.path(a.from) + " - " + s.value(a.with)
	case "default":
		return at + " = if_not_exists(" + s.path(a.from) + ", " + s.value(a.with) + ")"
	case "append":
		return at + " = list_append(" + s.path(a.from) + ", " + s.value(a.with) + ")"
	default:
		return at + " = list_append(" + s.value(a.with) + ", " + s.path(a.from) + ")"
	}
}

// operand is what a SET writes, as of the old item; ok is false for an error.
func (a assignment) operand(old vMap) (any, bool) {
	if a.how == "value" {
		return a.with, true
	}
	v, there := a.from.in(old)
	if a.how == "default" && !there {
		return a.with, true
	}
	if !there {
		return nil, false
	}
	switch a.how {
	case "plus", "minus":
		n, ok := v.(int)
		if a.how == "minus" {
			return n - a.with.(int), ok
		}
		return n + a.with.(int), ok
	case "append", "prepend":
		l, ok := v.(vList)
		if a.how == "append" {
			return slices.Concat(l, a.with.(vList)), ok
		}
		return slices.Concat(a.with.(vList), l), ok
	}
	return v, true // copy, default
}

// update is a whole update expression. No two of its paths meet.
type update []assignment

func (u update) text(s *scope) string {
	var clauses []string
	for _, verb := range []string{"SET", "REMOVE", "ADD", "DELETE"} {
		var parts []string
		for _, a := range u {
			if a.verb == verb {
				parts = append(parts, a.text(s))
			}
		}
		if parts != nil {
			clauses = append(clauses, verb+" "+strings.Join(parts, ", "))
		}
	}
	return strings.Join(clauses, " ")
}

// onlyRemoves tells whether the update makes no item where there is none.
func (u update) onlyRemoves() bool {
	return !slices.ContainsFunc(u, func(a assignment) bool { return a.verb == "SET" || a.verb == "ADD" })
}

func (u update) paths() []path {
	list := make([]path, len(u))
	for i, a := range u {
		list[i] = a.at
	}
	return list
}

// apply returns the item after the update; ok is false for one that does not
// fit the item. A new item begins with its key.
func (u update) apply(old, itsKey vMap) (vMap, bool) {
	if old == nil {
		old = itsKey
	}
	var v any = maps.Clone(old)
	for _, a := range u {
		var ok bool
		if v, ok = a.apply(old, v); !ok {
			return nil, false
		}
	}
	return v.(vMap), true
}

func (a assignment) apply(old vMap, v any) (any, bool) {
	switch a.verb {
	case "SET":
		x, ok := a.operand(old)
		if !ok {
			return nil, false
		}
		return a.at.put(v, x)
	case "REMOVE":
		return a.at.drop(v)
	}
	was, there := a.at.in(old)
	if !there && a.verb == "ADD" {
		return a.at.put(v, a.with)
	}
	if !there {
		_, placed := a.at.put(v, nil)
		return v, placed // nothing to take from, if only the path leads somewhere
	}
	if kindName(was) != kindName(a.with) {
		return nil, false
	}
	is := combine(was, a.with, a.verb == "ADD")
	if is == nil {
		return a.at.drop(v) // a set without members does not exist
	}
	return a.at.put(v, is)
}

// combine adds to a number or a set, or takes from a set.
func combine(was, with any, add bool) any {
	switch was := was.(type) {
	case int:
		return was + with.(int)
	case vNums:
		if set := combineSets(was, with.(vNums), add); len(set) > 0 {
			return vNums(set)
		}
	case vStrs:
		if set := combineSets(was, with.(vStrs), add); len(set) > 0 {
			return vStrs(set)
		}
	}
	return nil
}

func combineSets[S ~[]E, E int | string](was, with S, add bool) []E {
	if add {
		set := slices.Sorted(slices.Values(append(slices.Clone(was), with...)))
		return slices.Compact(set)
	}
	var left []E
	for _, e := range was {
		if !slices.Contains(with, e) {
			left = append(left, e)
		}
	}
	return left
}
