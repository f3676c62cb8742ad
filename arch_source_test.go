package pkiexternalca_test

import (
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// rule is something that no file may do, with the files that do it all the same
// and why they must.
type rule struct {
	name    string
	because string
	applies func(*sourceFile) bool
	find    func(*sourceFile) []finding
	except  map[string]string
}

// finding is where a rule is broken, and by what.
type finding struct {
	at   ast.Node
	what string
}

const (
	longestFunction = 70 // lines
	longestMedian   = 12 // lines, of the functions outside tests
	longestFile     = 400
)

var rules = []rule{
	{
		name: "sleeping", applies: everywhere, find: uses("time", "Sleep"),
		because: "who sleeps is late or wakes too early: wait for what is to happen, with a deadline",
	},
	{
		name: "asking the clock", applies: inPlugin, find: calls("time", "Now", "Since", "Until"),
		because: "time is an argument, so that tests can choose it",
	},
	{
		name: "reading the environment", applies: outsideTests,
		find:    uses("os", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Setenv", "Unsetenv"),
		because: "a plugin has Vault's environment, which all its mounts share: what is configured lies in storage",
		except: map[string]string{
			"cmd/" + module + "/profile.go": "it is not released, and the bench has no other way to say where profiles go",
			"internal/acmetest/pebble.go":   "some settings of Pebble can only be given as variables",
			"testbed/build.go":              "compilers are run in the environment of whoever runs make",
			"testbed/process.go":            "servers are run in that environment, less what would configure them",
			"testbed/installed.go":          "TESTBED_VAULT names the Vault to test with",
		},
	},
	{
		name: "printing", find: uses("fmt", "Print", "Println", "Printf"),
		applies: func(f *sourceFile) bool { return outsideTests(f) && !isProgram(f) },
		because: "the standard output of a plugin belongs to the protocol between it and Vault",
	},
	{
		name: "skipping", applies: everywhere, find: selects("Skip", "Skipf", "SkipNow"),
		because: "a test that did not run looks like one that passed",
	},
	{
		name: "panicking", applies: outsideTests, find: panics,
		because: "a panic ends the process, and with it every mount of the plugin",
		except: map[string]string{
			"internal/acmetest/script_handlers.go": "http.ErrAbortHandler is how a web server breaks a connection off",
			"internal/abreast/abreast.go":          "it hands a panic to whoever survives it, who would not hear of it otherwise",
			"testbed/vault.go":                     "a client for an address of our own making is always made",
		},
	},
	{
		name: "leaving work for later", applies: everywhere, find: unfinished,
		because: "what is missing is either done or decided against in writing",
	},
	{
		name: "inventing a context", applies: everywhere, find: uses("context", "TODO"),
		because: "work that nobody can end outlives what it was for",
	},
	{
		name: "writing long functions", applies: everywhere, find: longFunctions,
		because: "a function is read at a glance or not at all",
	},
	{
		name: "writing long files", applies: everywhere, find: longFiles,
		because: "a file has one idea",
	},
	{
		name: "exporting without a word", applies: outsideTests, find: undocumented,
		because: "a name that others use says what it means, in which units, and which errors it gives",
	},
}

func everywhere(*sourceFile) bool     { return true }
func outsideTests(f *sourceFile) bool { return !f.isTest() }

func inPlugin(f *sourceFile) bool {
	return outsideTests(f) && !f.below("testbed", "tools", "internal/acmetest")
}

func isProgram(f *sourceFile) bool { return f.Name.Name == "main" }

func TestSourceKeepsTheRules(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		t.Run(strings.ReplaceAll(r.name, " ", "-"), func(t *testing.T) {
			needed := map[string]bool{}
			for _, f := range sources(t) {
				if !r.applies(f) {
					continue
				}
				for _, found := range r.find(f) {
					if needed[f.path] = true; r.except[f.path] == "" {
						t.Errorf("%s: %s: there is no %s here: %s", f.at(found.at), found.what, r.name, r.because)
					}
				}
			}
			for file := range r.except {
				if !needed[file] {
					t.Errorf("%s may be %s, but is not any more: remove the exception", file, r.name)
				}
			}
		})
	}
}

// TestFunctionsAreShort holds the median, because a limit alone makes every
// function as long as the limit.
func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	var lengths []int
	for _, f := range sources(t) {
		for function := range functions(f) {
			if outsideTests(f) {
				lengths = append(lengths, f.lines(function))
			}
		}
	}
	slices.Sort(lengths)
	if median := lengths[len(lengths)/2]; median > longestMedian {
		t.Errorf("the median of %d functions is %d lines, more than %d", len(lengths), median, longestMedian)
	}
}

// TestEveryPackageSaysWhatItIsFor wants one package comment in each package: none
// leaves readers alone, and of two one is out of date.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	said := map[string][]string{}
	for _, f := range sources(t) {
		pkg := path.Dir(f.path) + " " + f.Name.Name
		if strings.HasSuffix(f.Name.Name, "_test") {
			continue
		}
		comments := said[pkg]
		if f.Doc != nil {
			comments = append(comments, f.path)
		}
		said[pkg] = comments
		want := "// Package " + f.Name.Name + " "
		if isProgram(f) {
			want = "// Command "
		}
		if f.Doc != nil && !strings.HasPrefix(f.Doc.List[0].Text, want) {
			t.Errorf("%s: the package comment must begin with %q, for that is how it is listed", f.at(f.Doc), want)
		}
	}
	for pkg, where := range said {
		if len(where) != 1 {
			t.Errorf("package %s has %d package comments (%q), want one", pkg, len(where), where)
		}
	}
}
