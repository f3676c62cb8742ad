package domainmatch

import (
	"fmt"
	"strings"

	"github.com/gobwas/glob"
	"golang.org/x/net/publicsuffix"
)

// Entry is one item of allowed_domains that is known to be usable: a name, a name
// with stars, or a template of these. Only [ParseEntry] and [Entry.Fill] make one;
// the zero Entry matches nothing.
type Entry struct {
	source  string          // as it was written
	pattern string          // in canonical form; empty if the entry is a template
	glob    *glob.Pattern   // nil unless pattern has a star
	labels  []templateLabel // nil unless the entry is a template
}

// ParseEntry reads an entry as operators write it. It refuses, and names, every
// entry that no name could ever match. Which placeholders exist is not known
// here: ask [Entry.Placeholders] and refuse the others.
func ParseEntry(s string) (Entry, error) {
	e, err := parseEntry(s)
	if err != nil {
		return Entry{}, fmt.Errorf("entry %s can never match a name: %w", quoted(s), err)
	}
	e.source = s
	return e, nil
}

func parseEntry(s string) (Entry, error) {
	if strings.Contains(s, "{{") || strings.Contains(s, "}}") {
		return parseTemplate(s)
	}
	return parsePattern(s)
}

// parsePattern reads what has no placeholders, or none any more.
func parsePattern(s string) (Entry, error) {
	read, stars := parse, strings.Count(s, "*")
	if stars > 0 {
		read = parseStars
	}
	text, err := read(s)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{source: text, pattern: text}
	if stars > 1 { // see globIndex: around a single star the fixed text says it all
		e.glob, err = compileGlob(text)
	}
	return e, err
}

// compileGlob translates the pattern: to the glob package a star may be nothing.
func compileGlob(pattern string) (*glob.Pattern, error) {
	return glob.Compile(strings.ReplaceAll(pattern, "*", "?*"))
}

// parseStars brings a pattern with stars into canonical form: labels without a
// star are labels as in any name.
func parseStars(s string) (string, error) {
	if len(s) > maxInput {
		return "", ErrTooLong
	}
	labels := splitLabels(s)
	if len(labels) == 1 && labels[0] == "*" && s != "*" {
		return "", ErrEmptyLabel // "*." is half a wildcard name, not a wish for every name
	}
	var whole []string
	for i, label := range labels {
		canonical, err := canonicalPatternLabel(label)
		if err != nil {
			return "", inLabel(label, err)
		}
		labels[i] = canonical
		if !strings.Contains(canonical, "*") {
			whole = append(whole, canonical)
		}
	}
	if last := labels[len(labels)-1]; isNumber(last) {
		return "", inLabel(last, ErrNumericTLD)
	}
	text := strings.Join(labels, ".")
	if len(text) > MaxLength { // a star stands for at least one character
		return "", ErrTooLong
	}
	return text, checkBidi(strings.Join(whole, "."))
}

func canonicalPatternLabel(label string) (string, error) {
	if !strings.Contains(label, "*") {
		return canonicalLabel(label)
	}
	if !isASCII(label) {
		return "", ErrGlobLabel
	}
	label = strings.ToLower(label)
	runs := strings.Split(label, "*")
	for _, run := range runs {
		if err := checkCharacters(run); err != nil {
			return "", err
		}
		if len(run) > maxLabel {
			return "", ErrLabelTooLong
		}
	}
	first, last := runs[0], runs[len(runs)-1]
	switch {
	case strings.HasPrefix(first, "-") || strings.HasSuffix(last, "-"):
		return "", ErrHyphen
	case len(first) >= 4 && first[2:4] == "--" && !strings.HasPrefix(first, acePrefix):
		return "", ErrReserved
	}
	return label, nil
}

// String is the entry as it was written or, after [Entry.Fill], its canonical form.
func (e Entry) String() string { return e.source }

// isBare tells whether a canonical name is a bare domain: a registrable domain, a
// single label, or a public suffix, which is barer still. The list is that of
// publicsuffix.org, private section included, compiled into the library.
func isBare(name string) bool {
	suffix, _ := publicsuffix.PublicSuffix(name)
	rest := strings.TrimSuffix(strings.TrimSuffix(name, suffix), ".")
	return !strings.Contains(rest, ".")
}
