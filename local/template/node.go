package template

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

type kind int

const (
	scalar kind = iota
	list
	object
	absent // AWS::NoValue, and null
)

// node is a piece of the template. Before evaluation an intrinsic is an
// object with one key, "Ref" or "Fn::…", whichever way it was written.
type node struct {
	kind   kind
	line   int
	text   string // of a scalar
	items  []*node
	keys   []string // of an object, in the template's order
	fields map[string]*node
	ref    string // after evaluation: the logical id of the resource that the scalar stands for
}

func newScalar(text string, line int) *node { return &node{kind: scalar, text: text, line: line} }

func newObject(line int) *node { return &node{kind: object, line: line, fields: map[string]*node{}} }

func (n *node) set(key string, v *node) {
	if _, ok := n.fields[key]; !ok {
		n.keys = append(n.keys, key)
	}
	n.fields[key] = v
}

// get answers an absent node for what is not there, so that calls chain.
func (n *node) get(path ...string) *node {
	for _, key := range path {
		next := (*node)(nil)
		if n.kind == object {
			next = n.fields[key]
		}
		if next == nil {
			return &node{kind: absent, line: n.line}
		}
		n = next
	}
	return n
}

// maxNodes bounds what aliases may blow a template up to.
const maxNodes = 200_000

type reader struct{ nodes int }

// read parses YAML (or JSON, which is YAML) into nodes.
func read(src []byte) (*node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return nil, fmt.Errorf("not valid YAML: %w", err)
	}
	if len(doc.Content) == 0 {
		return nil, fmt.Errorf("the template is empty")
	}
	r := &reader{}
	root, err := r.convert(doc.Content[0], 0)
	if err != nil {
		return nil, err
	}
	if root.kind != object {
		return nil, fmt.Errorf("the template is not a mapping")
	}
	return root, nil
}

func (r *reader) convert(y *yaml.Node, depth int) (*node, error) {
	r.nodes++
	if r.nodes > maxNodes || depth > 100 {
		return nil, fmt.Errorf("line %d: the template is too large or nested too deep", y.Line)
	}
	if y.Kind == yaml.AliasNode {
		return r.convert(y.Alias, depth+1)
	}
	n, err := r.plain(y, depth)
	if err != nil || !strings.HasPrefix(y.Tag, "!") || strings.HasPrefix(y.Tag, "!!") {
		return n, err
	}
	return shortForm(y.Tag[1:], n)
}

func (r *reader) plain(y *yaml.Node, depth int) (*node, error) {
	switch y.Kind {
	case yaml.ScalarNode:
		if y.Tag == "!!null" {
			return &node{kind: absent, line: y.Line}, nil
		}
		return newScalar(y.Value, y.Line), nil
	case yaml.SequenceNode:
		n := &node{kind: list, line: y.Line}
		for _, c := range y.Content {
			item, err := r.convert(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case yaml.MappingNode:
		return r.mapping(y, depth)
	}
	return nil, fmt.Errorf("line %d: unexpected YAML", y.Line)
}

func (r *reader) mapping(y *yaml.Node, depth int) (*node, error) {
	n := newObject(y.Line)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key must be a plain word", key.Line)
		}
		if _, twice := n.fields[key.Value]; twice {
			return nil, fmt.Errorf("line %d: the key %s is there twice", key.Line, key.Value)
		}
		v, err := r.convert(y.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		n.set(key.Value, v)
	}
	return n, nil
}

// shortForm turns !Name into the object that the long form is.
func shortForm(tag string, arg *node) (*node, error) {
	name := "Fn::" + tag
	if tag == "Ref" || tag == "Condition" {
		name = tag
	}
	if tag == "GetAtt" && arg.kind == scalar {
		id, attr, ok := strings.Cut(arg.text, ".")
		if !ok {
			return nil, fmt.Errorf("line %d: !GetAtt %s names no attribute", arg.line, arg.text)
		}
		arg = &node{kind: list, line: arg.line, items: []*node{newScalar(id, arg.line), newScalar(attr, arg.line)}}
	}
	n := newObject(arg.line)
	n.set(name, arg)
	return n, nil
}
