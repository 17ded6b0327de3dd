package template

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// pseudo are the values of CloudFormation's own parameters on one machine.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
var pseudo = map[string]string{
	"AWS::AccountId": "000000000000",
	"AWS::Partition": "aws",
	"AWS::Region":    "us-east-1",
	"AWS::StackId":   "arn:aws:cloudformation:us-east-1:000000000000:stack/bloom/local",
	"AWS::StackName": "bloom",
	"AWS::URLSuffix": "amazonaws.com",
}

// evaluator fills in parameters, references and conditions.
type evaluator struct {
	root       *node
	parameters map[string]*node
	resolve    func(logicalID, attribute string) (string, bool)
	conditions map[string]bool
	deciding   map[string]bool // conditions being decided, to find circles
}

// eval returns the node with every intrinsic replaced by its value.
func (e *evaluator) eval(n *node) (*node, error) {
	switch n.kind {
	case list:
		out := &node{kind: list, line: n.line}
		for _, item := range n.items {
			v, err := e.eval(item)
			if err != nil {
				return nil, err
			}
			if v.kind != absent {
				out.items = append(out.items, v)
			}
		}
		return out, nil
	case object:
		if name, arg, ok := intrinsic(n); ok {
			return e.call(name, arg)
		}
		out := newObject(n.line)
		for _, key := range n.keys {
			v, err := e.eval(n.fields[key])
			if err != nil {
				return nil, err
			}
			if v.kind != absent {
				out.set(key, v)
			}
		}
		return out, nil
	}
	return n, nil
}

// intrinsic tells a function call from an ordinary object. "Condition" is a
// call only inside Fn::And, Fn::Or and Fn::Not, and is dealt with there.
func intrinsic(n *node) (name string, arg *node, ok bool) {
	if len(n.keys) != 1 {
		return "", nil, false
	}
	name = n.keys[0]
	if name != "Ref" && !strings.HasPrefix(name, "Fn::") {
		return "", nil, false
	}
	return name, n.fields[name], true
}

func (e *evaluator) call(name string, arg *node) (*node, error) {
	var v *node
	var err error
	switch name {
	case "Ref":
		v, err = e.ref(arg)
	case "Fn::GetAtt":
		v, err = e.getAtt(arg)
	case "Fn::Sub":
		v, err = e.sub(arg)
	case "Fn::Join":
		v, err = e.join(arg)
	case "Fn::If":
		v, err = e.choose(arg)
	case "Fn::FindInMap":
		v, err = e.findInMap(arg)
	case "Fn::Select":
		v, err = e.selectItem(arg)
	case "Fn::Split":
		v, err = e.split(arg)
	case "Fn::Base64":
		v, err = e.base64(arg)
	default:
		err = fmt.Errorf("%s is not supported on one machine", name)
	}
	if err != nil && !strings.HasPrefix(err.Error(), "line ") {
		err = fmt.Errorf("line %d: %w", arg.line, err)
	}
	return v, err
}

func (e *evaluator) ref(arg *node) (*node, error) {
	if arg.kind != scalar {
		return nil, fmt.Errorf("a Ref takes one name")
	}
	// SAM lets a Ref name what it generates for a resource: Api.Stage.
	// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html
	id, generated, _ := strings.Cut(arg.text, ".")
	if generated == "Stage" && e.root.get("Resources", id, "Type").text == "AWS::Serverless::Api" {
		return e.eval(e.root.get("Resources", id, "Properties", "StageName"))
	}
	return e.lookup(arg.text, "", arg.line)
}

