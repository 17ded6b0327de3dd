package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bloom-runtime/bloom/shared/jsonscan"
)

// pattern is a part of an event pattern: either fields, all of which must match, or rules, one of which must.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
type pattern struct {
	fields map[string]*pattern
	rules  []rule
}

// rule says whether a value matches; ok is false where there is no string.
type rule func(value string, ok, present bool) bool

var errPattern = errors.New("is not understood here: fields hold objects or lists of strings, {prefix}, {anything-but} or {exists}")

// compile reads a pattern. It knows exact strings, prefix, anything-but (a string or strings) and exists; anything else is an
// error, so that no pattern means something else here than in the cloud.
func compile(src []byte) (*pattern, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(src, &top); err != nil || top == nil {
		return nil, errors.New("is not a JSON object")
	}
	return compileFields(top)
}

func compileFields(object map[string]json.RawMessage) (*pattern, error) {
	p := &pattern{fields: make(map[string]*pattern, len(object))}
	for name, raw := range object {
		var nested map[string]json.RawMessage
		var list []json.RawMessage
		var err error
		switch {
		case strings.HasPrefix(name, "$"):
			err = errPattern
		case json.Unmarshal(raw, &list) == nil && len(list) > 0:
			p.fields[name], err = compileRules(list)
		case json.Unmarshal(raw, &nested) == nil && nested != nil:
			p.fields[name], err = compileFields(nested)
		default:
			err = errPattern
		}
		if err != nil {
			return nil, fmt.Errorf("%s %w", name, err)
		}
	}
	return p, nil
}

func compileRules(list []json.RawMessage) (*pattern, error) {
	p := &pattern{}
	for _, raw := range list {
		var exact string
		var special map[string]json.RawMessage
		var r rule
		if json.Unmarshal(raw, &exact) == nil && raw[0] == '"' {
			r = func(v string, ok, _ bool) bool { return ok && v == exact }
		} else if json.Unmarshal(raw, &special) == nil && len(special) == 1 {
			r = compileSpecial(special)
		}
		if r == nil {
			return nil, errPattern
		}
		p.rules = append(p.rules, r)
	}
	return p, nil
}

// compileSpecial returns nil for what it does not know.
func compileSpecial(special map[string]json.RawMessage) rule {
	var exists *bool
	var prefix *string
	switch {
	case json.Unmarshal(special["exists"], &exists) == nil && exists != nil:
		return func(_ string, _, present bool) bool { return present == *exists }
	case json.Unmarshal(special["prefix"], &prefix) == nil && prefix != nil:
		return func(v string, ok, _ bool) bool { return ok && strings.HasPrefix(v, *prefix) }
	}
	but := special["anything-but"]
	var one *string
	var many []*string
	if json.Unmarshal(but, &one) == nil && one != nil {
		many = append(many, one)
	} else if json.Unmarshal(but, &many) != nil || len(many) == 0 {
		return nil
	}
	for _, s := range many {
		if s == nil {
			return nil
		}
	}
	return func(v string, ok, present bool) bool {
		for _, s := range many {
			if ok && v == *s {
				return false
			}
		}
		return present
	}
}

// match says whether the value has what the pattern asks for. A node without bytes is a value that is not there.
func (p *pattern) match(n node) (bool, error) {
	if p.fields == nil {
		return p.matchRules(n.raw)
	}
	fields, err := n.children()
	if err != nil {
		return false, err
	}
	for name, sub := range p.fields {
		var value node
		for _, f := range fields {
			if string(f.name) == name {
				value = f.value
				break
			}
		}
		if ok, err := sub.match(value); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// matchRules lets an array match when one of its elements does.
func (p *pattern) matchRules(value []byte) (bool, error) {
	if len(value) > 0 && value[0] == '[' {
		found, empty := false, true
		_, err := jsonscan.EachElement(value, 0, func(at int) (int, error) {
			end, err := jsonscan.Skip(value, at)
			if err == nil {
				s, ok := jsonscan.Text(value[at:end])
				found, empty = found || p.any(s, ok, true), false
			}
			return end, err
		})
		if err != nil || !empty {
			return found, err
		}
	}
	s, ok := jsonscan.Text(value)
	// Patterns look at leaves: an object is not something that exists.
	present := len(value) > 0 && value[0] != '{'
	return p.any(s, ok, present), nil
}

func (p *pattern) any(s string, ok, present bool) bool {
	for _, r := range p.rules {
		if r(s, ok, present) {
			return true
		}
	}
	return false
}
