package template

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// props reads the properties of one thing and remembers which were asked for:
// those that nobody asked for are errors. Errors gather, so that a template is
// told everything that is wrong with it at once.
type props struct {
	owner string // "resource Table", "resource CreateTask, event Post"
	path  string // "Properties." and below
	n     *node
	seen  map[string]bool
	errs  *[]error
}

func newProps(owner, path string, n *node, errs *[]error) props {
	return props{owner: owner, path: path, n: n, seen: map[string]bool{}, errs: errs}
}

func (p props) fail(key, format string, args ...any) {
	line := p.n.get(key).line
	*p.errs = append(*p.errs, fmt.Errorf("line %d: %s: %s%s %s", line, p.owner, p.path, key, fmt.Sprintf(format, args...)))
}

func (p props) take(key string) *node {
	p.seen[key] = true
	return p.n.get(key)
}

// ref is the logical id of the resource that a property names.
func (p props) ref(key string) string {
	v := p.take(key)
	if v.kind != absent && v.ref == "" {
		p.fail(key, "must name a resource of this template")
	}
	return v.ref
}

func (p props) text(key, otherwise string, allowed ...string) string {
	v := p.take(key)
	if v.kind == absent {
		return otherwise
	}
	if v.kind != scalar {
		p.fail(key, "must be a plain value")
		return otherwise
	}
	if len(allowed) > 0 && !slices.Contains(allowed, v.text) {
		p.fail(key, "is %q; one machine knows %s", v.text, strings.Join(allowed, ", "))
	}
	return v.text
}

// must is text that has to be there.
func (p props) must(key string, allowed ...string) string {
	if p.n.get(key).kind == absent {
		p.seen[key] = true
		p.fail(key, "is missing")
		return ""
	}
	return p.text(key, "", allowed...)
}

func (p props) number(key string, otherwise, low, high float64) float64 {
	s := p.text(key, "")
	if s == "" {
		return otherwise
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= low && f <= high) {
		p.fail(key, "is %q; a number from %g to %g is wanted", s, low, high)
		return otherwise
	}
	return f
}

func (p props) integer(key string, otherwise, low, high int) int {
	s := p.text(key, "")
	if s == "" {
		return otherwise
	}
	i, err := strconv.Atoi(s)
	if err != nil || i < low || i > high {
		p.fail(key, "is %q; a whole number from %d to %d is wanted", s, low, high)
		return otherwise
	}
	return i
}

func (p props) seconds(key string, otherwise, low, high int) time.Duration {
	return time.Duration(p.integer(key, otherwise, low, high)) * time.Second
}

func (p props) boolean(key string, otherwise bool) bool {
	switch s := p.text(key, ""); strings.ToLower(s) {
	case "":
		return otherwise
	case "true":
		return true
	case "false":
		return false
	default:
		p.fail(key, "is %q; true or false is wanted", s)
		return otherwise
	}
}

// object reads a nested mapping; what is absent reads as empty.
func (p props) object(key string) props {
	v := p.take(key)
	if v.kind != absent && v.kind != object {
		p.fail(key, "must be a mapping")
		v = newObject(v.line)
	}
	return newProps(p.owner, p.path+key+".", v, p.errs)
}

// list reads a nested list of mappings.
func (p props) list(key string) []props {
	v := p.take(key)
	if v.kind != absent && v.kind != list {
		p.fail(key, "must be a list")
		return nil
	}
	var out []props
	for i, item := range v.items {
		out = append(out, newProps(p.owner, fmt.Sprintf("%s%s[%d].", p.path, key, i), item, p.errs))
	}
	return out
}

func (p props) texts(key string) []string {
	v := p.take(key)
	if v.kind == absent {
		return nil
	}
	if v.kind != list {
		p.fail(key, "must be a list")
		return nil
	}
	out, err := texts(v)
	if err != nil {
		p.fail(key, "must be a list of plain values")
	}
	return out
}

// strings reads a mapping of plain values.
func (p props) strings(key string) map[string]string {
	v := p.take(key)
	out := map[string]string{}
	if v.kind != absent && v.kind != object {
		p.fail(key, "must be a mapping")
		return out
	}
	for _, k := range v.keys {
		if v.fields[k].kind != scalar {
			p.fail(key, "%s must be a plain value", k)
			continue
		}
		out[k] = v.fields[k].text
	}
	return out
}

// inert marks properties that mean nothing on one machine.
func (p props) inert(keys ...string) {
	for _, k := range keys {
		p.seen[k] = true
	}
}

// only refuses any value but the one that one machine does anyway.
func (p props) only(key, value string) {
	if v := p.take(key); v.kind != absent && (v.kind != scalar || !strings.EqualFold(v.text, value)) {
		p.fail(key, "is not supported on one machine (only %s)", value)
	}
}

// done fails for each property that nobody has asked for.
func (p props) done() {
	for _, k := range p.n.keys {
		if !p.seen[k] {
			p.fail(k, "is not supported on one machine")
		}
	}
}
