package expr

import (
	"slices"
	"strings"
	"testing"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

func checkUpdate(t testing.TB, src string) (*Update, Args, error) {
	t.Helper()
	u, err := ParseUpdate(src)
	if err != nil {
		return nil, Args{}, err
	}
	a := argsFor(t, src)
	return u, a, u.Check(a)
}

// TestApply gives for each update what becomes of the attributes that it changes; null: the attribute goes.
func TestApply(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"SET a = :n":                                      `{"a":{"N":"5"}}`,
		"set q = a, #x = n":                               `{"q":{"S":"x"},"x y":{"N":"5"}}`,
		"set a = n, n = a":                                `{"a":{"N":"5"},"n":{"S":"x"}}`,
		"set n = n + :k":                                  `{"n":{"N":"7.5"}}`,
		"set n = :k - n":                                  `{"n":{"N":"-2.5"}}`,
		"set n = (n + b)":                                 `{"n":{"N":"12"}}`,
		"set n = ((n) - (b))":                             `{"n":{"N":"-2"}}`,
		"set n = (n) + (b)":                               `{"n":{"N":"12"}}`,
		"set n = if_not_exists(n, :k)":                    `{"n":{"N":"5"}}`,
		"set q = if_not_exists(q, :k)":                    `{"q":{"N":"2.5"}}`,
		"set q = if_not_exists(q, :n) + n":                `{"q":{"N":"10"}}`,
		"set q = if_not_exists(q, if_not_exists(zz, :n))": `{"q":{"N":"5"}}`,
		"set q = list_append(:l, :e)":                     `{"q":{"L":[{"N":"1"}]}}`,
		"set q = list_append(if_not_exists(q, :e), :l)":   `{"q":{"L":[{"N":"1"}]}}`,
		"set m.b = a":                                     `{"m":{"M":{"b":{"S":"x"},"c":{"M":{"d":{"S":"q"}}}}}}`,
		"set m.made = a, m.c.d = n":                       `{"m":{"M":{"b":{"N":"1"},"made":{"S":"x"},"c":{"M":{"d":{"N":"5"}}}}}}`,
		"set l[1] = a":                                    `{"l":{"L":[{"N":"1"},{"S":"x"},{"M":{"b":{"N":"3"}}}]}}`,
		"set l[9] = n, l[7] = a, l[2].b = l[0]":           `{"l":{"L":[{"N":"1"},{"N":"2"},{"M":{"b":{"N":"1"}}},{"S":"x"},{"N":"5"}]}}`,
		"remove l[0] set l[1] = a":                        `{"l":{"L":[{"S":"x"},{"M":{"b":{"N":"3"}}}]}}`,
		"set l[0] = l[1], l[1] = l[0]":                    `{"l":{"L":[{"N":"2"},{"N":"1"},{"M":{"b":{"N":"3"}}}]}}`,
		"remove l[0], l[1], l[2]":                         `{"l":{"L":[]}}`,
		"remove l[9], q, m.zz":                            `{}`,
		"REMOVE a, m.b, l[2].b":                           `{"a":null,"m":{"M":{"c":{"M":{"d":{"S":"q"}}}}},"l":{"L":[{"N":"1"},{"N":"2"},{"M":{}}]}}`,
		"remove m.b, m.c":                                 `{"m":{"M":{}}}`,
		"ADD n :k":                                        `{"n":{"N":"7.5"}}`,
		"add q :k, m.q :n, m.b :n":                        `{"q":{"N":"2.5"},"m":{"M":{"b":{"N":"6"},"q":{"N":"5"},"c":{"M":{"d":{"S":"q"}}}}}}`,
		"add l[0] :n, l[5] :k":                            `{"l":{"L":[{"N":"6"},{"N":"2"},{"M":{"b":{"N":"3"}}},{"N":"2.5"}]}}`,
		"add ss :ss, q :ns":                               `{"ss":{"SS":["a","b","c","z"]},"q":{"NS":["9"]}}`,
		"DELETE ss :ss":                                   `{"ss":{"SS":["b","c"]}}`,
		"delete ss :abc, q :abc, bs :bs":                  `{"ss":null,"bs":null}`,
		"set q = :x remove a add n :n delete ns :ns":      `{"q":{"S":"x"},"a":null,"n":{"N":"10"},"ns":{"NS":["10"]}}`,
	} {
		checkApply(t, src, want)
	}
}

