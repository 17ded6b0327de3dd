package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// path is a document path: an attribute, then names (string) and list places (int).
type path []any

func (p path) top() string { return p[0].(string) }

// scope collects the placeholders of one request's expressions.
type scope struct {
	names  map[string]string
	values map[string]types.AttributeValue
}

func (s *scope) path(p path) string {
	var b strings.Builder
	for i, e := range p {
		name, ok := e.(string)
		if !ok {
			fmt.Fprintf(&b, "[%d]", e)
			continue
		}
		if s.names == nil {
			s.names = map[string]string{}
		}
		s.names["#"+name] = name
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString("#" + name)
	}
	return b.String()
}

func (s *scope) value(v any) string {
	if s.values == nil {
		s.values = map[string]types.AttributeValue{}
	}
	name := fmt.Sprintf(":v%d", len(s.values))
	s.values[name] = toAWS(v)
	return name
}

// step goes one element down; ok tells whether there is anything.
func step(v, e any) (any, bool) {
	switch e := e.(type) {
	case string:
		m, _ := v.(vMap)
		v, ok := m[e]
		return v, ok
	case int:
		if l, ok := v.(vList); ok && e < len(l) {
			return l[e], true
		}
	}
	return nil, false
}

func (p path) in(m vMap) (any, bool) {
	var v any = m
	for _, e := range p {
		below, ok := step(v, e)
		if !ok {
			return nil, false
		}
		v = below
	}
	return v, true
}

// put returns a copy of v with x at p; ok is false if there is no place for it.
// A place behind a list's end is its end.
func (p path) put(v, x any) (any, bool) {
	if len(p) == 0 {
		return x, true
	}
	below, there := step(v, p[0])
	if !there && len(p) > 1 {
		return nil, false
	}
	below, ok := p[1:].put(below, x)
	switch e := p[0].(type) {
	case string:
		m, is := v.(vMap)
		if !is || !ok {
			return nil, false
		}
		m = maps.Clone(m)
		m[e] = below
		return m, true
	case int:
		l, is := v.(vList)
		if !is || !ok {
			return nil, false
		}
		if l = slices.Clone(l); e < len(l) {
			l[e] = below
			return l, true
		}
		return append(l, below), true
	}
	return nil, false
}

// drop returns a copy of v without what is at p; ok is false if p leads through
// something that is not there.
func (p path) drop(v any) (any, bool) {
	switch e := p[0].(type) {
	case string:
		m, is := v.(vMap)
		if !is {
			return nil, false
		}
		m = maps.Clone(m)
		if len(p) == 1 {
			delete(m, e)
			return m, true
		}
		below, ok := m[e]
		if !ok {
			return nil, false
		}
		if m[e], ok = p[1:].drop(below); !ok {
			return nil, false
		}
		return m, true
	case int:
		l, is := v.(vList)
		if !is {
			return nil, false
		}
		if e >= len(l) {
			return l, len(p) == 1
		}
		if len(p) == 1 {
			return slices.Delete(slices.Clone(l), e, e+1), true
		}
		below, ok := p[1:].drop(l[e])
		if !ok {
			return nil, false
		}
		l = slices.Clone(l)
		l[e] = below
		return l, true
	}
	return nil, false
}

// project takes the paths out of an item. No path begins another, and no two go
// into one list.
func project(m vMap, paths []path) vMap {
	out := vMap{}
	for _, p := range paths {
		if v, ok := p.in(m); ok {
			insert(out, p, v)
		}
	}
	return out
}

func insert(into vMap, p path, v any) {
	name := p.top()
	if len(p) == 1 {
		into[name] = v
		return
	}
	if sub, isName := p[1].(string); isName {
		m, _ := into[name].(vMap)
		if m == nil {
			m = vMap{}
		}
		insert(m, append(path{sub}, p[2:]...), v)
		into[name] = m
		return
	}
	// A list keeps only what was asked for.
	if len(p) > 2 {
		m := vMap{}
		insert(m, p[2:], v)
		v = m
	}
	into[name] = vList{v}
}
