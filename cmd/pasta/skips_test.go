package main

import (
	"go/ast"
	"go/parser"
	"slices"
	"testing"
)

// maySkip lists the tests that may be skipped where nothing may be missing: each
// says something that is not so for this user or build, or bounds a fuzzer. All
// others tell by netnstest.Lacks what they miss.
var maySkip = []string{
	"cmd/pasta/command/table_test.go FuzzParse",
	"cmd/pasta/daemon/user_test.go TestOrdinaryUserStays",
	"core/engine/fuzz_test.go FuzzFrames",
	"core/isolate/isolate_test.go TestBecomeUser",
	"core/isolate/isolate_test.go needsAllThreads",
	"netcfg/netns/netnstest/netnstest.go Lacks",
	"portfwd/spec_test.go FuzzParseSpec",
}

func TestNothingElseIsSkipped(t *testing.T) {
	found := map[string]bool{}
	for _, f := range parseTree(t, parser.SkipObjectResolution) {
		for _, decl := range f.syntax.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || !skips(fn) {
				continue
			}
			name := f.name + " " + fn.Name.Name
			if found[name] = true; !slices.Contains(maySkip, name) {
				t.Errorf("%s skips tests: netnstest.Lacks does where that is allowed", name)
			}
		}
	}
	for _, name := range maySkip {
		if !found[name] {
			t.Errorf("%s skips nothing any more", name)
		}
	}
}

// skips tells whether a function calls one of the methods that skip a test.
func skips(fn *ast.FuncDecl) (found bool) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name) {
			found = true
		}
		return true
	})
	return found
}
