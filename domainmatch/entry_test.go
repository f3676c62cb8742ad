package domainmatch

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// entries that can match a name, and their canonical form, which is empty for
// templates.
var entries = []struct{ in, pattern, reason string }{
	{"example.com", "example.com", "a name"},
	{"Example.COM.", "example.com", "canonical as any name"},
	{"räksmörgås.se", "xn--rksmrgs-5wao1o.se", "U-label"},
	{"*.example.com", "*.example.com", "a star for the first label"},
	{"*.Räksmörgås.se.", "*.xn--rksmrgs-5wao1o.se", "a star above a U-label"},
	{"*", "*", "any name"},
	{"*.com", "*.com", "any name below a top-level domain"},
	{"*example.com", "*example.com", "part of a label"},
	{"WEB-*-x.example.com", "web-*-x.example.com", "a star within a label"},
	{"foo.*.example.com", "foo.*.example.com", "an inner label"},
	{"foo.*", "foo.*", "the last label"},
	{"foo.*1", "foo.*1", "the last label need not be a number"},
	{"xn--*.example.com", "xn--*.example.com", "every international label"},
	{"a*--b.example.com", "a*--b.example.com", "the star may move the hyphens from third place"},
	{strings.Repeat("a", 60) + "*" + strings.Repeat("a", 60), strings.Repeat("a", 60) + "*" + strings.Repeat("a", 60), "the star may be a dot between two labels"},
	{"{{identity.entity.name}}.users.example.com", "", "a template"},
	{"app-{{ identity.entity.name }}.example.com", "", "part of a label, and spaces within braces"},
	{"{{a}}{{b}}.example.com", "", "two placeholders in one label"},
	{"{{a}}.{{b}}", "", "nothing but placeholders"},
	{"*.{{identity.entity.name}}.example.com.", "", "a star above a placeholder"},
	{"web-*｡räksmörgås。se", "web-*.xn--rksmrgs-5wao1o.se", "dots of other scripts"},
	{"{{a}}-*｡räksmörgås。se", "", "dots of other scripts next to a placeholder"},
	{"{{a}}-*.räksmörgås.se", "", "star, placeholder and U-label"},
	{"räk-{{a}}.example.com", "", "part of a U-label"},
	{"{{a}}a--b.example.com", "", "a value of two characters moves the hyphens from third place"},
	{"{{a}}\u05d0.com", "", "a right-to-left value fits"},
	{"{{identity.entity.metadata.a b*c.d}}.example.com", "", "a placeholder's name is the caller's business"},
}

