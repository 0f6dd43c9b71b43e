package laws

import (
	"go/ast"
	"go/types"
	"testing"

	"golang.org/x/tools/go/packages"
)

// facts are the types that hold what the readers know. A type of these
// packages that one of their fields has is one of them too.
var facts = map[string][]string{
	"diagnose/internal/evidence":   {"Snapshot", "Source"},
	"diagnose/internal/caller":     {"Caller"},
	"diagnose/internal/credential": {"Credential", "Selection", "Verification"},
	"diagnose/internal/estate":     {"Estate"},
}

// within are the fields that serve their own package alone.
var within = map[string]string{
	"diagnose/internal/evidence.Source.Form":       "At finds the place of a field by it",
	"diagnose/internal/evidence.LogEntry.Severity": "a case that is written again keeps it",
	"diagnose/internal/evidence.LogEntry.Trace":    "a case that is written again keeps it",
	"diagnose/internal/evidence.LogEntry.InsertID": "a case that is written again keeps it",
}

// TestEveryFactIsRead holds that what a reader finds out reaches somebody: a
// field that no other package reads can change no answer.
func TestEveryFactIsRead(t *testing.T) {
	const mode = packages.NeedName | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedExportFile |
		packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax
	all, err := packages.Load(&packages.Config{Mode: mode, Dir: "../.."}, "./...")
	if err != nil || packages.PrintErrors(all) > 0 {
		t.Fatal(err)
	}
	known, read := map[string]bool{}, map[string]bool{}
	for _, p := range all {
		for _, name := range facts[p.PkgPath] {
			if o := p.Types.Scope().Lookup(name); o == nil {
				t.Errorf("%s has no %s", p.PkgPath, name)
			} else {
				fieldsOf(o.Type(), known)
			}
		}
		for _, f := range p.Syntax {
			readsOf(p, f, read)
		}
	}
	if len(known) < 100 {
		t.Fatalf("only %d fields were found", len(known))
	}
	for f := range known {
		if !read[f] && within[f] == "" {
			t.Errorf("no other package reads %s", f)
		}
	}
	for f := range within {
		if !known[f] || read[f] {
			t.Errorf("%s needs no exception", f)
		}
	}
}

// fieldsOf adds the exported fields of a type, and of those that they have.
func fieldsOf(typ types.Type, out map[string]bool) {
	switch u := typ.(type) {
	case *types.Pointer:
		fieldsOf(u.Elem(), out)
	case *types.Slice:
		fieldsOf(u.Elem(), out)
	case *types.Map:
		fieldsOf(u.Key(), out)
		fieldsOf(u.Elem(), out)
	case *types.Named:
		for i := range u.TypeArgs().Len() {
			fieldsOf(u.TypeArgs().At(i), out)
		}
		s, ok := u.Underlying().(*types.Struct)
		if !ok || u.Obj().Pkg() == nil || facts[u.Obj().Pkg().Path()] == nil {
			return
		}
		for i := range s.NumFields() {
			f := s.Field(i)
			if key := fieldName(u, f); f.Exported() && !out[key] {
				out[key] = true
				fieldsOf(f.Type(), out)
			}
		}
	}
}

// fieldName is "diagnose/internal/caller.Caller.URL".
func fieldName(of *types.Named, f *types.Var) string {
	return of.Obj().Pkg().Path() + "." + of.Obj().Name() + "." + f.Name()
}

// readsOf adds the fields of other packages that a file reads. What is only
// assigned is not read.
func readsOf(p *packages.Package, file *ast.File, out map[string]bool) {
	written := map[ast.Expr]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, l := range n.Lhs {
				written[l] = true
			}
		case *ast.SelectorExpr:
			if sel := p.TypesInfo.Selections[n]; sel != nil && !written[n] {
				walk(sel, func(of *types.Named, f *types.Var) {
					if of.Obj().Pkg() != p.Types {
						out[fieldName(of, f)] = true
					}
				})
			}
		case *ast.CallExpr:
			converted(p, n, out)
		}
		return true
	})
}

// walk visits the fields that a selector passes, embedded ones too.
func walk(sel *types.Selection, visit func(*types.Named, *types.Var)) {
	typ, index := sel.Recv(), sel.Index()
	if sel.Kind() != types.FieldVal {
		index = index[:len(index)-1] // a method, which may be promoted
	}
	for _, i := range index {
		if ptr, ok := typ.Underlying().(*types.Pointer); ok {
			typ = ptr.Elem()
		}
		s, ok := typ.Underlying().(*types.Struct)
		if !ok {
			return
		}
		if of, ok := types.Unalias(typ).(*types.Named); ok {
			visit(of.Origin(), s.Field(i))
		}
		typ = s.Field(i).Type()
	}
}

// converted adds the fields of a struct that is converted as a whole.
func converted(p *packages.Package, call *ast.CallExpr, out map[string]bool) {
	if to := p.TypesInfo.Types[call.Fun]; !to.IsType() || len(call.Args) != 1 {
		return
	}
	from, ok := p.TypesInfo.TypeOf(call.Args[0]).(*types.Named)
	if !ok || from.Obj().Pkg() == nil || from.Obj().Pkg() == p.Types {
		return
	}
	if s, ok := from.Underlying().(*types.Struct); ok {
		for i := range s.NumFields() {
			out[fieldName(from, s.Field(i))] = true
		}
	}
}
