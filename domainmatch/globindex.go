package domainmatch

import (
	"slices"
	"strings"

	"github.com/gobwas/glob"
)

// globIndex finds the few patterns that could match a name by hashing. A pattern
// has fixed text before its first star and after its last one, its ends. Under the
// whole labels that a pattern ends with stands what shapes its ends may have there;
// a shape cuts the ends out of a name, and under the ends stands what has to be
// between them: anything at all if the pattern has only one star, and what the glob
// package finds to match if it has more.
//
// So a hundred thousand patterns cost no more than ten, as long as their ends
// differ. Patterns that differ only between their first and last star
// (*-a-*.example.com, *-b-*.example.com) are tried one after another.
type globIndex struct {
	shapes  map[string][]shape
	middles map[ends]middle
}

// middle is what the patterns with the same ends ask of the text between them,
// beyond being there.
type middle struct {
	anything bool // there is a pattern with a single star
	patterns []*glob.Pattern
}

// ends is the fixed text on both sides of the stars. It determines the shape.
type ends struct{ prefix, suffix string }

// shape is how long the ends are, and which bytes of them touch a star; comparing
// these saves hashing most of the texts that have no pattern.
type shape struct {
	prefix, suffix int
	before, after  byte // 0 where there is no fixed text
}

func newGlobIndex() globIndex {
	return globIndex{map[string][]shape{}, map[ends]middle{}}
}

func (g globIndex) add(e Entry) {
	at := ends{
		prefix: e.pattern[:strings.Index(e.pattern, "*")],
		suffix: e.pattern[strings.LastIndex(e.pattern, "*")+1:],
	}
	m := g.middles[at]
	if e.glob == nil {
		m.anything = true
	} else {
		m.patterns = append(m.patterns, e.glob)
	}
	g.middles[at] = m

	tail := parent(at.suffix) // what precedes the dot may be half a label
	if s := at.shape(); !slices.Contains(g.shapes[tail], s) {
		g.shapes[tail] = append(g.shapes[tail], s)
	}
}

func (g globIndex) match(text string) bool {
	if len(g.middles) == 0 {
		return false
	}
	for tail := parent(text); ; tail = parent(tail) {
		for _, s := range g.shapes[tail] {
			if g.matchShape(text, s) {
				return true
			}
		}
		if tail == "" { // where patterns stand that end within the last label
			return false
		}
	}
}

func (g globIndex) matchShape(text string, s shape) bool {
	if len(text) <= s.prefix+s.suffix {
		return false
	}
	at := ends{text[:s.prefix], text[len(text)-s.suffix:]}
	if at.shape() != s {
		return false
	}
	m := g.middles[at]
	return m.anything || slices.ContainsFunc(m.patterns, func(p *glob.Pattern) bool { return p.Match(text) })
}

func (e ends) shape() shape {
	s := shape{prefix: len(e.prefix), suffix: len(e.suffix)}
	if e.prefix != "" {
		s.before = e.prefix[len(e.prefix)-1]
	}
	if e.suffix != "" {
		s.after = e.suffix[0]
	}
	return s
}