func checkApply(t *testing.T, src, want string) {
	t.Helper()
	u, a, err := checkUpdate(t, src)
	if err != nil {
		t.Errorf("%s: %v", src, err)
		return
	}
	changes, _, err := value.ParseEach(want) // null: the attribute is gone
	if err != nil {
		t.Fatal(err)
	}
	old := item(t, testItem)
	expected := old.With(changes)
	got, err := u.Apply(old, a)
	if err != nil || !value.EqualItems(got, expected) {
		t.Errorf("%s gives %s, %v; want %s", src, value.AppendItem(nil, got), err, value.AppendItem(nil, expected))
	}
	if !value.EqualItems(old, item(t, testItem)) {
		t.Errorf("%s changed the old item to %s", src, value.AppendItem(nil, old))
	}
}

func TestApplyToNothing(t *testing.T) {
	t.Parallel()
	u, a, err := checkUpdate(t, "set q = :x add n :n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := u.Apply(nil, a)
	if want := item(t, `{"q":{"S":"x"},"n":{"N":"5"}}`); err != nil || !value.EqualItems(got, want) {
		t.Errorf("Apply(nil) = %v, %v", got, err)
	}
}

// Apply stays sound where Check would have refused the update, and where a map was never made.
func TestApplyUnchecked(t *testing.T) {
	t.Parallel()
	u, err := ParseUpdate("set m.b = n, m = a, l[0] = n, l.b = n, q = :undefined add n :undefined")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := u.Apply(item(t, testItem), Args{}); err == nil {
		t.Errorf("overlapping paths give %v", got)
	}
	u, err = ParseUpdate("set m.b = n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := u.Apply(value.NewItem([]value.Field{{Name: "m", Value: value.Map(nil)}, {Name: "n", Value: value.Int(1)}}), Args{})
	if err != nil || got.Get("m").Map().Get("b").Text() != "1" {
		t.Errorf("a map without fields: %v, %v", got, err)
	}
}

func TestApplyFaults(t *testing.T) {
	t.Parallel()
	const (
		missing = "The provided expression refers to an attribute that does not exist in the item"
		wrong   = "An operand in the update expression has an incorrect data type"
		path    = "The document path provided in the update expression is invalid for update"
	)
	for src, want := range map[string]string{
		"set q = zz":                       missing,
		"set q = n + zz":                   missing,
		"set q = zz - n":                   missing,
		"set q = list_append(zz, l)":       missing,
		"set q = list_append(l, zz)":       missing,
		"set q = a.b":                      missing,
		"set q = :x, n = q":                missing,
		"set q = if_not_exists(a, zz)":     missing,
		"set q = if_not_exists(zz, q)":     missing,
		"set q = a + n":                    wrong,
		"set q = n + a":                    wrong,
		"set q = list_append(a, l)":        wrong,
		"set q = list_append(l, a)":        wrong,
		"set q = if_not_exists(q, :x) + n": wrong,
		"add a :n":                         wrong,
		"add n :ss":                        wrong,
		"add ss :ns":                       wrong,
		"add ns :n":                        wrong,
		"delete a :ss":                     wrong,
		"delete ns :ss":                    wrong,
		"add l[0] :ss":                     wrong,
		"set q.b = n":                      path,
		"set a.b = n":                      path,
		"set l.b = n":                      path,
		"set m[0] = n":                     path,
		"set q[0] = n":                     path,
		"set m.q.r = n":                    path,
		"set l[9].b = n":                   path,
		"set q.b = zz":                     path,
		"remove q.b":                       path,
		"remove a.b":                       path,
		"remove a[0]":                      path,
		"remove q[0]":                      path,
		"remove m[1]":                      path,
		"remove l.b":                       path,
		"add q.r :n":                       path,
		"delete q.r :ss":                   path,
		"remove l[2].b.c":                  path,
		"set q = :big + :big":              "Number overflow. Attempting to store a number with magnitude larger than supported range",
		"set q = n + :tiny":                "Number overflow. Attempting to store a number with magnitude larger than supported range",
		"add n :tiny":                      "Number overflow. Attempting to store a number with magnitude larger than supported range",
	} {
		u, a, err := checkUpdate(t, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := u.Apply(item(t, testItem), a); message(t, err) != want {
			t.Errorf("%s: %v, %v; want %s", src, got, err, want)
		}
	}
}

func TestApplyNesting(t *testing.T) {
	t.Parallel()
	deep := value.String("leaf")
	for range value.MaxLevels - 1 {
		deep = value.List([]value.Value{deep})
	}
	old := value.Item{{Name: "m", Value: value.Map(value.Item{})}}
	a := Args{Values: value.Item{{Name: ":deep", Value: deep}}}
	for src, want := range map[string]string{"set q = :deep": "", "set m.q = :deep": "Nesting Levels have exceeded supported limits"} {
		u, err := ParseUpdate(src)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Apply(old, a); message(t, err) != want {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestUpdateFaults(t *testing.T) {
	t.Parallel()
	const (
		overlap  = "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: "
		conflict = "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: "
		operands = "Incorrect number of operands for operator or function; operator or function: "
		wrong    = "Incorrect operand type for operator or function; operator or function: "
		misused  = "The function is not allowed to be used this way in an expression; function: "
	)
	for src, want := range map[string]string{
		"":                            "The expression can not be empty;",
		"set a = n set b = n":         `The "SET" section can only be used once in an update expression;`,
		"remove a set b = n remove n": `The "REMOVE" section can only be used once in an update expression;`,
		"add a :n set b = n add n :n": `The "ADD" section can only be used once in an update expression;`,
		"delete a :ss delete b :ss":   `The "DELETE" section can only be used once in an update expression;`,
		"set a = foo(n)":              "Invalid function name; function: foo",
		"set a = LIST_APPEND(l, l)":   "Invalid function name; function: LIST_APPEND",
		"set a = size(n)":             "The function is not allowed in an update expression; function: size",
		"set a = list_append(list_append(l, l), l)":     misused + "list_append",
		"set a = if_not_exists(q, list_append(l, l))":   misused + "list_append",
		"set a = n + list_append(l, l)":                 misused + "list_append",
		"set a = list_append(l, l) - n":                 misused + "list_append",
		"set status = n":                                "Attribute name is a reserved keyword; reserved keyword: status",
		"remove a.Absolute":                             "Attribute name is a reserved keyword; reserved keyword: Absolute",
		"set q = (((n) + b))":                           "The expression has redundant parentheses;",
		"set q = ((n))":                                 "The expression has redundant parentheses;",
		"set q = ((n + n))":                             "The expression has redundant parentheses;",
		"set #q = n":                                    "An expression attribute name used in the document path is not defined; attribute name: #q",
		"set a = #q":                                    "An expression attribute name used in the document path is not defined; attribute name: #q",
		"set a = :q":                                    "An expression attribute value used in expression is not defined; attribute value: :q",
		"add a :q":                                      "An expression attribute value used in expression is not defined; attribute value: :q",
		"set a = if_not_exists(:q)":                     "An expression attribute value used in expression is not defined; attribute value: :q",
		"set a = n remove a":                            overlap + "[a], path two: [a]",
		"set m.b = n, m = a":                            overlap + "[m, b], path two: [m]",
		"remove #a, a":                                  overlap + "[a], path two: [a]",
		"set l[1].a = n, l[1] = a":                      overlap + "[l, [1], a], path two: [l, [1]]",
		"set a.b = n, a[1] = n":                         conflict + "[a, b], path two: [a, [1]]",
		"remove a.b set a[1] = n":                       conflict + "[a, b], path two: [a, [1]]",
		"set l[3].#i = a, l.#i[3] = n":                  conflict + "[l, [3], [3]], path two: [l, [3], [3]]",
		"set a = list_append(l)":                        operands + "list_append, number of operands: 1",
		"set a = if_not_exists(n)":                      operands + "if_not_exists, number of operands: 1",
		"set a = if_not_exists(:n, n)":                  "Operator or function requires a document path; operator or function: if_not_exists",
		"set a = if_not_exists(if_not_exists(a, n), n)": "Operator or function requires a document path; operator or function: if_not_exists",
		"set a = if_not_exists(n, n)":                   "The first operand must be distinct from the remaining operands for this operator or function; operator: if_not_exists, first operand: [n]",
		"set a = list_append(:x, l)":                    wrong + "list_append, operand type: S",
		"set a = list_append(l, :m)":                    wrong + "list_append, operand type: M",
		"set a = n + :x":                                wrong + "+, operand type: S",
		"set a = :ss - n":                               wrong + "-, operand type: SS",
		"add a :x":                                      "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
		"add a :l":                                      "Incorrect operand type for operator or function; operator: ADD, operand type: LIST, typeSet: ALLOWED_FOR_ADD_OPERAND",
		"delete a :n":                                   "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
		"delete a :t":                                   "Incorrect operand type for operator or function; operator: DELETE, operand type: BOOLEAN, typeSet: ALLOWED_FOR_DELETE_OPERAND",
		"set q = :x + n add a :bi":                      "Incorrect operand type for operator or function; operator: ADD, operand type: BINARY, typeSet: ALLOWED_FOR_ADD_OPERAND",
		"set " + strings.Repeat("a = n+n, ", 300) + "b = n + n": "The expression contains too many operators; operator count: 301",
	} {
		if _, _, err := checkUpdate(t, src); message(t, err) != "Invalid UpdateExpression: "+want {
			t.Errorf("%s: %v; want %s", src, err, want)
		}
	}
}

func TestUpdateSyntax(t *testing.T) {
	t.Parallel()
	for src, want := range map[string][2]string{
		"INVALID SYNTAX HERE":             {"INVALID", "INVALID SYNTAX"},
		"SET":                             {"<EOF>", "SET"},
		"SET a":                           {"<EOF>", "a"},
		"SET a = ":                        {"<EOF>", "= "},
		"set :a = b":                      {":a", "set :a ="},
		"set a = b / c":                   {"/", "b / c"},
		"set a = b + c + n":               {"+", "c + n"},
		"set (a = n)":                     {"(", "set (a"},
		"set a=set":                       {"set", "=set"},
		"set a b":                         {"b", "a b"},
		"remove a = b":                    {"=", "a = b"},
		"add a b":                         {"b", "a b"},
		"delete a if_not_exists(b)":       {"if_not_exists", "a if_not_exists("},
		"set a = n, ":                     {"<EOF>", ", "},
		"set a = if_not_exists(q, n + n)": {"+", "n + n"},
		"set z = ((n)":                    {"<EOF>", ")"},
		"set a = n remove":                {"<EOF>", "remove"},
		"set a[b] = n":                    {"b", "[b]"},
		"ADD  SET #c = :n":                {"SET", "ADD  SET #c"},
		"set a = n = b":                   {"=", "n = b"},
		"set _1 = :n":                     {"_", "set _1"},
		`set a = {"NULL": true}`:          {"{", `= {"`},
		"set a = VALUE 1":                 {"1", "VALUE 1"},
		"set a = (b).c + n":               {".", ").c"},
		"set a = b + (c + n)":             {"+", "c + n"},
	} {
		_, err := ParseUpdate(src)
		if text := `Invalid UpdateExpression: Syntax error; token: "` + want[0] + `", near: "` + want[1] + `"`; message(t, err) != text {
			t.Errorf("%s: %v; want %s", src, err, text)
		}
	}
}

func TestTouched(t *testing.T) {
	t.Parallel()
	for src, want := range map[string][2]string{
		"set a = :n, q = :n":   {`{"a":{"S":"x"}}`, `{"a":{"N":"5"},"q":{"N":"5"}}`},
		"remove a":             {`{"a":{"S":"x"}}`, `{}`},
		"set m.b = :n":         {`{"m":{"M":{"b":{"N":"1"}}}}`, `{"m":{"M":{"b":{"N":"5"}}}}`},
		"set m.made = :n":      {`{}`, `{"m":{"M":{"made":{"N":"5"}}}}`},
		"set l[1] = :n, n = b": {`{"l":{"L":[{"N":"2"}]},"n":{"N":"5"}}`, `{"l":{"L":[{"N":"5"}]},"n":{"N":"7"}}`},
		"set l[9] = :n":        {`{}`, `{}`},
		"remove l[0]":          {`{"l":{"L":[{"N":"1"}]}}`, `{"l":{"L":[{"N":"2"}]}}`},
	} {
		u, a, err := checkUpdate(t, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		old := item(t, testItem)
		updated, err := u.Apply(old, a)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		}
		for i, got := range []value.Item{u.Touched(old, a), u.Touched(updated, a)} {
			if got == nil || !value.EqualItems(got, item(t, want[i])) {
				t.Errorf("%s touched %s; want %s", src, value.AppendItem(nil, got), want[i])
			}
		}
	}
}

func TestUpdateTopLevel(t *testing.T) {
	t.Parallel()
	u, a, err := checkUpdate(t, "set #m.b = :n, m.q = :n remove a add n :k delete ss :ss")
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(u.TopLevel(a)); !slices.Equal(got, []string{"m", "m", "a", "n", "ss"}) {
		t.Errorf("TopLevel = %v", got)
	}
	uses := u.Uses()
	if !slices.Equal(uses.Names, []string{"#m"}) || !slices.Equal(uses.Values, []string{":n", ":k", ":ss"}) {
		t.Errorf("Uses = %v", uses)
	}
}
