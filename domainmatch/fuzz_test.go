package domainmatch

import (
	"slices"
	"strings"
	"testing"
)

// seeded fails if there is nothing to begin with: an empty corpus finds nothing
// and looks like success.
func seeded(f *testing.F, seeds int) {
	f.Helper()
	if seeds < 20 {
		f.Fatalf("only %d seeds", seeds)
	}
}

func FuzzParse(f *testing.F) {
	seeded(f, len(spellings))
	seeded(f, len(noNames))
	for _, s := range spellings {
		f.Add(s.in)
	}
	for _, s := range noNames {
		f.Add(s.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if n != (Name{}) {
				t.Errorf("Parse(%q) gives a name, %q, with its error", s, n)
			}
			return
		}
		checkCanonical(t, n)
		if again, err := Parse(n.Unicode()); err != nil || again != n {
			t.Errorf("Parse(%q), the Unicode form of %q, is %q, %v", n.Unicode(), n, again, err)
		}
		if upper, err := Parse(strings.ToUpper(n.String()) + "."); err != nil || upper != n {
			t.Errorf("%q in capitals is %q, %v", n, upper, err)
		}
	})
}

// checkCanonical is what everybody relies on who holds a Name.
func checkCanonical(t *testing.T, n Name) {
	t.Helper()
	again, err := Parse(n.String())
	if err != nil || again != n {
		t.Errorf("Parse(%q) = %q, %v; want the same name again", n, again, err)
	}
	base, isWildcard := strings.CutPrefix(n.String(), "*.")
	if isWildcard != n.IsWildcard() || base != n.Base().String() {
		t.Errorf("%q has base %q and IsWildcard %v", n, n.Base(), n.IsWildcard())
	}
	if strings.Trim(base, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		t.Errorf("%q has characters that no host name has", n)
	}
	if len(n.String()) > MaxLength {
		t.Errorf("%q has %d characters", n, len(n.String()))
	}
	for l := range strings.SplitSeq(base, ".") {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			t.Errorf("%q has the label %q", n, l)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	rows := slices.Concat(contractRows, proseRows)
	seeded(f, len(rows))
	for _, row := range rows {
		for _, n := range splitList(row.allowed + " " + row.refused) {
			for options := range uint8(16) {
				f.Add(row.entries, options, n)
			}
		}
	}
	f.Fuzz(func(t *testing.T, list string, bits uint8, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		var entries []Entry
		var texts []string
		for _, item := range splitList(list) {
			e, err := ParseEntry(item)
			if err != nil || e.Templated() {
				continue
			}
			entries, texts = append(entries, e), append(texts, oracleText(item))
		}
		var options []Option
		for i, o := range Options() {
			if bits&(1<<i) != 0 {
				options = append(options, o)
			}
		}
		got, want := NewPolicy(entries, options).Allows(n), oracle(n.String(), texts, options)
		if got != want {
			t.Errorf("%q from %q with %q: %v, but the contract says %v", n, texts, options, got, want)
		}
	})
}

func FuzzFill(f *testing.F) {
	seeded(f, len(fills))
	for _, s := range fills {
		f.Add(s.template, s.value)
	}
	f.Fuzz(func(t *testing.T, template, value string) {
		e, err := ParseEntry(template)
		if err != nil || !e.Templated() {
			return
		}
		filled, ok := e.Fill(func(string) (string, bool) { return value, true })
		if !ok {
			if filled.String() != "" || NewPolicy([]Entry{filled}, Options()).Allows(Name{"example.com"}) {
				t.Errorf("%q, which %q does not fill, became %q", template, value, filled)
			}
			return
		}
		checkNotWidened(t, e, filled, value)
	})
}

// checkNotWidened compares an entry with its template, label by label: what the
// operator wrote must still be there, and the value must not have added syntax.
func checkNotWidened(t *testing.T, template, filled Entry, value string) {
	t.Helper()
	labels := strings.Split(filled.String(), ".")
	if len(labels) != len(template.labels) {
		t.Fatalf("%q filled with %q has another number of labels: %q", template, value, filled)
	}
	for i, want := range template.labels {
		var plain strings.Builder
		for _, p := range want {
			if p.placeholder {
				plain.WriteString(value)
			} else {
				plain.WriteString(p.text)
			}
		}
		if strings.ContainsAny(value, "*.?[]{}\\ _/:@") {
			t.Errorf("%q was filled with %q", template, value)
		}
		literal := strings.ToLower(plain.String())
		if isASCII(literal) && labels[i] != literal {
			t.Errorf("%q filled with %q has the label %q, want %q", template, value, labels[i], literal)
		}
		if !isASCII(literal) && oracleText(literal) != labels[i] {
			t.Errorf("%q filled with %q has the label %q, want the A-label of %q", template, value, labels[i], literal)
		}
	}
}
