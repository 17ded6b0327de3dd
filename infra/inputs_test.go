package infra_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// TestInputs: what the code reads from a body is what the document says: fields,
// types, limits, defaults, and what must be there. The code is read, not run:
// every reader of a field is a call with its rules as arguments.
func TestInputs(t *testing.T) {
	t.Parallel()
	d := openapi(t)
	for schema, functions := range map[string][]string{
		"NewTask":          {"task_input.go/readSpec"},
		"Report":           {"report.go/readReport", "report.go/readMetrics"},
		"Registration":     {"workers.go/readRegistration"},
		"LeaseRequest":     {"lease_task.go/readLease", "lease_task.go/readTTL"},
		"ClaimRequest":     {"claim_tasks.go/ClaimTasks", "lease_task.go/readTTL"},
		"HeartbeatRequest": {"heartbeat_task.go/HeartbeatTask"},
		"NewConfig":        {"config.go/SaveConfig"},
		"NewPromotion":     {"membridge.go/readPromotion"},
	} {
		r := reader{t: t, known: limits(t), fields: map[string]object{}, objects: map[string]string{"in": ""}}
		for _, f := range functions {
			file, name, _ := strings.Cut(f, "/")
			r.read(funcOf(t, "shared/api/"+file, name))
		}
		described := map[string]object{}
		d.flatten(d.schema(schema), "", described)
		if got, want := names(described), names(r.fields); !slices.Equal(got, want) {
			t.Errorf("%s describes %v, the code reads %v", schema, got, want)
			continue
		}
		for field, want := range r.fields {
			compareInput(t, schema+"."+field, described[field], want)
		}
	}
}

// limits are the constants that the rules are made of.
func limits(t *testing.T) scope {
	t.Helper()
	known := constants(t, "shared/api/limits.go")
	maps.Copy(known, scope{
		"task.Text": constant.MakeString(string(task.Text)), "task.JSON": constant.MakeString(string(task.JSON)),
		"task.Success": constant.MakeString(string(task.Success)), "task.Err": constant.MakeString(string(task.Err)),
		"worker.Online": constant.MakeString(string(worker.Online)),
	})
	return known
}

// flatten gives the fields of a schema by path, those of nested objects too.
func (d document) flatten(schema object, path string, into map[string]object) {
	required := texts(schema, "required")
	for name, p := range sub(schema, "properties") {
		field := maps.Clone(d.resolve(p).(object))
		maps.Copy(field, p.(object)) // what stands beside a $ref
		if slices.Contains(required, name) {
			field["required"] = true
		} else {
			delete(field, "required")
		}
		into[path+name] = field
		if field["type"] == "object" {
			d.flatten(d.resolve(p).(object), path+name+".", into)
		}
	}
}

// reader gathers what a function's calls say of each field.
type reader struct {
	t       *testing.T
	known   scope
	fields  map[string]object
	objects map[string]string // variable of an input → path of its object
}

func (r reader) read(f *ast.FuncDecl) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt: // policy := in.object("policy")
			if len(n.Lhs) == 1 && len(n.Rhs) == 1 {
				if c, ok := n.Rhs[0].(*ast.CallExpr); ok && method(c) == "object" {
					name, _ := literal(c.Args[0])
					r.objects[n.Lhs[0].(*ast.Ident).Name] = r.path(c.Fun.(*ast.SelectorExpr).X) + name + "."
				}
			}
		case *ast.IndexExpr: // in.fields["artifact_type"]: read only where it is there
			if s, ok := n.X.(*ast.SelectorExpr); ok && s.Sel.Name == "fields" {
				name, _ := literal(n.Index)
				r.field(r.path(s.X) + name)["there"] = true
			}
		case *ast.CallExpr:
			r.call(n)
		}
		return true
	})
}

func method(c *ast.CallExpr) string {
	if s, ok := c.Fun.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}

func (r reader) path(input ast.Expr) string {
	id, ok := input.(*ast.Ident)
	if !ok {
		return ""
	}
	return r.objects[id.Name]
}

