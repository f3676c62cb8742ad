package domainmatch

// Policy is a compiled list of entries with its options. It does not change and
// may be used by many goroutines at once. The zero Policy allows nothing.
//
// A check costs a few hash lookups per label of the name, however many entries
// there are; entries with stars have one exception, which globIndex explains.
type Policy struct {
	options   optionSet
	fixed     *index
	filled    *index  // from templates; nil unless made by For
	templates []Entry // those that nothing has been filled in, and so match nothing
}

// NewPolicy compiles entries and options. Entries with placeholders match nothing
// until [Policy.For] fills them.
func NewPolicy(entries []Entry, options []Option) *Policy {
	p := &Policy{options: newOptionSet(options), fixed: newIndex(entries)}
	for _, e := range entries {
		if e.Templated() {
			p.templates = append(p.templates, e)
		}
	}
	return p
}

// For is the policy for one caller: p with its templates filled as [Entry.Fill]
// does. It shares everything else with p and costs nothing if there are no
// templates. A name that p.For(lookup) allows and p does not is allowed through a
// template only, and therefore belongs to that caller.
func (p *Policy) For(lookup func(placeholder string) (string, bool)) *Policy {
	if len(p.templates) == 0 {
		return p
	}
	own := &Policy{options: p.options, fixed: p.fixed}
	var filled []Entry
	for _, e := range p.templates {
		if f, ok := e.Fill(lookup); ok {
			filled = append(filled, f)
		} else {
			own.templates = append(own.templates, e)
		}
	}
	own.filled = newIndex(filled)
	return own
}

// Allows tells whether the name may be ordered.
func (p *Policy) Allows(n Name) bool {
	return p.allows(n, p.options)
}

func (p *Policy) allows(n Name, options optionSet) bool {
	if n.IsWildcard() && !options.has(Wildcards) {
		return false
	}
	return p.fixed != nil && p.fixed.allows(n.text, options) ||
		p.filled != nil && p.filled.allows(n.text, options)
}

// Check is nil if every name may be ordered, and otherwise a [*Rejection] that
// lists every name that may not.
func (p *Policy) Check(names []Name) error {
	var refused []Refusal
	for _, n := range names {
		if !p.Allows(n) {
			refused = append(refused, Refusal{n, p.reason(n)})
		}
	}
	if refused == nil {
		return nil
	}
	return &Rejection{Names: refused, Unfilled: len(p.templates)}
}

// reason explains a refusal by the one option that would have made the difference,
// if there is one: this is what operators forget.
func (p *Policy) reason(n Name) Reason {
	if n.IsWildcard() && !p.options.has(Wildcards) {
		return NeedsWildcards
	}
	for _, o := range []struct {
		option Option
		reason Reason
	}{{BareDomains, NeedsBareDomains}, {Subdomains, NeedsSubdomains}, {Globs, NeedsGlobs}} {
		if p.allows(n, p.options|o.option.bit()) {
			return o.reason
		}
	}
	return NoEntry
}
