package infra_test

import (
	"go/ast"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/shared/fault"
	"github.com/bloom-runtime/bloom/shared/task"
	"github.com/bloom-runtime/bloom/shared/worker"
)

// views are the schemas of answers by the struct that is encoded: a type by its
// name, or the n-th struct within a function.
var views = map[string]struct {
	file, name string
	n          int // of a function: which struct; -1 = name is a type
}{
	"Task":           {"api/views.go", "taskView", -1},
	"Lease":          {"api/views.go", "leaseView", -1},
	"Worker":         {"api/views.go", "workerView", -1},
	"Artifact":       {"api/views.go", "artifactView", -1},
	"Result":         {"api/views.go", "resultView", -1},
	"AuditEntry":     {"api/views.go", "auditView", -1},
	"Config":         {"api/views.go", "configView", -1},
	"Error":          {"api/handle.go", "errorBody", -1},
	"Claim":          {"api/claim_tasks.go", "claimView", -1},
	"Completed":      {"api/complete_task.go", "completeView", -1},
	"ConnectionTest": {"api/test_connection.go", "connectionView", -1},
	"Stats":          {"api/get_stats.go", "statsView", -1},
	"Policy":         {"task/task.go", "Policy", -1},
	"Metrics":        {"task/artifact.go", "Metrics", -1},
	"Capabilities":   {"worker/worker.go", "Capabilities", -1},
	"Claims":         {"api/claim_tasks.go", "ClaimTasks", 0},
	"Heartbeat":      {"api/heartbeat_task.go", "HeartbeatTask", 0},
	"Leased":         {"api/lease_task.go", "LeaseTask", 0},
	"Dispatched":     {"api/dispatch_task.go", "DispatchTask", 0},
	"WorkerDetail":   {"api/workers.go", "GetWorker", 0},
	"Removed":        {"api/workers.go", "RemoveWorker", 0},
	"Health":         {"api/health.go", "Health", 1},

	"MembridgeProject": {"membridge/protocol.go", "Project", -1},
	"Node":             {"membridge/protocol.go", "Node", -1},
	"Leadership":       {"membridge/protocol.go", "Leadership", -1},
	"Promotion":        {"membridge/protocol.go", "Promotion", -1},
}

// named are the schemas of named types.
var named = map[string]string{
	"taskView": "Task", "leaseView": "Lease", "workerView": "Worker", "artifactView": "Artifact", "resultView": "Result", "claimView": "Claim", "Node": "Node",
	"clock.Millis": "Timestamp", "task.Policy": "Policy", "task.Format": "Format", "task.Status": "TaskStatus", "task.LeaseStatus": "LeaseStatus",
	"task.Metrics": "Metrics", "task.Outcome": "Outcome", "worker.Status": "WorkerStatus", "worker.Capabilities": "Capabilities", "fault.Code": "ErrorCode",
}

// TestViews: every field of an answer is described, with its type, whether it may
// be null, and whether it may be absent.
func TestViews(t *testing.T) {
	t.Parallel()
	d := openapi(t)
	for schema, v := range views {
		path := "shared/" + v.file
		var s *ast.StructType
		if v.n < 0 {
			s = structOf(t, path, v.name)
		} else {
			s = structsIn(funcOf(t, path, v.name))[v.n]
		}
		compareView(t, schema, d.schema(schema), s)
	}
	link := structsIn(funcOf(t, "shared/api/health.go", "Health"))[0]
	compareView(t, "Health.membridge", sub(d.schema("Health"), "properties", "membridge"), link)
	for _, o := range d.operations() {
		for status, r := range sub(o.object, "responses") {
			ref := str(d.resolve(r), "content", "application/json", "schema", "$ref")
			name := strings.TrimPrefix(ref, "#/components/schemas/")
			if _, known := views[name]; ref != "" && !known {
				t.Errorf("%s answers %s with %s, which no struct is held to", o, status, name)
			}
		}
	}
}

func structOf(t *testing.T, path, name string) (s *ast.StructType) {
	t.Helper()
	ast.Inspect(parse(t, path), func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
			s, _ = spec.Type.(*ast.StructType)
		}
		return true
	})
	if s == nil {
		t.Fatalf("%s has no struct %s", path, name)
	}
	return s
}

func structsIn(f *ast.FuncDecl) (all []*ast.StructType) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.StructType); ok {
			all = append(all, s)
		}
		return true
	})
	return all
}

func compareView(t *testing.T, name string, schema object, s *ast.StructType) {
	t.Helper()
	if parts := list(schema, "allOf"); parts != nil { // WorkerDetail: a worker, and more
		schema = parts[1].(object)
	}
	properties, required := sub(schema, "properties"), texts(schema, "required")
	var fields, always []string
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue // embedded
		}
		tag, _ := literal(f.Tag)
		field, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		fields = append(fields, field)
		if options != "omitempty" {
			always = append(always, field)
		}
		compareType(t, name+"."+field, sub(properties, field), f.Type)
	}
	slices.Sort(fields)
	slices.Sort(always)
	slices.Sort(required)
	if got := names(properties); !slices.Equal(got, fields) {
		t.Errorf("%s describes %v, the code sends %v", name, got, fields)
	}
	if !slices.Equal(required, always) {
		t.Errorf("%s: always there are %v, the code always sends %v", name, required, always)
	}
}

