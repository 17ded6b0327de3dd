package template

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// Options are what a template needs beside its text.
type Options struct {
	// Overrides are values for the template's parameters, from ParseOverrides.
	Overrides map[string]string
	// Resolve gives a resource its value on this machine: of a Ref when attribute
	// is "", else of a GetAtt. Where it answers false, and when it is nil, the
	// value is the logical id (for a function's Arn, an ARN that ends in it).
	Resolve func(logicalID, attribute string) (value string, ok bool)
}

// Load reads the template in the file at path.
func Load(path string, o Options) (*Stack, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	s, err := Parse(src, o)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", path, err)
	}
	return s, nil
}

// Parse reads a template. Its error lists everything that is wrong.
func Parse(src []byte, o Options) (*Stack, error) {
	root, err := read(src)
	if err != nil {
		return nil, err
	}
	params, err := parameters(root.get("Parameters"), o.Overrides)
	if err != nil {
		return nil, err
	}
	b := &builder{
		eval: &evaluator{
			root: root, parameters: params, resolve: o.Resolve,
			conditions: map[string]bool{}, deciding: map[string]bool{},
		},
		stack: &Stack{Parameters: map[string]string{}},
	}
	for name, v := range params {
		b.stack.Parameters[name] = v.text
	}
	b.build(root)
	if err := errors.Join(b.errs...); err != nil {
		return nil, err
	}
	return b.stack, nil
}

// builder makes the stack out of the evaluated resources.
type builder struct {
	eval    *evaluator
	stack   *Stack
	globals *node
	routes  map[string]string // method and path to the function that has it
	apis    []string          // logical ids of the APIs
	schemes map[string]Authorizer
	byName  string // the API's DefaultAuthorizer
	keyed   bool   // the API's Auth.ApiKeyRequired
	errs    []error
}

var topLevel = []string{
	"AWSTemplateFormatVersion", "Conditions", "Description", "Globals", "Mappings", "Metadata", "Outputs",
	"Parameters", "Resources", "Rules", "Transform",
}

func (b *builder) fail(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

func (b *builder) build(root *node) {
	for _, key := range root.keys {
		if !slices.Contains(topLevel, key) {
			b.fail("line %d: %s is no part of a template", root.fields[key].line, key)
		}
	}
	globals, err := b.eval.eval(root.get("Globals"))
	if err != nil {
		b.fail("Globals: %w", err)
		return
	}
	b.globals = globals
	b.routes, b.schemes = map[string]string{}, map[string]Authorizer{}
	resources := root.get("Resources")
	// The API comes first: routes ask for its authorizers.
	for _, api := range []bool{true, false} {
		for _, id := range resources.keys {
			if (resources.fields[id].get("Type").text == "AWS::Serverless::Api") == api {
				b.resource(id, resources.fields[id])
			}
		}
	}
	b.finishAPI()
}

// resource evaluates one resource and hands it to the function for its type.
func (b *builder) resource(id string, raw *node) {
	there, err := b.eval.exists(raw)
	if err != nil {
		b.fail("resource %s: %w", id, err)
		return
	}
	typ := raw.get("Type").text
	if !there || inertTypes[typ] {
		return
	}
	build, ok := map[string]func(string, props, *node){
		"AWS::Serverless::Function":        b.function,
		"AWS::Serverless::Api":             b.api,
		"AWS::ApiGateway::UsagePlan":       b.usagePlan,
		"AWS::ApiGateway::GatewayResponse": b.gatewayResponse,
		"AWS::DynamoDB::Table":             b.table,
		"AWS::S3::Bucket":                  b.bucket,
		"AWS::SecretsManager::Secret":      b.secret,
	}[typ]
	if !ok {
		b.fail("line %d: resource %s: type %q is not supported on one machine", raw.line, id, typ)
		return
	}
	n, err := b.eval.eval(raw)
	if err != nil {
		b.fail("resource %s: %w", id, err)
		return
	}
	p := newProps("resource "+id, "", n, &b.errs)
	p.inert("Type", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "UpdatePolicy", "CreationPolicy")
	properties := p.object("Properties")
	metadata := p.take("Metadata")
	p.done()
	build(id, properties, metadata)
	properties.done()
}

// merge lays a resource's own properties over those of Globals: mappings are
// merged, lists follow the global ones, plain values replace them.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html
func merge(global, own *node) *node {
	switch {
	case own.kind == absent:
		return global
	case global.kind == object && own.kind == object:
		out := newObject(own.line)
		for _, k := range global.keys {
			out.set(k, merge(global.fields[k], own.get(k)))
		}
		for _, k := range own.keys {
			if global.get(k).kind == absent {
				out.set(k, own.fields[k])
			}
		}
		return out
	case global.kind == list && own.kind == list:
		return &node{kind: list, line: own.line, items: append(slices.Clone(global.items), own.items...)}
	}
	return own
}
