package domainmatch

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// MaxLength is the most characters that a name may have in its ASCII form.
const MaxLength = 253

// maxInput bounds the work that a request can cause before the ASCII form is
// known. A U-label never has more than four bytes per character of its A-label.
const maxInput = 4 * MaxLength

const star = "*."

// Name is a DNS name that may stand in a certificate: lower-case A-labels
// without a trailing dot, and perhaps a leading "*.". Only [Parse] makes one.
// Names are equal, also as map keys, if and only if they are the same name.
// The zero Name is no name at all; no policy allows it.
type Name struct {
	text string
}

// Parse reads a name as people write it: in any case, as U-labels or A-labels,
// with or without a trailing dot, with a leading "*." for a wildcard name.
// The error wraps the rule that was broken and quotes the name.
func Parse(s string) (Name, error) {
	text, err := parse(s)
	if err != nil {
		return Name{}, fmt.Errorf("%s is not a DNS name for a certificate: %w", quoted(s), err)
	}
	return Name{text}, nil
}

func parse(s string) (string, error) {
	if len(s) > maxInput {
		return "", ErrTooLong
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return "", ErrIPAddress
	}
	base, wildcard := strings.CutPrefix(s, star)
	text, err := parseBase(base)
	switch {
	case wildcard && errors.Is(err, ErrEmpty):
		return "", ErrStar
	case err != nil:
		return "", err
	case wildcard:
		text = star + text
	}
	if len(text) > MaxLength {
		return "", ErrTooLong
	}
	return text, nil
}

// parseBase reads a name without its "*.".
func parseBase(s string) (string, error) {
	if s == "" || s == "." {
		return "", ErrEmpty
	}
	labels := splitLabels(s)
	for i, label := range labels {
		canonical, err := canonicalLabel(label)
		if err != nil {
			return "", inLabel(label, err)
		}
		labels[i] = canonical
	}
	text := strings.Join(labels, ".")
	if _, err := netip.ParseAddr(text); err == nil {
		return "", ErrIPAddress
	}
	if last := labels[len(labels)-1]; isNumber(last) {
		return "", inLabel(last, ErrNumericTLD)
	}
	return text, checkBidi(text)
}

// checkBidi looks at all labels together, because a single right-to-left label
// subjects the others to the rule as well (RFC 5893 §1.4).
func checkBidi(text string) error {
	if !strings.Contains(text, acePrefix) {
		return nil
	}
	if whole, err := idna.Lookup.ToASCII(text); err != nil || whole != text {
		return ErrBidi
	}
	return nil
}

// String is the canonical form, the one to send to a CA and to compare.
func (n Name) String() string { return n.text }

// Unicode is the form for people to read, with U-labels. It is for display only.
func (n Name) Unicode() string {
	base, wildcard := strings.CutPrefix(n.text, star)
	text, err := idna.Lookup.ToUnicode(base)
	switch {
	case err != nil:
		return n.text
	case wildcard:
		return star + text
	}
	return text
}

// IsWildcard tells whether the name begins with "*.".
func (n Name) IsWildcard() bool { return strings.HasPrefix(n.text, star) }

// Base is the name without "*."; this is what a CA calls the identifier of a
// wildcard authorization (RFC 8555 §7.1.3).
func (n Name) Base() Name { return Name{strings.TrimPrefix(n.text, star)} }

// MarshalText writes the canonical form. The zero Name is an error, so that a
// name that was never set cannot end up in storage.
func (n Name) MarshalText() ([]byte, error) {
	if n.text == "" {
		return nil, ErrEmpty
	}
	return []byte(n.text), nil
}

// UnmarshalText reads a name as [Parse] does.
func (n *Name) UnmarshalText(text []byte) error {
	name, err := Parse(string(text))
	if err != nil {
		return err
	}
	*n = name
	return nil
}
