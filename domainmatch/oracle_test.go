package domainmatch

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// oracle answers as the contract's prose reads, entry by entry and sentence by
// sentence, without an index and without the glob package. Names and entries are
// canonical text.
func oracle(name string, entries []string, options []Option) bool {
	isWildcard := strings.HasPrefix(name, "*.")
	if isWildcard && !slices.Contains(options, Wildcards) {
		return false // "a wildcard name *.X needs wildcards"
	}
	for _, entry := range entries {
		if strings.Contains(entry, "*") {
			if oracleStar(name, entry, options) {
				return true
			}
		} else if oraclePlain(name, entry, options) {
			return true
		}
	}
	return false
}

// oracleStar is for entries with a star: "an entry with * matches nothing by
// itself", but a wildcard name is allowed by "an entry equal to *.X", and "with
// globs it is a glob".
func oracleStar(name, entry string, options []Option) bool {
	if strings.HasPrefix(name, "*.") && entry == name {
		return true
	}
	return slices.Contains(options, Globs) && oracleGlob(entry, name)
}

// oraclePlain is for entries without a star.
func oraclePlain(name, entry string, options []Option) bool {
	subdomains := slices.Contains(options, Subdomains)
	if base, isWildcard := strings.CutPrefix(name, "*."); isWildcard {
		return subdomains && (base == entry || oracleBelow(base, entry))
	}
	if name == entry {
		return !oracleBare(entry) || slices.Contains(options, BareDomains)
	}
	return subdomains && oracleBelow(name, entry)
}

// oracleBelow compares labels from the right.
func oracleBelow(name, entry string) bool {
	n, e := strings.Split(name, "."), strings.Split(entry, ".")
	return len(n) > len(e) && slices.Equal(n[len(n)-len(e):], e)
}

func oracleBare(entry string) bool {
	registrable, err := publicsuffix.EffectiveTLDPlusOne(entry)
	return err != nil || registrable == entry || !strings.Contains(entry, ".")
}

// oracleGlob says whether pattern matches text, a star being one or more characters.
// reached[i] is whether the pattern so far can end before text[i].
func oracleGlob(pattern, text string) bool {
	reached := make([]bool, len(text)+1)
	reached[0] = true
	for _, p := range []byte(pattern) {
		next := make([]bool, len(text)+1)
		for i := range len(text) {
			if p == '*' {
				next[i+1] = reached[i] || next[i]
			} else {
				next[i+1] = reached[i] && text[i] == p
			}
		}
		reached = next
	}
	return reached[len(text)]
}

// oracleText is the canonical form of an entry that ParseEntry accepts.
func oracleText(entry string) string {
	entry = strings.NewReplacer("。", ".", "．", ".", "｡", ".").Replace(entry)
	labels := strings.Split(strings.TrimSuffix(entry, "."), ".")
	for i, label := range labels {
		if ascii, err := idna.Lookup.ToASCII(label); err == nil {
			label = ascii
		}
		labels[i] = strings.ToLower(label)
	}
	return strings.Join(labels, ".")
}