func (r reader) field(path string) object {
	if r.fields[path] == nil {
		r.fields[path] = object{}
	}
	return r.fields[path]
}

func (r reader) value(e ast.Expr) any {
	if c, ok := e.(*ast.CallExpr); ok && len(c.Args) == 1 { // int64(task.DefaultTTL.Seconds())
		if inner, ok := c.Args[0].(*ast.CallExpr); ok && method(inner) == "Seconds" {
			return task.DefaultTTL.Seconds()
		}
	}
	v := r.known.eval(e)
	if v == nil {
		r.t.Fatalf("the value of %#v can't be told", e)
	}
	switch v.Kind() {
	case constant.String:
		return constant.StringVal(v)
	case constant.Bool:
		return constant.BoolVal(v)
	default:
		f, _ := constant.Float64Val(constant.ToFloat(v))
		return f
	}
}

// call notes the rules of one call that reads a field.
func (r reader) call(c *ast.CallExpr) {
	f := c.Fun
	if i, ok := f.(*ast.IndexExpr); ok { // oneOf[T]
		f = i.X
	}
	if id, ok := f.(*ast.Ident); ok && id.Name == "oneOf" {
		r.oneOf(c)
		return
	}
	s, ok := f.(*ast.SelectorExpr)
	if !ok || len(c.Args) == 0 {
		return
	}
	if id, ok := s.X.(*ast.Ident); !ok || !slices.Contains(names(r.objects), id.Name) {
		return
	}
	name, ok := literal(c.Args[0])
	if !ok {
		return
	}
	rules := r.field(r.path(s.X) + name)
	switch s.Sel.Name {
	case "required":
		maps.Copy(rules, object{"type": "string", "minLength": 1.0, "maxLength": r.value(c.Args[1]), "required": true})
	case "text":
		maps.Copy(rules, object{"type": "string", "maxLength": r.value(c.Args[1])})
	case "nullable":
		maps.Copy(rules, object{"type": "string", "null": true, "maxLength": r.value(c.Args[1])})
	case "stated":
		rules["null"] = true
	case "integer":
		maps.Copy(rules, object{"type": "integer", "default": r.value(c.Args[1]), "minimum": r.value(c.Args[2]), "maximum": r.value(c.Args[3])})
	case "number":
		maps.Copy(rules, object{"type": "number", "default": r.value(c.Args[1])})
	case "flag":
		maps.Copy(rules, object{"type": "boolean", "default": r.value(c.Args[1])})
	case "texts":
		maps.Copy(rules, object{"type": "array", "maxItems": r.value(c.Args[1]), "items": r.value(c.Args[2])})
	case "object":
		rules["type"] = "object"
	case "withinBytes":
		rules["bytes"] = r.value(c.Args[2])
	case "breaks":
		r.breaks(rules, c)
	}
}

func (r reader) oneOf(c *ast.CallExpr) {
	name, _ := literal(c.Args[1])
	rules := r.field(r.path(c.Args[0]) + name)
	rules["type"] = "string"
	if def := r.value(c.Args[2]); def != "" {
		rules["default"] = def
	} else {
		rules["required"] = true
	}
	var words []string
	if c.Ellipsis.IsValid() { // worker.Statuses...
		for _, s := range worker.Statuses {
			words = append(words, string(s))
		}
	} else {
		for _, a := range c.Args[3:] {
			words = append(words, r.value(a).(string))
		}
	}
	rules["enum"] = words
}

// breaks notes the rules that a reader checks itself.
func (r reader) breaks(rules object, c *ast.CallExpr) {
	rule, _ := literal(c.Args[1])
	switch {
	case rule == "is required":
		rules["must"] = true
	case strings.HasPrefix(rule, "must not be empty"):
		rules["minLength"] = 1.0
	case strings.Contains(rule, "%d bytes"):
		rules["bytes"] = r.value(c.Args[2])
	}
}

