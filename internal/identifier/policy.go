package identifier

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
)

// Policy says who may have which identifiers. It does not change. The zero Policy
// allows nothing.
type Policy struct {
	names  *domainmatch.Policy
	ranges Ranges
}

// NewPolicy allows names as their policy does, and addresses in ranges.
func NewPolicy(names *domainmatch.Policy, ranges Ranges) Policy { return Policy{names, ranges} }

// For is the policy for one caller, from whose identity the templates of names
// are filled, see [domainmatch.Policy.For]. Ranges know no templates.
func (p Policy) For(lookup func(placeholder string) (string, bool)) Policy {
	if p.names == nil {
		return p
	}
	return Policy{p.names.For(lookup), p.ranges}
}

// Check is nil if every identifier may be ordered, and otherwise a *[Rejection]
// that lists all that may not.
func (p Policy) Check(ids []Identifier) error {
	var refused Rejection
	for _, address := range Addresses(ids) {
		if !p.ranges.Hold(address) {
			refused.Addresses = append(refused.Addresses, address)
		}
	}
	names := p.names
	if names == nil {
		names = &domainmatch.Policy{}
	}
	refused.Names, _ = errors.AsType[*domainmatch.Rejection](names.Check(Names(ids)))
	if refused.Names == nil && refused.Addresses == nil {
		return nil
	}
	return &refused
}

// Rejection is the error of [Policy.Check].
type Rejection struct {
	// Names is nil when all names are allowed.
	Names *domainmatch.Rejection
	// Addresses are those that no range holds, in the order they were asked for.
	Addresses []netip.Addr
}

// Error lists every refused identifier, and why.
func (r *Rejection) Error() string {
	refused := make([]string, len(r.Addresses))
	for i, address := range r.Addresses {
		refused[i] = fmt.Sprintf("%q: no range of allowed_ip_ranges holds it", address)
	}
	text := strings.Join(refused, "; ")
	switch {
	case r.Names == nil:
		return "not allowed: " + text
	case text == "":
		return r.Names.Error()
	}
	return r.Names.Error() + "; " + text
}