// compareType holds a described field to a type of Go.
func compareType(t *testing.T, field string, described object, e ast.Expr) {
	t.Helper()
	null := false
	if p, ok := e.(*ast.StarExpr); ok {
		null, e = true, p.X
	}
	types := texts(described, "type")
	if len(types) == 0 {
		types = []string{str(described, "type")}
	}
	if slices.Contains(types, "null") != null {
		t.Errorf("%s: %v, the code may send null: %v", field, types, null)
	}
	wrong := func(want string) {
		if types[0] != want {
			t.Errorf("%s: %v, the code sends %s", field, types, want)
		}
	}
	switch e := e.(type) {
	case *ast.ArrayType:
		wrong("array")
		compareType(t, field+"[]", sub(described, "items"), e.Elt)
	case *ast.MapType:
		wrong("object")
		compareType(t, field+"{}", sub(described, "additionalProperties"), e.Value)
	case *ast.StructType:
		wrong("object")
		compareView(t, field, described, e)
	case *ast.Ident:
		if e.Name == "link" {
			wrong("object")
			return
		}
		if want := map[string]string{"string": "string", "int": "integer", "int64": "integer", "float64": "number", "bool": "boolean"}[e.Name]; want != "" {
			wrong(want)
			return
		}
		compareRef(t, field, described, e.Name)
	case *ast.SelectorExpr:
		if name := e.X.(*ast.Ident).Name + "." + e.Sel.Name; name != "json.RawMessage" {
			compareRef(t, field, described, name)
		}
	default:
		t.Errorf("%s: %T", field, e)
	}
}

func compareRef(t *testing.T, field string, described object, name string) {
	t.Helper()
	if want := named[name]; want == "" || str(described, "$ref") != "#/components/schemas/"+want {
		t.Errorf("%s: %v, the code sends %s", field, described, name)
	}
}

// TestWords: the words that a field may have are those of the code, in its order.
func TestWords(t *testing.T) {
	t.Parallel()
	d := openapi(t)
	for schema, want := range map[string][]string{
		"TaskStatus":   words(task.Statuses),
		"LeaseStatus":  words(task.LeaseStatuses),
		"WorkerStatus": words(worker.Statuses),
		"Format":       {string(task.Text), string(task.JSON)},
		"Outcome":      {string(task.Success), string(task.Err)},
	} {
		if got := texts(d.schema(schema), "enum"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, the code has %v", schema, got, want)
		}
	}
	codes := append(stringConstants(t, "shared/fault/fault.go"), "unauthorized", "forbidden", "method_not_allowed", "throttled", "timeout")
	slices.Sort(codes)
	got := texts(d.schema("ErrorCode"), "enum")
	slices.Sort(got)
	if !slices.Equal(got, codes) || !slices.Contains(codes, string(fault.LeaseLost)) {
		t.Errorf("codes %v, the code and the gateway have %v", got, codes)
	}
}

func words[S ~string](all []S) (out []string) {
	for _, s := range all {
		out = append(out, string(s))
	}
	return out
}

// TestActions: every action that the code audits is named, and no other.
func TestActions(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, path := range []string{
		"shared/task/task.go", "shared/task/transitions.go", "shared/dynamo/workers.go", "shared/dynamo/claim.go", "shared/dynamo/remove_worker.go",
		"shared/dynamo/config.go", "shared/dynamo/sync_worker.go", "shared/api/test_connection.go", "shared/api/membridge.go",
	} {
		ast.Inspect(parse(t, path), func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr: // Action: "task_leased"
				if id, ok := n.Key.(*ast.Ident); ok && id.Name == "Action" {
					note(known, n.Value)
				}
			case *ast.AssignStmt: // s.To, s.Action = t.rest(Dead, now), "task_dead"
				for i, l := range n.Lhs {
					if s, ok := l.(*ast.SelectorExpr); ok && s.Sel.Name == "Action" && i < len(n.Rhs) {
						note(known, n.Rhs[i])
					}
				}
			}
			return true
		})
	}
	text := str(openapi(t).schema("AuditEntry"), "properties", "action", "description")
	listed, _, _ := strings.Cut(text, ";")
	described := strings.FieldsFunc(listed, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	slices.Sort(described)
	if want := names(known); !slices.Equal(described, want) {
		t.Errorf("described:\n%v\nthe code has:\n%v", described, want)
	}
}

func note(known map[string]bool, e ast.Expr) {
	if action, ok := literal(e); ok {
		known[action] = true
	}
}