// lookup is the value of ${name} or ${name.attribute}.
func (e *evaluator) lookup(name, attribute string, line int) (*node, error) {
	if attribute == "" {
		if name == "AWS::NoValue" {
			return &node{kind: absent, line: line}, nil
		}
		if v, ok := pseudo[name]; ok {
			return newScalar(v, line), nil
		}
		if v, ok := e.parameters[name]; ok {
			return v, nil
		}
	}
	resource := e.root.get("Resources", name)
	if resource.kind == absent {
		return nil, fmt.Errorf("%s is neither a parameter nor a resource", name)
	}
	if there, err := e.exists(resource); err != nil || !there {
		return nil, orElse(err, fmt.Errorf("%s does not exist: its condition is false", name))
	}
	v := newScalar(name, line)
	v.ref = name
	if e.resolve != nil {
		if text, ok := e.resolve(name, attribute); ok {
			v.text = text
			return v, nil
		}
	}
	if attribute == "Arn" && resource.get("Type").text == "AWS::Serverless::Function" {
		v.text = "arn:aws:lambda:us-east-1:000000000000:function:" + name
	}
	return v, nil
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (e *evaluator) getAtt(arg *node) (*node, error) {
	if arg.kind == scalar { // Fn::GetAtt: A.B
		id, attr, _ := strings.Cut(arg.text, ".")
		return e.lookup(id, attr, arg.line)
	}
	args, err := e.args("Fn::GetAtt", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	return e.lookup(args[0].text, args[1].text, arg.line)
}

// args evaluates a function's list of arguments and checks how many there are.
func (e *evaluator) args(name string, arg *node, least, most int) ([]*node, error) {
	if arg.kind != list || len(arg.items) < least || len(arg.items) > most {
		return nil, fmt.Errorf("%s takes a list of %d to %d items", name, least, most)
	}
	out := make([]*node, len(arg.items))
	for i, item := range arg.items {
		v, err := e.eval(item)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (e *evaluator) sub(arg *node) (*node, error) {
	text, own := arg, newObject(arg.line)
	if arg.kind == list {
		args, err := e.args("Fn::Sub", arg, 2, 2)
		if err != nil {
			return nil, err
		}
		text, own = args[0], args[1]
	}
	if text.kind != scalar || own.kind != object {
		return nil, fmt.Errorf("Fn::Sub takes a string, or a list of a string and a mapping")
	}
	var b strings.Builder
	var only *node // the one reference, when the string is nothing else
	rest := text.text
	for {
		before, after, found := strings.Cut(rest, "${")
		b.WriteString(before)
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("Fn::Sub: a ${ is not closed in %q", text.text)
		}
		rest = tail
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
			continue
		}
		v, err := e.subName(name, own, text.line)
		if err != nil {
			return nil, err
		}
		b.WriteString(v.text)
		if text.text == "${"+name+"}" {
			only = v
		}
	}
	out := newScalar(b.String(), text.line)
	if only != nil {
		out.ref = only.ref
	}
	return out, nil
}

func (e *evaluator) subName(name string, own *node, line int) (*node, error) {
	v := own.get(name)
	if v.kind == absent {
		id, attr, _ := strings.Cut(name, ".")
		var err error
		if v, err = e.lookup(id, attr, line); err != nil {
			return nil, err
		}
	}
	if v.kind != scalar {
		return nil, fmt.Errorf("Fn::Sub: ${%s} is not a plain value", name)
	}
	return v, nil
}

func (e *evaluator) join(arg *node) (*node, error) {
	args, err := e.args("Fn::Join", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	if args[0].kind != scalar || args[1].kind != list {
		return nil, fmt.Errorf("Fn::Join takes a delimiter and a list")
	}
	parts, err := texts(args[1])
	if err != nil {
		return nil, err
	}
	return newScalar(strings.Join(parts, args[0].text), arg.line), nil
}

func texts(n *node) ([]string, error) {
	out := make([]string, 0, len(n.items))
	for _, item := range n.items {
		if item.kind != scalar {
			return nil, fmt.Errorf("line %d: a list of plain values is wanted", item.line)
		}
		out = append(out, item.text)
	}
	return out, nil
}

// choose is Fn::If; the branch that is not taken is never evaluated, so that
// it may name what does not exist.
func (e *evaluator) choose(arg *node) (*node, error) {
	if arg.kind != list || len(arg.items) != 3 || arg.items[0].kind != scalar {
		return nil, fmt.Errorf("Fn::If takes a condition's name and two values")
	}
	yes, err := e.condition(arg.items[0].text)
	if err != nil {
		return nil, err
	}
	if yes {
		return e.eval(arg.items[1])
	}
	return e.eval(arg.items[2])
}

func (e *evaluator) findInMap(arg *node) (*node, error) {
	args, err := e.args("Fn::FindInMap", arg, 3, 3)
	if err != nil {
		return nil, err
	}
	keys, err := texts(&node{kind: list, items: args})
	if err != nil {
		return nil, err
	}
	v := e.root.get("Mappings", keys[0], keys[1], keys[2])
	if v.kind == absent {
		return nil, fmt.Errorf("there is no mapping %s", strings.Join(keys, "."))
	}
	return v, nil
}

func (e *evaluator) selectItem(arg *node) (*node, error) {
	args, err := e.args("Fn::Select", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(args[0].text)
	if err != nil || args[1].kind != list || i < 0 || i >= len(args[1].items) {
		return nil, fmt.Errorf("Fn::Select: there is no item %q", args[0].text)
	}
	return args[1].items[i], nil
}

func (e *evaluator) split(arg *node) (*node, error) {
	args, err := e.args("Fn::Split", arg, 2, 2)
	if err != nil {
		return nil, err
	}
	if args[0].text == "" || args[1].kind != scalar {
		return nil, fmt.Errorf("Fn::Split takes a delimiter and a string")
	}
	out := &node{kind: list, line: arg.line}
	for _, part := range strings.Split(args[1].text, args[0].text) {
		out.items = append(out.items, newScalar(part, arg.line))
	}
	return out, nil
}

func (e *evaluator) base64(arg *node) (*node, error) {
	v, err := e.eval(arg)
	if err != nil {
		return nil, err
	}
	if v.kind != scalar {
		return nil, fmt.Errorf("Fn::Base64 takes a string")
	}
	return newScalar(base64.StdEncoding.EncodeToString([]byte(v.text)), arg.line), nil
}
