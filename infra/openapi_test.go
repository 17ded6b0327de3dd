// Package infra_test holds what says the same thing in several places to each
// other: the API's description, the template, the functions and their code.
package infra_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is a mapping of a YAML file.
type object = map[string]any

// load reads a YAML file from the top of the repository. CloudFormation's tags
// (!Ref, !GetAtt …) leave their plain values.
func load(t testing.TB, path string) object {
	t.Helper()
	text, err := os.ReadFile("../" + path)
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := yaml.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// at follows keys into nested mappings; nil where there is nothing.
func at(v any, path ...string) any {
	for _, key := range path {
		o, _ := v.(object)
		v = o[key]
	}
	return v
}

func sub(v any, path ...string) object {
	o, _ := at(v, path...).(object)
	return o
}

func str(v any, path ...string) string {
	s, _ := at(v, path...).(string)
	return s
}

func list(v any, path ...string) []any {
	l, _ := at(v, path...).([]any)
	return l
}

func texts(v any, path ...string) []string {
	var out []string
	for _, e := range list(v, path...) {
		out = append(out, fmt.Sprint(e))
	}
	return out
}

// names are the keys of a mapping, sorted.
func names[V any](o map[string]V) []string { return slices.Sorted(maps.Keys(o)) }

// document is openapi.yaml.
type document struct{ object }

func openapi(t testing.TB) document {
	t.Helper()
	return document{load(t, "infra/openapi.yaml")}
}

// resolve follows a $ref within the document.
func (d document) resolve(v any) any {
	for {
		ref := str(v, "$ref")
		if ref == "" {
			return v
		}
		v = at(d.object, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
}

func (d document) schema(name string) object { return sub(d.object, "components", "schemas", name) }

// operation is one method of one path.
type operation struct {
	method, path string
	object
	parameters []any // its own and its path's, resolved
}

func (o operation) String() string { return o.method + " " + o.path }

func (o operation) open() bool {
	s, there := o.object["security"]
	return there && len(s.([]any)) == 0
}

func (o operation) parameter(name string) object {
	for _, p := range o.parameters {
		if str(p, "name") == name {
			return p.(object)
		}
	}
	return nil
}

// proxied tells whether Membridge answers it.
func (o operation) proxied() bool { return strings.HasPrefix(o.path, "/api/membridge/") }

// isList tells whether it answers a page. Membridge's lists have no pages.
func (o operation) isList(d document) bool {
	return !o.proxied() && str(d.resolve(at(o.object, "responses", "200")), "content", "application/json", "schema", "type") == "array"
}

func (d document) operations() []operation {
	var all []operation
	for _, path := range names(sub(d.object, "paths")) {
		item := sub(d.object, "paths", path)
		for _, method := range names(item) {
			if method == "parameters" {
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path, object: sub(item, method)}
			for _, p := range append(slices.Clone(list(item, "parameters")), list(o.object, "parameters")...) {
				o.parameters = append(o.parameters, d.resolve(p))
			}
			all = append(all, o)
		}
	}
	return all
}

// TestRoutes: the document and the template have the same routes, and the same
// ones are open.
func TestRoutes(t *testing.T) {
	t.Parallel()
	described := map[string]bool{} // method and path → open
	for _, o := range openapi(t).operations() {
		described[o.String()] = o.open()
	}
	deployed := map[string]bool{}
	for _, f := range functions(t) {
		for _, e := range f.events("Api") {
			route := strings.ToUpper(str(e, "Method")) + " " + str(e, "Path")
			if _, twice := deployed[route]; twice {
				t.Errorf("%s is there twice", route)
			}
			deployed[route] = str(e, "Auth", "Authorizer") == "NONE"
		}
	}
	if len(deployed) == 0 || !maps.Equal(described, deployed) {
		t.Errorf("described, open or not:\n%v\ndeployed:\n%v", described, deployed)
	}
}

// TestAnswers: every route lists what the gateway and its function may answer, in
// the one error shape, with the headers that belong to it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	d := openapi(t)
	for _, o := range d.operations() {
		t.Run(o.String(), func(t *testing.T) {
			t.Parallel()
			responses := sub(o.object, "responses")
			want := []string{"400", "429", "500", "502", "503", "504"} // the gateway's, and any store's
			if !o.open() {
				want = append(want, "401", "403")
			}
			if strings.Contains(o.path, "{id}") {
				want = append(want, "404")
			}
			if o.object["requestBody"] != nil {
				want = append(want, "413")
			}
			if o.proxied() {
				want = append(want, "4XX") // Membridge's own
			}
			for _, status := range want {
				if responses[status] == nil {
					t.Errorf("%s is not described", status)
				}
			}
			for _, status := range names(responses) {
				known := slices.Contains(want, status) || status == "409" && strings.Contains(o.path, "llm-tasks/{id}")
				if success := status < "400"; !success && !known {
					t.Errorf("%s can't happen", status)
				}
				d.checkResponse(t, o, status, d.resolve(responses[status]).(object))
			}
		})
	}
}

func (d document) checkResponse(t *testing.T, o operation, status string, r object) {
	t.Helper()
	if str(r, "description") == "" || at(r, "headers", "X-Request-Id") == nil {
		t.Errorf("%s lacks a description or the header X-Request-Id", status)
	}
	if wait := at(r, "headers", "Retry-After") != nil; wait != (status == "429" || status == "503") {
		t.Errorf("%s: Retry-After %v", status, wait)
	}
	if link := at(r, "headers", "Link") != nil; link != (status == "200" && o.isList(d)) {
		t.Errorf("%s: Link %v", status, link)
	}
	schema := str(r, "content", "application/json", "schema", "$ref")
	if isError := schema == "#/components/schemas/Error"; isError != (status >= "400") {
		t.Errorf("%s has the schema %s", status, schema)
	}
	if status < "400" {
		return
	}
	for name, e := range sub(r, "content", "application/json", "examples") {
		code := str(d.resolve(e), "value", "code")
		if name != code || !strings.Contains(str(r, "description"), "`"+code+"`") && o.String() != "POST /api/runtime/llm-tasks/{id}/heartbeat" {
			t.Errorf("%s: the example %s has the code %s, and the description must name it", status, name, code)
		}
	}
}

// TestParameters: a path's parameters are described, and every list is paged.
func TestParameters(t *testing.T) {
	t.Parallel()
	d := openapi(t)
	ids := map[string]bool{}
	for _, o := range d.operations() {
		if id := o.object["operationId"].(string); ids[id] {
			t.Errorf("%s: the operationId %s is there twice", o, id)
		} else {
			ids[id] = true
		}
		if str(o.object, "summary") == "" || len(list(o.object, "tags")) != 1 {
			t.Errorf("%s needs a summary and one tag", o)
		}
		for _, name := range []string{"id", "cid"} {
			if inPath := strings.Contains(o.path, "{"+name+"}"); inPath != (o.parameter(name) != nil) {
				t.Errorf("%s: parameter %s: %v", o, name, o.parameter(name))
			}
		}
		isList := o.isList(d)
		limit, cursor := o.parameter("limit"), o.parameter("cursor")
		if isList != (limit != nil) || isList != (cursor != nil) || isList && o.method != http.MethodGet {
			t.Errorf("%s: list %v, limit %v, cursor %v", o, isList, limit, cursor)
		}
		if !isList {
			continue
		}
		byDefault := number(t, "shared/api/page.go", "defaultLimit")
		if strings.HasSuffix(o.path, "/audit") {
			byDefault = 100
		}
		s := sub(limit, "schema")
		if s["minimum"] != 1 || s["default"] != byDefault || s["maximum"] != number(t, "shared/dynamo/pages.go", "MaxLimit") {
			t.Errorf("%s: limit %v", o, s)
		}
		if at(d.resolve(at(o.object, "responses", "200")), "content", "application/json", "schema", "maxItems") != s["maximum"] {
			t.Errorf("%s: a page may be longer than the highest limit", o)
		}
	}
}

// TestReferences: every $ref leads somewhere, and nothing is described that no
// route uses.
func TestReferences(t *testing.T) {
	t.Parallel()
	d := openapi(t)
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case object:
			if ref, ok := v["$ref"].(string); ok {
				if d.resolve(v) == nil {
					t.Errorf("%s leads nowhere", ref)
				}
				if !used[ref] {
					used[ref] = true
					walk(d.resolve(object{"$ref": ref}))
				}
			}
			for _, name := range names(v) {
				walk(v[name])
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(d.object["paths"])
	for _, kind := range names(sub(d.object, "components")) {
		for _, name := range names(sub(d.object, "components", kind)) {
			if kind != "securitySchemes" && !used["#/components/"+kind+"/"+name] {
				t.Errorf("nothing uses %s/%s", kind, name)
			}
		}
	}
}

// TestSecurity: the key's header is the one that the template's authorizer reads.
func TestSecurity(t *testing.T) {
	t.Parallel()
	d := openapi(t)
	scheme := sub(d.object, "components", "securitySchemes", "RuntimeKey")
	auth := sub(resources(t)["Api"], "Properties", "Auth")
	header := str(auth, "Authorizers", "RuntimeKey", "Identity", "Header")
	if header == "" || str(scheme, "name") != header || str(scheme, "in") != "header" || str(auth, "DefaultAuthorizer") != "RuntimeKey" {
		t.Errorf("described %v, deployed %v", scheme, auth)
	}
	plan := fmt.Sprint(at(load(t, "template.yaml"), "Parameters", "ClientRequestsPerMinute", "Default"))
	if !strings.Contains(str(scheme, "description"), plan+" requests a minute") {
		t.Errorf("the plan allows %s requests a minute: %s", plan, str(scheme, "description"))
	}
	for _, m := range list(resources(t)["Api"], "Properties", "MethodSettings") {
		burst := fmt.Sprint(at(m, "ThrottlingBurstLimit"))
		text := str(d.object, "paths", strings.ReplaceAll(strings.TrimPrefix(str(m, "ResourcePath"), "/"), "~1", "/"), strings.ToLower(str(m, "HttpMethod")), "description")
		if !strings.Contains(text, burst+" ") {
			t.Errorf("%s %s is held to %s calls at once: %q", str(m, "HttpMethod"), str(m, "ResourcePath"), burst, text)
		}
	}
	if s := list(d.object, "security"); len(s) != 1 || at(s[0], "RuntimeKey") == nil {
		t.Errorf("security %v", s)
	}
}
