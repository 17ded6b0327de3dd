package expr

import "testing"

func resolveKey(t testing.TB, src, rng string) (Range, error) {
	t.Helper()
	k, err := ParseKeyCondition(src)
	if err != nil {
		return Range{}, err
	}
	return k.Resolve(argsFor(t, src), "p", rng)
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]Range{
		"p = :x":                             {Op: All},
		":x = p":                             {Op: All},
		"p = :x AND c = :n":                  {Op: Equal},
		"c < :n and p = :x":                  {Op: Less},
		"p = :x and c <= :n":                 {Op: LessEq},
		"p = :x and c > :n":                  {Op: Greater},
		"p = :x and c >= :n":                 {Op: GreaterEq},
		"p = :x and :n < c":                  {Op: Greater},
		"p = :x and :n >= c":                 {Op: LessEq},
		"(p = :x) and (:n = c)":              {Op: Equal},
		"p = :x and begins_with(c, :lo)":     {Op: BeginsWith},
		"(p = :x and c between :lo and :hi)": {Op: Between},
	} {
		got, err := resolveKey(t, src, "c")
		if err != nil || got.Op != want.Op || got.Hash.Text() != "x" {
			t.Errorf("%s: %+v, %v", src, got, err)
			continue
		}
		low, high := "5", ""
		switch got.Op {
		case All:
			low = ""
		case BeginsWith:
			low = "a"
		case Between:
			low, high = "a", "z"
		}
		if got.Low.Text() != low || got.High.Text() != high {
			t.Errorf("%s: %+v", src, got)
		}
	}
}

func TestKeyConditionFaults(t *testing.T) {
	t.Parallel()
	const (
		operator = "Invalid operator used in KeyConditionExpression: "
		missed   = "Query condition missed key schema element: "
		multiple = "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition"
		nested   = "KeyConditionExpressions cannot have conditions on nested attributes"
		nestedOp = "KeyConditionExpressions cannot contain nested operations"
		oneEach  = "KeyConditionExpressions must only contain one condition per key"
		first    = " operator must have the key attribute as its first operand"
	)
	for src, want := range map[string]string{
		"":                                 "Invalid KeyConditionExpression: The expression can not be empty;",
		"p":                                `Invalid KeyConditionExpression: Syntax error; token: "<EOF>", near: "p"`,
		"p = :q":                           "Invalid KeyConditionExpression: An expression attribute value used in expression is not defined; attribute value: :q",
		"((p = :x)) and c = :n":            "Invalid KeyConditionExpression: The expression has redundant parentheses;",
		"c = :x":                           missed + "p",
		"q = :x":                           missed + "p",
		"p = :x and q = :n":                missed + "c",
		"p > :x":                           "Query key condition not supported",
		"begins_with(p, :x)":               "Query key condition not supported",
		"p between :lo and :hi":            "Query key condition not supported",
		"p < :x and c = :n":                "Query key condition not supported",
		"p = :x or c = :n":                 operator + "OR",
		"not p = :x":                       operator + "NOT",
		"p <> :x":                          operator + "<>",
		"p in (:x)":                        operator + "IN",
		"contains(p, :x)":                  operator + "contains",
		"attribute_exists(p)":              operator + "attribute_exists",
		"p = :x and not c = :n":            operator + "NOT",
		"size(p) = :n":                     nestedOp,
		"p = size(:x)":                     nestedOp,
		"p = :x and c.a = :n":              nested,
		"p[0] = :x":                        nested,
		"p = c":                            multiple,
		"p = :x and c between p and :hi":   multiple,
		"begins_with(p, c)":                multiple,
		":x = :lo":                         "Invalid condition in KeyConditionExpression: No key attribute specified",
		"p = :x and p = :lo":               oneEach,
		"p = :x and c > :n and c < :k":     oneEach,
		"p = :x and c = :n and q = :k":     "Conditions can be of length 1 or 2 only",
		"begins_with(:x, c) and p = :lo":   "Invalid condition in KeyConditionExpression: begins_with" + first,
		"p = :x and :lo between c and :hi": "Invalid condition in KeyConditionExpression: BETWEEN" + first,
		"p = :x and c between :hi and :lo": "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {S:z}, upper bound operand: AttributeValue: {S:a}",
		"p = :x and begins_with(c, :n)":    "Invalid KeyConditionExpression: Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
	} {
		if _, err := resolveKey(t, src, "c"); message(t, err) != want {
			t.Errorf("%s: %v; want %s", src, err, want)
		}
	}
	if _, err := resolveKey(t, "p = :x and c = :n", ""); message(t, err) != "Query key condition not supported" {
		t.Errorf("a sort key where there is none: %v", err)
	}
}

func TestKeyConditionUses(t *testing.T) {
	t.Parallel()
	k, err := ParseKeyCondition("#a = :x")
	if err != nil {
		t.Fatal(err)
	}
	if uses := k.Uses(); len(uses.Names) != 1 || len(uses.Values) != 1 {
		t.Errorf("Uses = %v", uses)
	}
}
