package infra_test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// parse reads one file of Go from the top of the repository.
func parse(t testing.TB, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../"+path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// scope knows the values of constants by name.
type scope map[string]constant.Value

// constants reads the constants of a file as far as their values can be told from
// it alone.
func constants(t testing.TB, path string) scope {
	t.Helper()
	known := scope{}
	for _, d := range parse(t, path).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			for n, name := range v.Names {
				if n < len(v.Values) {
					if value := known.eval(v.Values[n]); value != nil {
						known[name.Name] = value
					}
				}
			}
		}
	}
	return known
}

// eval is the value of a constant expression; nil when it can't be told.
func (known scope) eval(e ast.Expr) constant.Value {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0)
	case *ast.ParenExpr:
		return known.eval(e.X)
	case *ast.Ident:
		if e.Name == "true" || e.Name == "false" {
			return constant.MakeBool(e.Name == "true")
		}
		return known[e.Name]
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return known[x.Name+"."+e.Sel.Name]
		}
	case *ast.BinaryExpr:
		x, y := known.eval(e.X), known.eval(e.Y)
		if x == nil || y == nil {
			return nil
		}
		if e.Op == token.SHL {
			bits, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(bits))
		}
		return constant.BinaryOp(x, e.Op, y)
	}
	return nil
}

// number is a whole constant of a file.
func number(t testing.TB, path, name string) int {
	t.Helper()
	v := constants(t, path)[name]
	if v == nil {
		t.Fatalf("%s has no constant %s", path, name)
	}
	n, _ := constant.Int64Val(constant.ToInt(v))
	return int(n)
}

func stringConstant(t testing.TB, path, name string) string {
	t.Helper()
	v := constants(t, path)[name]
	if v == nil {
		t.Fatalf("%s has no constant %s", path, name)
	}
	return constant.StringVal(v)
}

func stringConstants(t testing.TB, path string) []string {
	t.Helper()
	var out []string
	for _, v := range constants(t, path) {
		if v.Kind() == constant.String {
			out = append(out, constant.StringVal(v))
		}
	}
	slices.Sort(out)
	return out
}

// funcOf finds a function or method of a file by its name.
func funcOf(t testing.TB, path, name string) *ast.FuncDecl {
	t.Helper()
	for _, d := range parse(t, path).Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == name {
			return f
		}
	}
	t.Fatalf("%s has no function %s", path, name)
	return nil
}

// literal is the value of a string literal.
func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}