func compareInput(t *testing.T, field string, described, want object) {
	t.Helper()
	// A field that is asked for before it is read is optional, unless its absence is a fault.
	required := want["required"] == true && want["there"] != true || want["must"] == true
	if got := described["required"] == true; got != required {
		t.Errorf("%s: required %v, the code %v", field, got, required)
	}
	types := texts(described, "type")
	if len(types) == 0 {
		types = []string{str(described, "type")}
	}
	if null := slices.Contains(types, "null"); types[0] != want["type"] || null != (want["null"] == true) {
		t.Errorf("%s: type %v, the code reads %v, null %v", field, types, want["type"], want["null"])
	}
	for _, rule := range []string{"minLength", "maxLength", "minimum", "maximum", "maxItems"} {
		if field == "NewTask.policy.budget" {
			break // its bounds are those of every number
		}
		got, there := described[rule]
		if there != (want[rule] != nil) || there && fmt.Sprint(toFloat(got)) != fmt.Sprint(want[rule]) {
			t.Errorf("%s: %s %v, the code has %v", field, rule, got, want[rule])
		}
	}
	if got := at(described, "items", "maxLength"); (got != nil) != (want["items"] != nil) || got != nil && toFloat(got) != want["items"] {
		t.Errorf("%s: entries of at most %v, the code has %v", field, got, want["items"])
	}
	if want["enum"] != nil && !slices.Equal(texts(described, "enum"), want["enum"].([]string)) {
		t.Errorf("%s: one of %v, the code has %v", field, described["enum"], want["enum"])
	}
	if n, ok := want["bytes"].(float64); ok && !strings.Contains(str(described, "description"), thousands(int(n))+" bytes") {
		t.Errorf("%s: the description must say %s bytes", field, thousands(int(n)))
	}
	compareDefault(t, field, described["default"], want, required)
}

// compareDefault: what may be left out has a default, or says what happens then.
func compareDefault(t *testing.T, field string, got any, want object, required bool) {
	t.Helper()
	def := want["default"]
	if n, ok := got.(int); ok {
		got = float64(n)
	}
	switch {
	case required || want["null"] == true || want["type"] == "string" && def == nil:
		// artifact_type has its default in the struct that it is read into.
		if got != nil && got != "LLM_RESULT" {
			t.Errorf("%s: default %v, and there is none", field, got)
		}
	case want["type"] == "array":
		if l, ok := got.([]any); !ok || len(l) != 0 {
			t.Errorf("%s: default %v, the code has an empty list", field, got)
		}
	case want["type"] == "object":
		if o, ok := got.(object); !ok || len(o) != 0 {
			t.Errorf("%s: default %v, the code has an empty object", field, got)
		}
	case got != def:
		t.Errorf("%s: default %v, the code has %v", field, got, def)
	}
}

func toFloat(v any) float64 {
	f, err := strconv.ParseFloat(fmt.Sprint(v), 64)
	if err != nil {
		return -1
	}
	return f
}

// thousands writes 1048576 as 1,048,576.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TestNumbers: the bounds of numbers that are not whole.
func TestNumbers(t *testing.T) {
	t.Parallel()
	known := constants(t, "shared/api/input.go")
	budget := sub(openapi(t).schema("NewPolicy"), "properties", "budget")
	most, _ := constant.Float64Val(known["maxNumber"])
	least, _ := constant.Float64Val(known["minNumber"])
	if toFloat(budget["maximum"]) != most || toFloat(at(list(budget, "anyOf")[1], "minimum")) != least {
		t.Errorf("budget %v, the code has %v to %v", budget, least, most)
	}
	inline := thousands(number(t, "shared/api/limits.go", "maxInline"))
	for _, id := range []string{"listTasks", "claimTasks"} {
		for _, o := range openapi(t).operations() {
			if o.object["operationId"] == id && !strings.Contains(str(o.object, "description"), inline+" bytes") {
				t.Errorf("%s must say that prompts over %s bytes are treated otherwise", id, inline)
			}
		}
	}
}
