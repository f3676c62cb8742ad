package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const reliability = "reliability.md"

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)

// TestPromisesAreTested: every promise names the tests that hold it, these exist,
// and those that let storage fail at every write are all named.
func TestPromisesAreTested(t *testing.T) {
	t.Parallel()
	there, promises := tests(t), rows(t, reliability, "promise")
	if len(promises) == 0 {
		t.Fatalf("%s promises nothing", reliability)
	}
	var named []string
	for _, row := range promises {
		held := ticked(row[1])
		if len(held) == 0 {
			t.Errorf("%s: no test holds that %q", reliability, row[0])
		}
		named = append(named, held...)
	}
	for _, name := range ticked(read(t, reliability)) {
		if strings.HasPrefix(name, "Test") && !slices.Contains(there, name) {
			t.Errorf("%s: there is no test %s", reliability, name)
		}
	}
	for _, name := range there {
		if strings.HasSuffix(name, "SurvivesItsStorage") && !slices.Contains(named, name) {
			t.Errorf("%s: the promise that %s holds is not told", reliability, name)
		}
	}
}

// TestFailuresAreRecognized looks for each line of a log that the table of failures
// quotes in the code.
func TestFailuresAreRecognized(t *testing.T) {
	t.Parallel()
	source, quoted := code(t), 0
	for _, row := range rows(t, reliability, "what fails") {
		for _, line := range ticked(row[2]) {
			if !strings.Contains(line, " ") {
				continue // the name of a field
			}
			quoted++
			if !strings.Contains(source, line) {
				t.Errorf("%s: nothing logs %q", reliability, line)
			}
		}
	}
	if quoted == 0 {
		t.Errorf("%s quotes no line of a log", reliability)
	}
}

// tests lists the names of all tests of the plugin and of the test bed.
func tests(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(name, ".") && name != "..":
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range testFunction.FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
