package main

import (
	"go/ast"
	"go/parser"
	"strings"
	"testing"
)

// TestPackageComments requires one doc comment per package, which starts as godoc
// expects.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	names := map[string]string{}
	for _, f := range parseTree(t, parser.PackageClauseOnly|parser.ParseComments) {
		if f.test {
			continue
		}
		names[f.dir] = f.syntax.Name.Name
		if f.syntax.Doc != nil {
			comments[f.dir] = append(comments[f.dir], f.syntax.Doc.Text())
		}
	}
	for dir, name := range names {
		want := "Package " + name + " "
		if name == "main" {
			want = "Command "
		}
		if got := comments[dir]; len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("package %s: doc comments %q, want one that starts with %q", dir, got, want)
		}
	}
}

// TestExportedComments requires a doc comment on every exported identifier.
func TestExportedComments(t *testing.T) {
	for _, f := range parseTree(t, parser.ParseComments|parser.SkipObjectResolution) {
		if f.test {
			continue
		}
		for _, name := range undocumented(f.syntax) {
			t.Errorf("%s: %s has no doc comment", f.name, name)
		}
	}
}

// undocumented lists the exported top-level identifiers and methods of a file
// without doc comment. In a declaration group the group's comment counts for all
// members, as it does for enumerations.
func undocumented(f *ast.File) (names []string) {
	for _, decl := range f.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if d.Doc == nil {
					names = append(names, undocumentedSpec(spec)...)
				}
			}
		}
	}
	return names
}

// exportedReceiver tells whether d is a function or a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	typ := d.Recv.List[0].Type
	for {
		switch t := typ.(type) {
		case *ast.StarExpr:
			typ = t.X
		case *ast.IndexExpr:
			typ = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}

func undocumentedSpec(spec ast.Spec) (names []string) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if s.Doc == nil && s.Comment == nil && name.IsExported() {
				names = append(names, name.Name)
			}
		}
	}
	return names
}
