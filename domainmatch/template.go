package domainmatch

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// piece is a run of literal text, or what stands between double braces.
type piece struct {
	text        string
	placeholder bool
}

// templateLabel is one label of a template. The template is cut into labels before
// anything is filled in, so no value can add, end or begin one.
type templateLabel []piece

// samples are values to try a template with: if none of them fits, no value does.
// The second one moves a literal "--" away from third place, the third one suits
// text that is written from right to left.
var samples = []string{"a", "aa", "\u05d0"}

func parseTemplate(s string) (Entry, error) {
	if len(s) > maxInput {
		return Entry{}, ErrTooLong
	}
	pieces, err := splitTemplate(s)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{labels: splitPieces(pieces)}
	var first error
	for _, sample := range samples {
		_, err := e.fill(func(string) (string, bool) { return sample, true })
		if err == nil {
			return e, nil
		}
		if first == nil {
			first = err
		}
	}
	return Entry{}, first
}

// splitTemplate separates placeholders from literal text.
func splitTemplate(s string) ([]piece, error) {
	var pieces []piece
	for s != "" {
		literal, rest, found := strings.Cut(s, "{{")
		if strings.Contains(literal, "}}") {
			return nil, ErrBraces
		}
		if literal != "" {
			pieces = append(pieces, piece{text: literal})
		}
		if !found {
			break
		}
		inner, after, closed := strings.Cut(rest, "}}")
		inner = strings.TrimSpace(inner)
		if !closed || inner == "" || strings.ContainsAny(inner, "{}") {
			return nil, ErrBraces
		}
		pieces = append(pieces, piece{text: inner, placeholder: true})
		s = after
	}
	return pieces, nil
}

// splitPieces cuts at the dots of the literal text; those within braces are part
// of a placeholder's name.
func splitPieces(pieces []piece) []templateLabel {
	labels := []templateLabel{nil}
	for _, p := range pieces {
		if p.placeholder {
			last := len(labels) - 1
			labels[last] = append(labels[last], p)
			continue
		}
		for i, text := range strings.Split(dots.Replace(p.text), ".") {
			if i > 0 {
				labels = append(labels, nil)
			}
			if last := len(labels) - 1; text != "" {
				labels[last] = append(labels[last], piece{text: text})
			}
		}
	}
	if last := len(labels) - 1; labels[last] == nil { // the dot at the end of a name
		labels = labels[:last]
	}
	return labels
}

// Templated tells whether the entry has placeholders. Until they are filled it
// matches nothing.
func (e Entry) Templated() bool { return e.labels != nil }

// Placeholders lists what stands between double braces, in order and without
// the spaces around it, for example "identity.entity.name".
func (e Entry) Placeholders() []string {
	var names []string
	for _, l := range e.labels {
		for _, p := range l {
			if p.placeholder {
				names = append(names, p.text)
			}
		}
	}
	return names
}

// Fill replaces every placeholder by its value. False means that a value is
// missing or is not fit for a host name, in which case the entry matches nothing.
//
// A value is data. It may hold letters, digits and hyphens, of any script that
// IDNA allows, and what it becomes part of has to be a valid label. It may not
// hold a dot or a star in any disguise, nor complete an "xn--", and it has to be
// what the name will say: a letter that IDNA would replace by another one (a
// full-width or mathematical letter, an invisible character) is refused, because
// otherwise two identities could own one name. Upper case is the exception, as
// DNS knows no case.
//
// An entry without placeholders is returned as it is.
func (e Entry) Fill(lookup func(placeholder string) (string, bool)) (Entry, bool) {
	if !e.Templated() {
		return e, true
	}
	filled, err := e.fill(lookup)
	return filled, err == nil
}

func (e Entry) fill(lookup func(string) (string, bool)) (Entry, error) {
	labels := make([]string, len(e.labels))
	for i, l := range e.labels {
		text, err := l.fill(lookup)
		if err != nil {
			return Entry{}, err
		}
		labels[i] = text
	}
	return parsePattern(strings.Join(labels, "."))
}

func (l templateLabel) fill(lookup func(string) (string, bool)) (string, error) {
	if l == nil {
		return "", ErrEmptyLabel
	}
	var b strings.Builder
	for _, p := range l {
		text := p.text
		if p.placeholder {
			value, ok := lookup(p.text)
			if !ok || !isHostText(value) {
				return "", ErrCharacter
			}
			text = value
		}
		b.WriteString(text)
	}
	if !slices.ContainsFunc(l, func(p piece) bool { return p.placeholder }) {
		return b.String(), nil
	}
	text, ok := lowerCase(b.String())
	switch {
	case !ok:
		return "", ErrIDNA
	case len(l) > 1 && strings.HasPrefix(text, acePrefix):
		return "", ErrPunycode // digits of Punycode are no letters to put together
	}
	return text, nil
}

// isHostText tells whether a value has only characters that labels are made of.
// Where they may stand is judged with the whole label.
func isHostText(value string) bool {
	if value == "" || len(value) > maxLabel*utf8.UTFMax {
		return false
	}
	for _, r := range value {
		if r != '-' && !unicode.In(r, unicode.L, unicode.M, unicode.Nd) {
			return false
		}
	}
	return true
}

// lowerCase is false if IDNA would do more to the label than change its case.
func lowerCase(label string) (string, bool) {
	if isASCII(label) {
		return strings.ToLower(label), true
	}
	for _, r := range label {
		// The Kelvin sign has a lower case, but is not the upper case of it.
		if lower := unicode.ToLower(r); lower != r && unicode.ToUpper(lower) != r {
			return "", false
		}
	}
	lower := strings.ToLower(label)
	asRead, err := idna.Lookup.ToUnicode(label)
	return lower, err == nil && asRead == lower
}
