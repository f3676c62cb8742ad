package domainmatch

import (
	"strings"
	"testing"
)

func mustParse(t testing.TB, s string) Name {
	t.Helper()
	n, err := Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustParseAll(t testing.TB, list string) []Name {
	t.Helper()
	var names []Name
	for _, s := range splitList(list) {
		names = append(names, mustParse(t, s))
	}
	return names
}

func mustEntry(t testing.TB, s string) Entry {
	t.Helper()
	e, err := ParseEntry(s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// mustPolicy takes entries and options as Vault's command line does, separated by commas.
func mustPolicy(t testing.TB, entries, options string) *Policy {
	t.Helper()
	var parsed []Entry
	for _, s := range splitList(entries) {
		parsed = append(parsed, mustEntry(t, s))
	}
	var set []Option
	for _, s := range splitList(options) {
		o, err := ParseOption(s)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, o)
	}
	return NewPolicy(parsed, set)
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// identity makes a lookup from pairs of placeholder and value.
func identity(pairs ...string) func(string) (string, bool) {
	return func(placeholder string) (string, bool) {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == placeholder {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}
