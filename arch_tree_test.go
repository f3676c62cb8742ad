package pkiexternalca_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path that imports of our own packages begin with.
const module = "vault-plugin-secrets-pki-external-ca"

// sourceFile is one Go file of the repository, those of the test bed included.
type sourceFile struct {
	*ast.File
	path string // from the root, with slashes
}

func (f *sourceFile) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

// dir is the folder of the file: "." for the root package, else "./internal/order".
func (f *sourceFile) dir() string { return ownPackage(path.Dir(f.path)) }

// ownPackage is how a package of ours is written here, from its folder.
func ownPackage(folder string) string {
	if folder == "." {
		return folder
	}
	return "./" + folder
}

// below tells whether a file lies in one of the folders or deeper.
func (f *sourceFile) below(folders ...string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return strings.HasPrefix(f.path, folder+"/") })
}

// at is where a node begins, as "file:line", which editors understand.
func (f *sourceFile) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, files.Position(n.Pos()).Line)
}

func (f *sourceFile) lines(n ast.Node) int {
	return files.Position(n.End()).Line - files.Position(n.Pos()).Line + 1
}

// imported is one import of a file.
type imported struct {
	*ast.ImportSpec
	// name is the path, with our own packages written as "./internal/order".
	name     string
	standard bool
}

func (f *sourceFile) imported() []imported {
	out := make([]imported, len(f.Imports))
	for i, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			panic(err) // it was parsed
		}
		first, rest, _ := strings.Cut(name, "/")
		out[i] = imported{ImportSpec: spec, name: name, standard: first != module && !strings.Contains(first, ".")}
		if first == module {
			out[i].name = ownPackage(path.Clean(rest))
		}
	}
	return out
}

// is tells whether an import is a package, or one below it.
func (i imported) is(pkg string) bool {
	return i.name == pkg || pkg != "." && strings.HasPrefix(i.name, pkg+"/")
}

// isOneOf tells whether an import is one of the packages, or one below them.
func (i imported) isOneOf(packages []string) bool { return slices.ContainsFunc(packages, i.is) }

// files knows the positions of everything that was parsed.
var files = token.NewFileSet()

// parseTree parses the repository, once for all tests.
var parseTree = sync.OnceValues(func() ([]*sourceFile, error) {
	var tree []*sourceFile
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && notSource(entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || filepath.Ext(name) != ".go":
			return nil
		}
		parsed, err := parser.ParseFile(files, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		tree = append(tree, &sourceFile{File: parsed, path: filepath.ToSlash(name)})
		return err
	})
	return tree, err
})

// notSource names the folders that hold no code of ours: what was built, and
// what begins with a dot.
func notSource(folder string) bool {
	return slices.Contains([]string{"bin", "dist", "testdata"}, folder) || len(folder) > 1 && folder[0] == '.'
}

// sources gives every Go file of the repository.
func sources(t *testing.T) []*sourceFile {
	t.Helper()
	tree, err := parseTree()
	if err != nil {
		t.Fatal(err)
	}
	if len(tree) < 100 {
		t.Fatalf("only %d files were found: this test does not run at the root of the repository", len(tree))
	}
	return tree
}
