package expr

import (
	"iter"
	"maps"
	"slices"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

// Projection is a parsed ProjectionExpression.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ProjectionExpressions.html
type Projection struct {
	paths []path
	usage Usage
}

// ParseProjection parses a ProjectionExpression: document paths with commas between them.
func ParseProjection(src string) (*Projection, error) {
	p := newParser(src)
	paths := []path{p.path()}
	for p.accept(",") {
		paths = append(paths, p.path())
	}
	if err := p.finish(); err != nil {
		return nil, ProjectionExpression.refuse(err)
	}
	return &Projection{paths: paths, usage: p.usage}, nil
}

// Uses names the placeholders in p.
func (p *Projection) Uses() Usage { return p.usage }

// TopLevel gives the top-level attributes that p names; one may come twice.
func (p *Projection) TopLevel(a Args) iter.Seq[string] { return topLevels(p.paths, a) }

// Check finds undefined placeholders and paths that overlap.
func (p *Projection) Check(a Args) error {
	return ProjectionExpression.refuse(checkPaths(p.paths, a))
}

// Project gives the parts of an item that p names, in the maps and lists that hold them; elements of a list move up. It
// is empty when the item has none of them, and never nil.
func (p *Projection) Project(item value.Item, a Args) value.Item { return project(item, p.paths, a) }

func project(item value.Item, paths []path, a Args) value.Item {
	result := make([]value.Field, 0, len(paths))
	put := func(name string, v value.Value) {
		if !v.IsZero() {
			result = append(result, value.Field{Name: name, Value: v})
		}
	}
	nested := make(map[string][][]step)
	for _, p := range paths {
		name := p.top(a)
		if len(p.steps) > 1 {
			nested[name] = append(nested[name], p.resolve(a)[1:])
		} else {
			put(name, item.Get(name))
		}
	}
	for name, tails := range nested {
		put(name, projectValue(item.Get(name), tails))
	}
	return value.NewItem(result)
}

// projectValue gives of a value what the paths lead to, the zero Value if that is nothing. An empty path takes all of it.
func projectValue(v value.Value, paths [][]step) value.Value {
	groups := make(map[step][][]step, len(paths))
	for _, p := range paths {
		if len(p) == 0 {
			return v
		}
		groups[p[0]] = append(groups[p[0]], p[1:])
	}
	switch v.Kind() {
	case value.M:
		return projectFields(v.Map(), groups)
	case value.L:
		return projectList(v.List(), groups)
	}
	return value.Value{}
}

func projectFields(fields value.Item, groups map[step][][]step) value.Value {
	result := make([]value.Field, 0, len(groups))
	for s, tails := range groups {
		if s.isIndex() {
			continue
		}
		if v := projectValue(fields.Get(s.name), tails); !v.IsZero() {
			result = append(result, value.Field{Name: s.name, Value: v})
		}
	}
	if len(result) == 0 {
		return value.Value{}
	}
	return value.Map(value.NewItem(result))
}

func projectList(list []value.Value, groups map[step][][]step) value.Value {
	steps := slices.SortedFunc(maps.Keys(groups), func(s, t step) int { return s.index - t.index })
	var result []value.Value
	for _, s := range steps {
		if !s.isIndex() || s.index >= len(list) {
			continue
		}
		if v := projectValue(list[s.index], groups[s]); !v.IsZero() {
			result = append(result, v)
		}
	}
	if result == nil {
		return value.Value{}
	}
	return value.List(result)
}
