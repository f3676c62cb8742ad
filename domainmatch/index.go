package domainmatch

import "strings"

// kind is what an entry, looked up by its text, says about the name of that text.
type kind uint8

const (
	noEntry       kind = iota
	nameEntry          // allows itself
	bareEntry          // allows itself with BareDomains
	wildcardEntry      // "*." and a name: allows itself with Wildcards
)

// index answers in a number of steps that depends on the labels of the name that
// is asked for, not on the number of entries.
type index struct {
	entries map[string]kind
	globs   globIndex
}

func newIndex(entries []Entry) *index {
	ix := &index{entries: make(map[string]kind, len(entries)), globs: newGlobIndex()}
	for _, e := range entries {
		ix.add(e)
	}
	return ix
}

func (ix *index) add(e Entry) {
	switch {
	case e.pattern == "":
	case strings.Contains(e.pattern, "*"):
		ix.entries[e.pattern] = wildcardEntry // if it is not one, no name is equal to it
		ix.globs.add(e)
	case isBare(e.pattern):
		ix.entries[e.pattern] = bareEntry
	default:
		ix.entries[e.pattern] = nameEntry
	}
}

// allows expects that the right to ask for wildcard names has been checked.
func (ix *index) allows(text string, options optionSet) bool {
	switch ix.entries[text] {
	case nameEntry, wildcardEntry:
		return true
	case bareEntry:
		if options.has(BareDomains) {
			return true
		}
	}
	if options.has(Subdomains) && ix.below(text) {
		return true
	}
	return options.has(Globs) && ix.globs.match(text)
}

// below tells whether there is an entry for a proper parent. The parents of "*.X"
// begin with X itself, which is what the rule for wildcard names asks for; and
// none of them has a star, so entries with a star are never found here.
func (ix *index) below(text string) bool {
	for up := parent(text); up != ""; up = parent(up) {
		if ix.entries[up] != noEntry {
			return true
		}
	}
	return false
}

// parent is the name without its first label, or "" for a single label.
func parent(text string) string {
	_, up, _ := strings.Cut(text, ".")
	return up
}
