package domainmatch

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// The rules that a name has to keep, one error each. Parse and ParseEntry wrap
// them together with the offending text, so they read as the end of a sentence.
var (
	// ErrEmpty refuses the empty name, and the DNS root, which is only a dot.
	ErrEmpty = errors.New("the name is empty")

	// ErrTooLong is the limit of RFC 1035 §2.3.4, less the root label. It counts
	// the ASCII form, and the star of a wildcard name too.
	ErrTooLong = errors.New("the name has more than 253 characters in its ASCII form")

	// ErrEmptyLabel refuses a leading dot and two dots in a row.
	ErrEmptyLabel = errors.New("a label is empty; labels are separated by single dots, and a name does not begin with one")

	// ErrLabelTooLong is the limit of RFC 1035 §2.3.4 for one label.
	ErrLabelTooLong = errors.New("the label has more than 63 characters in its ASCII form")

	// ErrCharacter refuses what no host name contains (RFC 1123 §2.1). The usual
	// cause is a URL, a port or a stray space.
	ErrCharacter = errors.New("a host name has only letters, digits, hyphens and dots, without scheme, port, path or spaces")

	// ErrUnderscore is apart from ErrCharacter because DNS itself allows
	// underscores; certificates do not.
	ErrUnderscore = errors.New("the label has an underscore, which DNS allows but certificates do not")

	// ErrHyphen refuses hyphens at the ends of a label (RFC 1123 §2.1).
	ErrHyphen = errors.New("a label neither begins nor ends with a hyphen")

	// ErrReserved refuses the reserved LDH labels of RFC 5890 §2.3.1.
	ErrReserved = errors.New("two hyphens in third and fourth place are reserved for A-labels, which begin with xn--")

	// ErrStar refuses every star but the first label of a wildcard name.
	ErrStar = errors.New("a star stands only for the whole first label, as in *.example.com")

	// ErrIPAddress refuses IPv4 and IPv6 addresses in any spelling.
	ErrIPAddress = errors.New("an IP address is not a DNS name")

	// ErrNumericTLD refuses names that some software reads as IPv4 addresses:
	// 127.1, 10.0.0.256, example.0x7f.
	ErrNumericTLD = errors.New("the last label is a number, which software takes for an IP address")

	// ErrPunycode refuses A-labels that do not decode, or that an encoder would
	// have written in another way: two spellings of one name must never coexist.
	ErrPunycode = errors.New("a label that begins with xn-- must be the exact Punycode form of an international label")

	// ErrIDNA refuses letters and sequences that the IDNA lookup profile does not
	// know, such as a joiner between letters that do not join.
	ErrIDNA = errors.New("the IDNA lookup profile does not allow these characters, or not in this order")

	// ErrBidi is the rule of RFC 5893 §2, which concerns all labels of a name as
	// soon as one of them is written from right to left.
	ErrBidi = errors.New("right-to-left and left-to-right text is mixed in a way that RFC 5893 does not allow")
)

// The rules that only concern entries.
var (
	// ErrBraces refuses placeholders that do not begin with {{ and end with }}.
	ErrBraces = errors.New("a placeholder is written {{name}}, with one pair of double braces around a name that has none")

	// ErrGlobLabel refuses an entry that could never match: names are compared in
	// their A-label form, where a star next to a U-label's letters means nothing.
	ErrGlobLabel = errors.New("a label that has a star may otherwise have only ASCII letters, digits and hyphens")
)

// inLabel says in which label a rule was broken.
func inLabel(label string, rule error) error {
	return fmt.Errorf("label %s: %w", quoted(label), rule)
}

// quoted makes hostile text fit for a message: invisible characters are escaped,
// and a megabyte of input does not come back as a megabyte of error.
func quoted(s string) string {
	const most = 300
	if len(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%q...", s[:cut])
}
