package layertest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// keyless are the directories whose programs hold no keys and no values but
// invented ones.
func keyless() []string { return []string{"tools", "benchmarks"} }

// hardensFirst tells whether a main function begins with hygiene.Harden, as a
// statement or as what a range statement goes over.
func hardensFirst(main *ast.FuncDecl) bool {
	if len(main.Body.List) == 0 {
		return false
	}
	var call ast.Expr
	switch s := main.Body.List[0].(type) {
	case *ast.ExprStmt:
		call = s.X
	case *ast.RangeStmt:
		call = s.X
	default:
		return false
	}
	c, ok := call.(*ast.CallExpr)
	if !ok {
		return false
	}
	f, ok := c.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := f.X.(*ast.Ident)
	return ok && pkg.Name == "hygiene" && f.Sel.Name == "Harden"
}

// mainOf returns the main function of a file of package main, or nil.
func mainOf(f *ast.File) *ast.FuncDecl {
	if f.Name.Name != "main" {
		return nil
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "main" {
			return fn
		}
	}
	return nil
}

func TestEveryProgramHardensItsProcessFirst(t *testing.T) {
	dir := top(t)
	programs := 0
	walk(t, func(name string) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || inAny(name, keyless()) {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, filepath.FromSlash(name)), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		main := mainOf(f)
		if main == nil {
			return
		}
		programs++
		if !hardensFirst(main) {
			t.Errorf("%s: main does not begin with hygiene.Harden", name)
		}
	})
	if programs < 3 {
		t.Errorf("only %d programs were found", programs)
	}
}

func TestAProgramThatHardensLaterIsFound(t *testing.T) {
	for body, want := range map[string]bool{
		"hygiene.Harden()": true,
		"for _, g := range hygiene.Harden() { use(g) }": true,
		"":                        false,
		"run(); hygiene.Harden()": false,
		"other.Harden()":          false,
		"hygiene.Other()":         false,
		"go hygiene.Harden()":     false,
		"Harden()":                false,
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "main.go", "package main\nfunc main() { "+body+" }", 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := hardensFirst(mainOf(f)); got != want {
			t.Errorf("%q: %v", body, got)
		}
	}
}
