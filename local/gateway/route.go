package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/bloom-runtime/bloom/local/template"
)

// route is one method of one path.
type route struct {
	template.Route
	function *function
	throttle *throttle // nil: the method has none
}

// param is a path parameter. Value is as the client sent it: API Gateway's REST
// APIs do not decode it (recorded against AWS in localstack's
// tests/aws/services/apigateway/test_apigateway_lambda.snapshot.json).
type param struct{ name, value string }

// routeNode is one segment of the routing tree.
type routeNode struct {
	literal  map[string]*routeNode
	variable *routeNode // {name}
	greedy   *routeNode // {name+}
	name     string     // of the variable
	methods  methodSet
}

type methodSet []*route

func (m methodSet) route(method string) *route {
	var anyMethod *route
	for _, r := range m {
		if r.Method == method {
			return r
		}
		if r.Method == "ANY" {
			anyMethod = r
		}
	}
	return anyMethod
}

func (m methodSet) allow() string {
	names := make([]string, 0, len(m))
	for _, r := range m {
		names = append(names, r.Method)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// add puts a route into the tree. As in API Gateway, one place has one variable.
func (n *routeNode) add(r *route) error {
	rest := strings.TrimPrefix(r.Path, "/")
	for rest != "" {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		next, err := n.child(segment)
		if err != nil {
			return err
		}
		n = next
	}
	if slices.ContainsFunc(n.methods, func(x *route) bool { return x.Method == r.Method }) {
		return fmt.Errorf("the route is there twice")
	}
	n.methods = append(n.methods, r)
	return nil
}

func (n *routeNode) child(segment string) (*routeNode, error) {
	slot, name := &n.variable, ""
	switch {
	case strings.HasSuffix(segment, "+}"):
		slot, name = &n.greedy, segment[1:len(segment)-2]
	case strings.HasPrefix(segment, "{"):
		name = segment[1 : len(segment)-1]
	default:
		if n.literal == nil {
			n.literal = map[string]*routeNode{}
		}
		if n.literal[segment] == nil {
			n.literal[segment] = &routeNode{}
		}
		return n.literal[segment], nil
	}
	if *slot == nil {
		*slot = &routeNode{name: name}
	}
	if (*slot).name != name {
		return nil, fmt.Errorf("{%s} and {%s} stand in the same place", name, (*slot).name)
	}
	return *slot, nil
}

// find returns the methods of a percent-encoded path and sets its parameters;
// nil when there is no such path. A literal segment wins over {name}, and
// {name} over {name+}. One slash at the end does not count.
func (n *routeNode) find(path string, params *[]param) methodSet {
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	rest := path[1:]
	if len(rest) > 1 {
		rest = strings.TrimSuffix(rest, "/")
	}
	return n.descend(rest, params)
}

func (n *routeNode) descend(rest string, params *[]param) methodSet {
	if rest == "" {
		return n.methods
	}
	segment, tail, more := strings.Cut(rest, "/")
	if more && tail == "" || !plainSegment(segment) {
		return nil
	}
	// Escapes may spell a literal: /%61pi is /api.
	if next := n.literal[unescaped(segment)]; next != nil {
		if m := next.descend(tail, params); m != nil {
			return m
		}
	}
	mark := len(*params)
	if n.variable != nil {
		*params = append(*params, param{n.variable.name, segment})
		if m := n.variable.descend(tail, params); m != nil {
			return m
		}
		*params = (*params)[:mark]
	}
	if n.greedy != nil && plainPath(rest) {
		*params = append(*params, param{n.greedy.name, rest})
		return n.greedy.methods
	}
	return nil
}

// plainSegment refuses what a server behind us may take for another path: an
// empty segment, "." and "..", however they are spelled.
func plainSegment(segment string) bool {
	if segment == "" {
		return false
	}
	if segment[0] != '.' && segment[0] != '%' {
		return true
	}
	s := unescaped(segment)
	return s != "." && s != ".."
}

func plainPath(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if !plainSegment(segment) {
			return false
		}
	}
	return true
}

func unescaped(segment string) string {
	if !strings.Contains(segment, "%") {
		return segment
	}
	s, err := url.PathUnescape(segment)
	if err != nil {
		return segment
	}
	return s
}