var noEntries = []struct {
	in     string
	rule   error
	reason string
}{
	{"", ErrEmpty, "nothing"},
	{"foo_bar.example.com", ErrUnderscore, "no host name"},
	{"192.0.2.1", ErrIPAddress, "an address"},
	{"*.", ErrEmptyLabel, "a star above nothing"},
	{".*", ErrEmptyLabel, "nothing before the first dot"},
	{"*..example.com", ErrEmptyLabel, "two dots"},
	{"*.123", ErrNumericTLD, "part of an address"},
	{"10.*.0.0", ErrNumericTLD, "part of an address"},
	{"*.foo_bar.example.com", ErrUnderscore, "below what is no host name"},
	{"*_.example.com", ErrUnderscore, "next to the star"},
	{"-*.example.com", ErrHyphen, "every match would begin with a hyphen"},
	{"*-.example.com", ErrHyphen, "every match would end with a hyphen"},
	{"ab--*.example.com", ErrReserved, "every match would be reserved"},
	{"räk*.example.com", ErrGlobLabel, "no A-label looks like this"},
	{"＊*.example.com", ErrGlobLabel, "a full-width star"},
	{"*.xn--abc-.com", ErrPunycode, "below what is no A-label"},
	{"1a.*.אב.com", ErrBidi, "labels that may not stand in one name"},
	{"fo?.example.com", ErrCharacter, "a question mark is no wildcard here"},
	{"[ab]*.example.com", ErrCharacter, "nor are classes"},
	{"{a,b}*.example.com", ErrCharacter, "nor alternatives"},
	{`\*.example.com`, ErrCharacter, "nor escapes"},
	{"!*.example.com", ErrCharacter, "nor negation"},
	{"* .example.com", ErrCharacter, "a space"},
	{strings.Repeat("a", 64) + "*.com", ErrLabelTooLong, "a label that only gets longer"},
	{"*." + longName(252), ErrTooLong, "a star is one character at least"},
	{strings.Repeat("*", 5000), ErrTooLong, "refused before any work is done"},
	{strings.Repeat("{{a}}", 5000), ErrTooLong, "refused before any work is done"},
	{"{{identity.entity.name.example.com", ErrBraces, "not closed"},
	{"identity.entity.name}}.example.com", ErrBraces, "not opened"},
	{"{{a}}.b}}.example.com", ErrBraces, "closed twice"},
	{"{{a{{b}}}}.example.com", ErrBraces, "nested"},
	{"{{{a}}}.example.com", ErrBraces, "three braces"},
	{"{{}}.example.com", ErrBraces, "no name"},
	{"{{ }}.example.com", ErrBraces, "no name but a space"},
	{"{a}.example.com", ErrCharacter, "one brace"},
	{"{{a}}_b.example.com", ErrUnderscore, "no value makes this a host name"},
	{"-{{a}}.example.com", ErrHyphen, "no value removes the hyphen"},
	{"{{a}}..example.com", ErrEmptyLabel, "two dots"},
	{"{{a}}..", ErrEmptyLabel, "only one trailing dot is the root"},
	{".{{a}}", ErrEmptyLabel, "leading dot"},
	{"xn--{{a}}.example.com", ErrPunycode, "a value is text, not Punycode"},
	{"{{a}}.123", ErrNumericTLD, "part of an address"},
	{"räk*{{a}}.example.com", ErrIDNA, "a star next to a U-label"},
	{"ｗ{{a}}.example.com", ErrIDNA, "a full-width letter next to a placeholder"},
}

func TestParseEntry(t *testing.T) {
	t.Parallel()
	for _, test := range entries {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			e, err := ParseEntry(test.in)
			if err != nil {
				t.Fatal(err)
			}
			if e.String() != test.in || e.pattern != test.pattern {
				t.Errorf("entry %q has the pattern %q, want %q and %q", e, e.pattern, test.in, test.pattern)
			}
			if e.Templated() != (test.pattern == "") {
				t.Errorf("Templated() = %v", e.Templated())
			}
			if e.Templated() != (len(e.Placeholders()) > 0) {
				t.Errorf("Placeholders() = %q", e.Placeholders())
			}
		})
	}
}

func TestParseEntryRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range noEntries {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			e, err := ParseEntry(test.in)
			if !errors.Is(err, test.rule) {
				t.Fatalf("ParseEntry(%q) = %q, %v; want the rule %q", test.in, e, err, test.rule)
			}
			if len(test.in) < 300 && !strings.Contains(err.Error(), quoted(test.in)) {
				t.Errorf("%v does not name the entry", err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d characters", len(err.Error()))
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	e := mustEntry(t, "{{ identity.entity.name }}-{{identity.entity.metadata.a.b}}.{{identity.entity.id}}.example.com")
	want := []string{"identity.entity.name", "identity.entity.metadata.a.b", "identity.entity.id"}
	if got := e.Placeholders(); !slices.Equal(got, want) {
		t.Errorf("Placeholders() = %q, want %q", got, want)
	}
}

func TestParseOption(t *testing.T) {
	t.Parallel()
	var all optionSet
	for _, o := range Options() {
		if got, err := ParseOption(string(o)); err != nil || got != o {
			t.Errorf("ParseOption(%q) = %q, %v", o, got, err)
		}
		if all.has(o) || !newOptionSet([]Option{o}).has(o) {
			t.Errorf("%s shares its bit with another option, or has none", o)
		}
		all |= o.bit()
	}
	if newOptionSet([]Option{"regexes"}) != 0 || all.has("regexes") {
		t.Error("something that is no option counts as one")
	}
	const want = `"Globs" is not an option of domain matching; there are bare_domains, subdomains, wildcards, globs`
	if _, err := ParseOption("Globs"); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
