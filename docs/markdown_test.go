package docs_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The documents are held to the code: what they say of paths, fields, states,
// commands, policies and errors is read here and compared with what there is,
// both ways. The messages say which document to mend.

// section is a part of a document: its heading and its tables, rows of cells.
type section struct {
	heading string
	tables  [][][]string
}

// sections reads a document. A table's first row is its head.
func sections(t *testing.T, document string) []section {
	t.Helper()
	var out []section
	inTable := false
	for line := range strings.Lines(read(t, document)) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(line, "#"); ok {
			out = append(out, section{heading: strings.Trim(heading, "# `")})
		}
		row := strings.HasPrefix(line, "|")
		if row && len(out) > 0 {
			last := &out[len(out)-1]
			if !inTable {
				last.tables = append(last.tables, nil)
			}
			if n := len(last.tables) - 1; !strings.HasPrefix(line, "|--") {
				last.tables[n] = append(last.tables[n], cells(line))
			}
		}
		inTable = row
	}
	return out
}

func cells(line string) []string {
	out := strings.Split(strings.Trim(line, "|"), "|")
	for i := range out {
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

// rows lists the rows of all tables of a document whose head begins with a word.
func rows(t *testing.T, document, head string) [][]string {
	t.Helper()
	var out [][]string
	for _, s := range sections(t, document) {
		for _, table := range s.tables {
			if table[0][0] == head {
				out = append(out, table[1:]...)
			}
		}
	}
	return out
}

// ticked lists what stands in back quotes.
func ticked(text string) []string {
	var out []string
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			out = append(out, part)
		}
	}
	return out
}

func read(t *testing.T, document string) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents are all that people read.
func documents(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"../*.md", "*.md", "*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: no documents (%v)", pattern, err)
		}
		out = append(out, found...)
	}
	return out
}

// compare tells every difference between what a document says and what is true.
func compare(t *testing.T, document, of string, said, is map[string]string) {
	t.Helper()
	for _, name := range sorted(is) {
		if text, ok := said[name]; !ok {
			t.Errorf("%s: %s lacks %q (%s)", document, of, name, is[name])
		} else if text != is[name] {
			t.Errorf("%s: %s says of %q %q; it is %q", document, of, name, text, is[name])
		}
	}
	for _, name := range sorted(said) {
		if _, ok := is[name]; !ok {
			t.Errorf("%s: %s has %q, which does not exist", document, of, name)
		}
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
