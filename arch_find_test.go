package pkiexternalca_test

import (
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
)

// uses finds mentions of functions of a standard package, called or not.
func uses(pkg string, names ...string) func(*sourceFile) []finding {
	return func(f *sourceFile) (out []finding) {
		local := localNames(f, pkg)
		for n := range ast.Preorder(f.File) {
			if s, ok := n.(*ast.SelectorExpr); ok && isMember(s, local, names) {
				out = append(out, finding{n, pkg + "." + s.Sel.Name})
			}
		}
		return out
	}
}

// calls finds calls of functions of a standard package; to hand one on is fine.
func calls(pkg string, names ...string) func(*sourceFile) []finding {
	return func(f *sourceFile) (out []finding) {
		local := localNames(f, pkg)
		for n := range ast.Preorder(f.File) {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				continue
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); ok && isMember(s, local, names) {
				out = append(out, finding{n, pkg + "." + s.Sel.Name})
			}
		}
		return out
	}
}

// localNames are what a file calls a standard package; none if it does not
// import it.
func localNames(f *sourceFile, pkg string) []string {
	var names []string
	for _, i := range f.imported() {
		switch {
		case i.name != pkg:
		case i.Name != nil:
			names = append(names, i.Name.Name)
		default:
			names = append(names, path.Base(pkg))
		}
	}
	return names
}

func isMember(s *ast.SelectorExpr, of, names []string) bool {
	x, ok := s.X.(*ast.Ident)
	return ok && slices.Contains(of, x.Name) && slices.Contains(names, s.Sel.Name)
}

// selects finds members of these names, of whatever.
func selects(names ...string) func(*sourceFile) []finding {
	return func(f *sourceFile) (out []finding) {
		for n := range ast.Preorder(f.File) {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains(names, s.Sel.Name) {
				out = append(out, finding{n, "." + s.Sel.Name})
			}
		}
		return out
	}
}

func panics(f *sourceFile) (out []finding) {
	for n := range ast.Preorder(f.File) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			continue
		}
		if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "panic" {
			out = append(out, finding{n, "panic"})
		}
	}
	return out
}

var unfinishedWork = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

func unfinished(f *sourceFile) (out []finding) {
	for _, group := range f.Comments {
		for _, comment := range group.List {
			if mark := unfinishedWork.FindString(comment.Text); mark != "" {
				out = append(out, finding{comment, mark})
			}
		}
	}
	return out
}

// functions are the declared functions of a file that have a body.
func functions(f *sourceFile) func(yield func(*ast.FuncDecl) bool) {
	return func(yield func(*ast.FuncDecl) bool) {
		for _, d := range f.Decls {
			if function, ok := d.(*ast.FuncDecl); ok && function.Body != nil && !yield(function) {
				return
			}
		}
	}
}

func longFunctions(f *sourceFile) (out []finding) {
	for function := range functions(f) {
		if f.lines(function) > longestFunction {
			out = append(out, finding{function, function.Name.Name})
		}
	}
	return out
}

func longFiles(f *sourceFile) []finding {
	if files.Position(f.FileEnd).Line > longestFile {
		return []finding{{f.Name, "package " + f.Name.Name}}
	}
	return nil
}

// undocumented finds exported names without a comment. Names of one group may
// share the group's.
func undocumented(f *sourceFile) (out []finding) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && needsWords(d) {
				out = append(out, finding{d, d.Name.Name})
			}
		case *ast.GenDecl:
			if d.Doc == nil && d.Tok != token.IMPORT {
				out = append(out, undocumentedSpecs(d)...)
			}
		}
	}
	return out
}

// needsWords tells whether a function is for others to call. Methods of a type
// that is not exported, and those of errors, are there for an interface that is
// documented where it is declared.
func needsWords(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return d.Name.IsExported()
	}
	return d.Name.IsExported() && ast.IsExported(receiver(d.Recv.List[0].Type)) &&
		!slices.Contains([]string{"Error", "Unwrap"}, d.Name.Name)
}

func undocumentedSpecs(d *ast.GenDecl) (out []finding) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Doc == nil && spec.Comment == nil && spec.Name.IsExported() {
				out = append(out, finding{spec, spec.Name.Name})
			}
		case *ast.ValueSpec:
			if spec.Doc == nil && spec.Comment == nil && slices.ContainsFunc(spec.Names, (*ast.Ident).IsExported) {
				out = append(out, finding{spec, spec.Names[0].Name})
			}
		}
	}
	return out
}

// receiver is the name of a method's type.
func receiver(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.IndexListExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}
