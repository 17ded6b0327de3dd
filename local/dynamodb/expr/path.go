package expr

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// step is one element of a document path: a name, which may be a placeholder, or the index of a list's element.
type step struct {
	name  string
	index int // noIndex for a name
}

const noIndex = -1

func (s step) isIndex() bool { return s.index != noIndex }

// isRef tells whether the step is a placeholder. The grammar lets :value stand here too; it is then a name that no
// request can define.
func (s step) isRef() bool { return s.name != "" && (s.name[0] == '#' || s.name[0] == ':') }

// path is a document path such as a.#b[1]; its first step is a name.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.Attributes.html
type path struct {
	steps []step
	refs  bool // some step is a placeholder
}

// resolve replaces the placeholder, if the step is one; an undefined one stays as it is (Check has refused it).
func (s step) resolve(a Args) step {
	if s.isRef() {
		if name := a.Names.Get(s.name); !name.IsZero() {
			s.name = name.Text()
		}
	}
	return s
}

// resolve replaces the placeholders.
func (p path) resolve(a Args) []step {
	if !p.refs {
		return p.steps
	}
	return p.appendResolved(make([]step, 0, len(p.steps)), a)
}

func (p path) appendResolved(steps []step, a Args) []step {
	for _, s := range p.steps {
		steps = append(steps, s.resolve(a))
	}
	return steps
}

// likelyPaths is how many paths an expression has, seldom more.
const likelyPaths = 16

// appendAll appends the resolved paths to resolved, with their steps in the room of steps if it suffices.
func appendAll(resolved [][]step, steps []step, paths []path, a Args) [][]step {
	for _, p := range paths {
		begin := len(steps)
		steps = p.appendResolved(steps, a)
		resolved = append(resolved, steps[begin:])
	}
	return resolved
}

// top gives the name of the top-level attribute.
func (p path) top(a Args) string { return p.steps[0].resolve(a).name }

// undefined finds the first placeholder without a definition.
func (p path) undefined(a Args) error {
	if !p.refs {
		return nil
	}
	for _, s := range p.steps {
		if s.isRef() {
			if a.Names.Get(s.name).IsZero() {
				return flaw("An expression attribute name used in the document path is not defined; attribute name: " + s.name)
			}
		}
	}
	return nil
}

// find gives the value at the path, the zero Value if there is none.
func (p path) find(item value.Item, a Args) value.Value {
	v := item.Get(p.top(a))
	for _, s := range p.steps[1:] {
		v = s.resolve(a).of(v)
	}
	return v
}

func descend(v value.Value, steps []step) value.Value {
	for _, s := range steps {
		v = s.of(v)
	}
	return v
}

// of gives the part of v that a resolved step leads to, the zero Value if there is none.
func (s step) of(v value.Value) value.Value {
	if !s.isIndex() {
		return v.Map().Get(s.name)
	}
	if list := v.List(); s.index < len(list) {
		return list[s.index]
	}
	return value.Value{}
}

// pathText writes resolved steps as AWS's messages do: [a, b, [1]].
func pathText(steps []step) string {
	texts := make([]string, len(steps))
	for i, s := range steps {
		texts[i] = s.name
		if s.isIndex() {
			texts[i] = "[" + strconv.Itoa(s.index) + "]"
		}
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// checkPaths refuses undefined placeholders, paths of which one lies within another, and two that take the same value for a
// map and for a list. Of several faults AWS names the one that comes first from the end.
func checkPaths(paths []path, a Args) error {
	resolved := appendAll(make([][]step, 0, likelyPaths), make([]step, 0, likelyPaths), paths, a)
	for i, p := range slices.Backward(paths) {
		if err := p.undefined(a); err != nil {
			return err
		}
		for _, later := range slices.Backward(resolved[i+1:]) {
			switch relate(resolved[i], later) {
			case overlapping:
				return flaw(pathsText("overlap", resolved[i], later))
			case conflicting:
				return flaw(pathsText("conflict", resolved[i], later))
			}
		}
	}
	return nil
}

func pathsText(verb string, one, two []step) string {
	return "Two document paths " + verb + " with each other; must remove or rewrite one of these paths; path one: " +
		pathText(one) + ", path two: " + pathText(two)
}

type relation uint8

const (
	apart relation = iota
	overlapping
	conflicting
)

func relate(a, b []step) relation {
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i].isIndex() != b[i].isIndex() {
			return conflicting
		}
		if a[i] != b[i] {
			return apart
		}
	}
	return overlapping
}

// topLevels gives the top-level attributes of paths, in their order; one may come twice.
func topLevels(paths []path, a Args) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, p := range paths {
			if !yield(p.top(a)) {
				return
			}
		}
	}
}
