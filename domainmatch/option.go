package domainmatch

import (
	"fmt"
	"strings"
)

// Option widens what entries allow; see the package documentation for the rules.
type Option string

// The options, spelled as in allowed_domain_options.
const (
	BareDomains Option = "bare_domains" // an entry that is a bare domain allows itself
	Subdomains  Option = "subdomains"   // an entry allows the names below it
	Wildcards   Option = "wildcards"    // wildcard names may be asked for at all
	Globs       Option = "globs"        // entries with a star match names
)

// Options lists every option, in the order of the documentation.
func Options() []Option {
	return []Option{BareDomains, Subdomains, Wildcards, Globs}
}

// ParseOption reads the exact spelling of an option.
func ParseOption(s string) (Option, error) {
	names := make([]string, 0, len(Options()))
	for _, o := range Options() {
		if s == string(o) {
			return o, nil
		}
		names = append(names, string(o))
	}
	return "", fmt.Errorf("%s is not an option of domain matching; there are %s", quoted(s), strings.Join(names, ", "))
}

// optionSet is a set of options that costs nothing to ask.
type optionSet uint8

func newOptionSet(options []Option) optionSet {
	var set optionSet
	for _, o := range options {
		set |= o.bit()
	}
	return set
}

// bit is 0 for what is not an option, so that it allows nothing.
func (o Option) bit() optionSet {
	switch o {
	case BareDomains:
		return 1
	case Subdomains:
		return 2
	case Wildcards:
		return 4
	case Globs:
		return 8
	}
	return 0
}

func (s optionSet) has(o Option) bool {
	bit := o.bit()
	return bit != 0 && s&bit == bit
}
