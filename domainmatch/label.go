package domainmatch

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	acePrefix = "xn--" // RFC 5890 §2.3.2.1
	maxLabel  = 63
)

// dots are the label separators of UTS #46 §2.3. Splitting has to know all four:
// a full-width dot that is mapped after the split would smuggle a second label in.
var dots = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// splitLabels splits a name that is not empty, and forgives one trailing dot.
func splitLabels(s string) []string {
	return strings.Split(strings.TrimSuffix(dots.Replace(s), "."), ".")
}

// canonicalLabel turns one label, in either form and any case, into its only
// canonical spelling.
func canonicalLabel(label string) (string, error) {
	if err := checkCharacters(label); err != nil {
		return "", err
	}
	if isASCII(label) {
		label = strings.ToLower(label)
		return label, checkASCIILabel(label)
	}
	if strings.HasPrefix(mapped(label), acePrefix) {
		return "", ErrPunycode
	}
	ascii, err := idna.Lookup.ToASCII(label)
	if err != nil {
		return "", ErrIDNA
	}
	switch err := cmp.Or(checkCharacters(ascii), checkASCIILabel(ascii)); err {
	case nil:
		return ascii, nil
	case ErrLabelTooLong:
		return "", err
	default:
		// The mapping lets characters pass that no A-label may stand for, such
		// as code points of a later Unicode version: they only show up here.
		return "", ErrIDNA
	}
}

// checkCharacters refuses bytes that no mapping can turn into a host name, to
// name them rather than to blame IDNA.
func checkCharacters(label string) error {
	for i, r := range label {
		switch {
		case r == utf8.RuneError && !utf8.ValidString(label[i:]):
			return ErrCharacter
		case r >= utf8.RuneSelf || isLDH(r):
		case r == '*':
			return ErrStar
		case r == '_':
			return ErrUnderscore
		default:
			return fmt.Errorf("character %q: %w", r, ErrCharacter)
		}
	}
	return nil
}

// checkASCIILabel expects lower-case letters, digits and hyphens.
func checkASCIILabel(label string) error {
	switch {
	case label == "":
		return ErrEmptyLabel
	case len(label) > maxLabel:
		return ErrLabelTooLong
	case strings.HasPrefix(label, acePrefix):
		return checkALabel(label)
	case label[0] == '-' || label[len(label)-1] == '-':
		return ErrHyphen
	case len(label) >= 4 && label[2:4] == "--":
		return ErrReserved
	}
	return nil
}

// checkALabel demands the round trip of RFC 5891 §5.4: the IDNA package decodes
// "xn--abc-" to "abc" without complaint, and would so let one name have two forms.
func checkALabel(label string) error {
	again, err := idna.Lookup.ToASCII(label)
	if err != nil || again != label {
		return ErrPunycode
	}
	return nil
}

// mapped applies the mapping of UTS #46 to each character alone, without decoding
// Punycode. It finds an "xn--" in disguise, which the IDNA package would decode
// and so hide from the round trip.
func mapped(label string) string {
	var b strings.Builder
	for _, r := range label {
		// A lone hyphen or combining mark is an error, yet mapped all the same.
		text, _ := idna.Lookup.ToUnicode(string(r))
		b.WriteString(text)
	}
	return b.String()
}

// isNumber tells whether inet_aton and browsers would read the label as a number.
func isNumber(label string) bool {
	hex, isHex := strings.CutPrefix(label, "0x")
	if isHex {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// isLDH tells letters, digits and hyphens of ASCII.
func isLDH(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
