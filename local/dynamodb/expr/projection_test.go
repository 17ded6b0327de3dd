package expr

import (
	"slices"
	"testing"

	"github.com/bloom-runtime/bloom/local/dynamodb/value"
)

func checkProjection(t testing.TB, src string) (*Projection, Args, error) {
	t.Helper()
	p, err := ParseProjection(src)
	if err != nil {
		return nil, Args{}, err
	}
	a := argsFor(t, src)
	return p, a, p.Check(a)
}

func TestProject(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"a":                  `{"a":{"S":"x"}}`,
		"a, #x, zz":          `{"a":{"S":"x"},"x y":{"S":"spaced"}}`,
		"m.b":                `{"m":{"M":{"b":{"N":"1"}}}}`,
		"m.b, m.c.d":         `{"m":{"M":{"b":{"N":"1"},"c":{"M":{"d":{"S":"q"}}}}}}`,
		"l[2], l[0]":         `{"l":{"L":[{"N":"1"},{"M":{"b":{"N":"3"}}}]}}`,
		"l[2].b, l[9], #m.b": `{"l":{"L":[{"M":{"b":{"N":"3"}}}]},"m":{"M":{"b":{"N":"1"}}}}`,
		"l[7]":               `{}`,
		"m.zz":               `{}`,
		"a.b":                `{}`,
		"a[0]":               `{}`,
		"l.b":                `{}`,
		"m[0]":               `{}`,
		"l[0].x":             `{}`,
		"zz.b":               `{}`,
	} {
		p, a, err := checkProjection(t, src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := p.Project(item(t, testItem), a); got == nil || !value.EqualItems(got, item(t, want)) {
			t.Errorf("%s gives %s; want %s", src, value.AppendItem(nil, got), want)
		}
	}
}

func TestProjectionFaults(t *testing.T) {
	t.Parallel()
	const (
		overlap  = "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: "
		conflict = "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: "
	)
	for src, want := range map[string]string{
		"":                   "The expression can not be empty;",
		"m, m.b":             overlap + "[m], path two: [m, b]",
		"l[0], l":            overlap + "[l, [0]], path two: [l]",
		"a, #a":              overlap + "[a], path two: [a]",
		"b[1], b.a, #a.b, a": overlap + "[a, b], path two: [a]",
		"m.b, m[0]":          conflict + "[m, b], path two: [m, [0]]",
		"a[3].b, #a.#i.b":    conflict + "[a, [3], b], path two: [a, [3], b]",
		"#q":                 "An expression attribute name used in the document path is not defined; attribute name: #q",
		"status":             "Attribute name is a reserved keyword; reserved keyword: status",
		"a b":                `Syntax error; token: "b", near: "a b"`,
		"a,":                 `Syntax error; token: "<EOF>", near: ","`,
		"(a)":                `Syntax error; token: "(", near: "(a"`,
		":x":                 `Syntax error; token: ":x", near: ":x"`,
		"a.and":              `Syntax error; token: "and", near: ".and"`,
		"a..b":               `Syntax error; token: ".", near: "..b"`,
		"!!! INVALID !!!":    `Syntax error; token: "!", near: "!!"`,
		"size(a)":            `Syntax error; token: "(", near: "size(a"`,
	} {
		if _, _, err := checkProjection(t, src); message(t, err) != "Invalid ProjectionExpression: "+want {
			t.Errorf("%s: %v; want %s", src, err, want)
		}
	}
}

func TestProjectionTopLevel(t *testing.T) {
	t.Parallel()
	p, a, err := checkProjection(t, "m.b, #a, m.c, #x")
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(p.TopLevel(a)); !slices.Equal(got, []string{"m", "a", "m", "x y"}) {
		t.Errorf("TopLevel = %v", got)
	}
	if uses := p.Uses(); !slices.Equal(uses.Names, []string{"#a", "#x"}) || uses.Values != nil {
		t.Errorf("Uses = %v", uses)
	}
}
