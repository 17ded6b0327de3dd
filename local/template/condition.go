package template

import "fmt"

// exists tells whether a resource's Condition holds.
func (e *evaluator) exists(resource *node) (bool, error) {
	c := resource.get("Condition")
	if c.kind != scalar {
		return true, nil
	}
	return e.condition(c.text)
}

// condition decides a condition of the template by its name, once.
func (e *evaluator) condition(name string) (bool, error) {
	if v, ok := e.conditions[name]; ok {
		return v, nil
	}
	n := e.root.get("Conditions", name)
	if n.kind == absent {
		return false, fmt.Errorf("there is no condition %s", name)
	}
	if e.deciding[name] {
		return false, fmt.Errorf("condition %s depends on itself", name)
	}
	e.deciding[name] = true
	defer delete(e.deciding, name)
	v, err := e.decide(n)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	e.conditions[name] = v
	return v, nil
}

func (e *evaluator) decide(n *node) (bool, error) {
	if n.kind != object || len(n.keys) != 1 {
		return false, fmt.Errorf("line %d: a condition function is wanted", n.line)
	}
	arg := n.fields[n.keys[0]]
	switch n.keys[0] {
	case "Condition":
		return e.condition(arg.text)
	case "Fn::Equals":
		args, err := e.args("Fn::Equals", arg, 2, 2)
		if err != nil {
			return false, err
		}
		return args[0].kind == args[1].kind && args[0].text == args[1].text, nil
	case "Fn::Not":
		if arg.kind != list || len(arg.items) != 1 {
			return false, fmt.Errorf("Fn::Not takes one condition")
		}
		v, err := e.decide(arg.items[0])
		return !v, err
	case "Fn::And":
		return e.all(arg, true)
	case "Fn::Or":
		return e.all(arg, false)
	}
	return false, fmt.Errorf("line %d: %s is not a condition function", n.line, n.keys[0])
}

// all is Fn::And (want true) and Fn::Or (want false): it stops at the first
// condition that is not what is wanted.
func (e *evaluator) all(arg *node, want bool) (bool, error) {
	if arg.kind != list || len(arg.items) < 2 || len(arg.items) > 10 {
		return false, fmt.Errorf("line %d: And and Or take 2 to 10 conditions", arg.line)
	}
	for _, item := range arg.items {
		v, err := e.decide(item)
		if err != nil || v != want {
			return v, err
		}
	}
	return want, nil
}
