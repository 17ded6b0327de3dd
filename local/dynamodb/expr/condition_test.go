package expr

import (
	"slices"
	"strings"
	"testing"
)

// checkCondition parses and checks a filter with the test's placeholders.
func checkCondition(t testing.TB, src string) (*Condition, Args, error) {
	t.Helper()
	c, err := ParseCondition(src, FilterExpression)
	if err != nil {
		return nil, Args{}, err
	}
	a := argsFor(t, src)
	return c, a, c.Check(a)
}

func TestEval(t *testing.T) {
	t.Parallel()
	it := item(t, testItem)
	for src, want := range map[string]bool{
		"a = :x":                        true,
		"a = :n":                        false,
		"n = :n":                        true,
		":n = n":                        true,
		"n <> :n":                       false,
		"n <> :x":                       true,
		"n <> :k":                       true,
		"q = :x":                        false,
		"q <> :x":                       true,
		"q = zz":                        false,
		"q <> zz":                       true,
		"NOT q = :x":                    true,
		"n > :k":                        true,
		"n < :k":                        false,
		"n >= :n":                       true,
		"n <= :n":                       true,
		"n > :x":                        false,
		"n < :x":                        false,
		"q < :n":                        false,
		"n < b":                         true,
		"bi <= :bi":                     true,
		"l = :l":                        false,
		"ss = :abc":                     true,
		"nu = :z":                       true,
		"t = :t":                        true,
		"m.c = :m":                      false,
		"n BETWEEN :k AND b":            true,
		"b between n and :n":            false,
		"a between :lo and :hi":         true,
		"n between :lo and :hi":         false,
		"q between :lo and :hi":         false,
		"a IN (:lo, :x)":                true,
		"a in (n, b)":                   false,
		"q in (:x)":                     false,
		"n in (b, :n)":                  true,
		"l[0] in (m.b)":                 true,
		"attribute_exists(a)":           true,
		"attribute_exists(q)":           false,
		"attribute_exists(m.c.d)":       true,
		"attribute_exists(l[2].b)":      true,
		"attribute_exists(l[3])":        false,
		"attribute_exists(a.b)":         false,
		"attribute_exists(l.b)":         false,
		"attribute_exists(m[0])":        false,
		"attribute_not_exists(q)":       true,
		"attribute_not_exists(a)":       false,
		"attribute_exists(#x)":          true,
		"attribute_exists(nu)":          true,
		"attribute_type(a, :S)":         true,
		"attribute_type(n, :S)":         false,
		"attribute_type(q, :S)":         false,
		"begins_with(a, :x)":            true,
		"begins_with(a, :empty)":        true,
		"begins_with(a, :lo)":           false,
		"begins_with(bi, :bi)":          true,
		"begins_with(bi, :x)":           false,
		"begins_with(n, :x)":            false,
		"begins_with(q, :x)":            false,
		"contains(a, :x)":               true,
		"contains(a, :empty)":           true,
		"contains(a, :n)":               false,
		"contains(ss, :lo)":             true,
		"contains(ss, :x)":              false,
		"contains(ns, :n)":              false,
		"contains(:ns, n)":              false,
		"contains(l, m.b)":              true,
		"contains(l, :x)":               false,
		"contains(l, :m)":               false,
		"contains(bi, :bi)":             true,
		"contains(bs, bi)":              false,
		"contains(q, :x)":               false,
		"contains(a, q)":                false,
		"contains(m, :x)":               false,
		"contains(ss, :n)":              false,
		"contains(ns, :x)":              false,
		"contains(bs, :x)":              false,
		"size(a) = l[0]":                true,
		"size(u) < n":                   true,
		"size(u) > l[1]":                true,
		"size(l) = l[2].b":              true,
		"size(ss) > size(ns)":           true,
		"size(m) = l[1]":                true,
		"size(bi) = l[1]":               true,
		"size(n) = n":                   false,
		"size(q) = n":                   false,
		"size(bs) = m.b":                true,
		"a = :x AND n = :n":             true,
		"a = :x AND n = :k":             false,
		"a = :lo OR n = :n":             true,
		"a = :lo OR n = :k":             false,
		"a = :x OR a = :x AND n = :k":   true,
		"(a = :x OR a = :x) AND n = :k": false,
		"NOT a = :x AND n = :k":         false,
		"NOT (a = :x AND n = :k)":       true,
		"NOT NOT a = :x":                true,
		"(a) = (:x)":                    true,
		"(a = :x) AND (n = :n)":         true,
		"contains((a), (:x))":           true,
		"#a = :x":                       true,
		"#m.#b = l[0]":                  true,
		"m . c . d <> :x":               true,
		"l[ 0 ] = m.b":                  true,
		"a=:x\tand\r\nn=:n":             true,
	} {
		c, a, err := checkCondition(t, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := c.Eval(it, a); got != want || err != nil {
			t.Errorf("%s = %t, %v", src, got, err)
		}
	}
}

func TestEvalWithoutItem(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]bool{
		"attribute_not_exists(a)": true,
		"attribute_exists(a)":     false,
		"a = :x":                  false,
		"a <> :x":                 true,
		"m.b = :n":                false,
		"size(a) = :n":            false,
		":x = :x":                 true,
	} {
		c, a, err := checkCondition(t, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, _ := c.Eval(nil, a); got != want {
			t.Errorf("%s = %t", src, got)
		}
	}
}

func TestConditionFaults(t *testing.T) {
	t.Parallel()
	const (
		redundant = "The expression has redundant parentheses;"
		misused   = "The function is not allowed to be used this way in an expression; function: "
		operands  = "Incorrect number of operands for operator or function; operator or function: "
		wrong     = "Incorrect operand type for operator or function; operator or function: "
		path      = "Operator or function requires a document path; operator or function: "
		distinct  = "The first operand must be distinct from the remaining operands for this operator or function; operator: "
		name      = "An expression attribute name used in the document path is not defined; attribute name: "
		undefined = "An expression attribute value used in expression is not defined; attribute value: "
	)
	for src, want := range map[string]string{
		"":                                      "The expression can not be empty;",
		"((a)) = n":                             redundant,
		"((a = n))":                             redundant,
		"a = n AND ((b = n AND n = b))":         redundant,
		"attribute_exists(((a)))":               redundant,
		"a = (((n)))":                           redundant,
		"((foo(a)))":                            redundant,
		"a = n and ((b = n)) and (":             redundant,
		"foo(a) = n":                            "Invalid function name; function: foo",
		"attRIbute_exIsts(a)":                   "Invalid function name; function: attRIbute_exIsts",
		"foo(status)":                           "Invalid function name; function: foo",
		"if_not_exists(a, n)":                   "The function is not allowed in a condition expression; function: if_not_exists",
		"size(a)":                               misused + "size",
		"n = b and size(a)":                     misused + "size",
		"NOT size(a)":                           misused + "size",
		"attribute_exists(a) = n":               misused + "attribute_exists",
		"size(contains(a, n)) = n":              misused + "contains",
		"n in (b, begins_with(a, b))":           misused + "begins_with",
		"n between b and contains(a, b)":        misused + "contains",
		"size(begins_with(a, b))":               misused + "size",
		"size(a) and foo(a)":                    misused + "size",
		"status = a":                            "Attribute name is a reserved keyword; reserved keyword: status",
		"a.abOrT = n":                           "Attribute name is a reserved keyword; reserved keyword: abOrT",
		"size = a":                              "Attribute name is a reserved keyword; reserved keyword: size",
		"status = a and foo(a)":                 "Attribute name is a reserved keyword; reserved keyword: status",
		"foo(a) and status = a":                 "Invalid function name; function: foo",
		"l[2147483648] = n":                     "List index is not within the allowable range; index: [2147483648]",
		"m" + strings.Repeat(".a", 32) + " = n": "The document path has too many nesting levels; nesting levels: 33",
		"#q = n":                                name + "#q",
		"a.#q = n":                              name + "#q",
		"a.:x = n":                              name + ":x",
		"a = #q and b = :q":                     name + "#q",
		"#q = :q":                               name + "#q",
		"a = :q":                                undefined + ":q",
		"begins_with(:q, #q)":                   undefined + ":q",
		"contains(a) and a = :q":                operands + "contains, number of operands: 1",
		"attribute_exists(a, b)":                operands + "attribute_exists, number of operands: 2",
		"begins_with(a, b, n)":                  operands + "begins_with, number of operands: 3",
		"size(a, b) = n":                        operands + "size, number of operands: 2",
		"attribute_exists(:x)":                  path + "attribute_exists",
		"attribute_not_exists(size(a))":         path + "attribute_not_exists",
		"a = a":                                 distinct + "=, first operand: [a]",
		"#a <> a":                               distinct + "<>, first operand: [a]",
		"contains(l[0].#b, l[0].b)":             distinct + "contains, first operand: [l, [0], b]",
		"n in (a, n)":                           distinct + "IN, first operand: [n]",
		"n between a and n":                     distinct + "BETWEEN, first operand: [n]",
		"attribute_type(a, a)":                  distinct + "attribute_type, first operand: [a]",
		"begins_with(a, :n)":                    wrong + "begins_with, operand type: N",
		"begins_with(:ss, a)":                   wrong + "begins_with, operand type: SS",
		"begins_with(a, size(b))":               wrong + "begins_with, operand type: N",
		"size(:n) = n":                          wrong + "size, operand type: N",
		"size(:t) = n":                          wrong + "size, operand type: BOOL",
		"size(size(a)) = n":                     wrong + "size, operand type: N",
		"a < :t":                                wrong + "<, operand type: BOOL",
		":l >= a":                               wrong + ">=, operand type: L",
		"n between :m and nu":                   wrong + "BETWEEN, operand type: M",
		"nu between :m and nu":                  wrong + "BETWEEN, operand type: M",
		"attribute_type(a, :n)":                 wrong + "attribute_type, operand type: N",
		"attribute_type(a, size(b))":            wrong + "attribute_type, operand type: N",
		"attribute_type(a, b)":                  wrong + "attribute_type, operand type: {NS,SS,L,BS,N,M,B,BOOL,NULL,S}",
		"attribute_type(a, :x)":                 "Invalid attribute type name found; type: x, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
		"a between :hi and :lo":                 "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:z}, upper bound operand: AttributeValue: {S:a}",
		"a between :bi and :lo":                 "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {B:YWI=}, upper bound operand: AttributeValue: {S:a}",
	} {
		if _, _, err := checkCondition(t, src); message(t, err) != "Invalid FilterExpression: "+want {
			t.Errorf("%s: %v; want %s", src, err, want)
		}
	}
}

func TestConditionSyntax(t *testing.T) {
	t.Parallel()
	for src, want := range map[string][2]string{
		"a":                  {"<EOF>", "a"},
		"a =":                {"<EOF>", "="},
		"a = ":               {"<EOF>", "= "},
		" ":                  {"<EOF>", " "},
		"things are not":     {"are", "things are not"},
		"a > 4":              {"4", "> 4"},
		"a in b, c":          {"b", "in b,"},
		"a in (b,c,)":        {")", ",)"},
		"(a)":                {"<EOF>", ")"},
		"(a) AND b = c":      {"AND", ") AND b"},
		"(a = b) = c":        {"=", ") = c"},
		"NOT a":              {"<EOF>", "a"},
		"a = b AND c":        {"<EOF>", "c"},
		"a = b OR":           {"<EOF>", "OR"},
		"size((a = b)) > c":  {"=", "a = b"},
		"a between b":        {"<EOF>", "b"},
		"a > between":        {"between", "> between"},
		"a[-1] = n":          {"-", "[-1"},
		"_a = n":             {"_", "_a"},
		`"a" = n`:            {`"`, `"a`},
		"a == n":             {"=", "== n"},
		"()":                 {")", "()"},
		"(":                  {"<EOF>", "("},
		"attribute_exists(":  {"<EOF>", "("},
		"a[1.5] = n":         {".", "1.5"},
		"ü > a":              {"ü", "ü >"},
		"a!=n":               {"!", "a!="},
		"size(a)[0] > n":     {"[", ")[0"},
		"a[1]b = n":          {"b", "]b ="},
		"(a).b = n":          {".", ").b"},
		"l[007] = n":         {"0", "007"},
		"a in ((n,b))":       {",", "n,b"},
		"and = a":            {"and", "and ="},
		"SET = a":            {"SET", "SET ="},
		"# = a":              {"#", "# ="},
		"a = :":              {":", "= :"},
		"a = b c":            {"c", "b c"},
		"a[b] = n":           {"b", "[b]"},
		"\xff = a":           {"\xff", "\xff ="},
		"foo(a) and (":       {"<EOF>", "("},
		"status = a and (":   {"<EOF>", "("},
		":x.a = n":           {".", ":x.a"},
		"a between b or c":   {"or", "b or c"},
		"attribute_exists()": {")", "()"},
	} {
		_, err := ParseCondition(src, ConditionExpression)
		if text := `Invalid ConditionExpression: Syntax error; token: "` + want[0] + `", near: "` + want[1] + `"`; message(t, err) != text {
			t.Errorf("%s: %v; want %s", src, err, text)
		}
	}
}

func TestConditionLimits(t *testing.T) {
	t.Parallel()
	const tooMany = "Invalid FilterExpression: The expression contains too many operators; operator count: 301"
	repeat := func(src string, n int) string { return strings.TrimSuffix(strings.Repeat(src+" or ", n), " or ") }
	for name, c := range map[string]struct{ src, want string }{
		"size":                     {"n = " + strings.Repeat("a", 4092), ""},
		"size, one more":           {"n = " + strings.Repeat("a", 4093), "Invalid FilterExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"},
		"operators":                {repeat("n = a", 150), ""},
		"operators, one more":      {repeat("n = a", 151), tooMany},
		"with functions":           {repeat("size(a) = n", 100), ""},
		"functions, more":          {repeat("size(a) = n", 101), tooMany},
		"nots":                     {strings.Repeat("not ", 299) + "n = a", ""},
		"nots, one more":           {strings.Repeat("not ", 300) + "n = a", tooMany},
		"parentheses":              {strings.Repeat("(", 149) + "n = a" + strings.Repeat(" and n = a)", 149), ""},
		"open parentheses":         {strings.Repeat("(", 4096), `Invalid FilterExpression: Syntax error; token: "<EOF>", near: "("`},
		"operands of IN":           {"n in (" + strings.Repeat("a,", 99) + "a)", ""},
		"operands of IN, one more": {"n in (" + strings.Repeat("a,", 100) + "a)", "Invalid FilterExpression: The IN operator is provided with too many operands; number of operands: 101"},
		"steps":                    {"m" + strings.Repeat(".a", 31) + " = n", ""},
		"index":                    {"l[2147483647] = n", ""},
	} {
		if _, err := ParseCondition(c.src, FilterExpression); message(t, err) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReservedWords(t *testing.T) {
	t.Parallel()
	if len(reservedWords) != 573 {
		t.Errorf("%d reserved words", len(reservedWords))
	}
	for word := range reservedWords {
		for _, name := range []string{word, strings.ToLower(word)} {
			_, err := ParseCondition(name+" = a", ConditionExpression)
			text := message(t, err)
			reserved := text == "Invalid ConditionExpression: Attribute name is a reserved keyword; reserved keyword: "+name
			syntax := keywords[word] && strings.Contains(text, "Syntax error")
			if !reserved && !syntax {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestConditionTopLevel(t *testing.T) {
	t.Parallel()
	c, a, err := checkCondition(t, "#m.b = n AND (contains(l, a) OR NOT size(#x) > n)")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(slices.Collect(c.TopLevel(a)), ","); got != "m,n,l,a,x y,n" {
		t.Errorf("TopLevel = %s", got)
	}
	if uses := c.Uses(); strings.Join(uses.Names, ",") != "#m,#x" || uses.Values != nil {
		t.Errorf("Uses = %v", uses)
	}
}
