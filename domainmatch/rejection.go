package domainmatch

import (
	"fmt"
	"strings"
)

// Reason says in words why a name was refused.
type Reason string

// The reasons for a refusal. Those that name an option mean that the entries are
// there and only the option is missing.
const (
	NoEntry          Reason = "no entry of allowed_domains covers it"
	NeedsBareDomains Reason = "it is a bare domain, and allowed_domain_options does not include bare_domains"
	NeedsSubdomains  Reason = "it is below an entry of allowed_domains, and allowed_domain_options does not include subdomains"
	NeedsWildcards   Reason = "it is a wildcard name, and allowed_domain_options does not include wildcards"
	NeedsGlobs       Reason = "only an entry with a star covers it, and allowed_domain_options does not include globs"
)

// Refusal is one name that may not be ordered.
type Refusal struct {
	Name   Name
	Reason Reason
}

// String is the name as sent to a CA, the name as people read it if that is
// another one, and the reason.
func (r Refusal) String() string {
	if u := r.Name.Unicode(); u != r.Name.String() {
		return fmt.Sprintf("%q (%s): %s", r.Name, u, r.Reason)
	}
	return fmt.Sprintf("%q: %s", r.Name, r.Reason)
}

// Rejection is the error of [Policy.Check].
type Rejection struct {
	// Names are all that were refused, in the order they were asked for.
	Names []Refusal

	// Unfilled is how many entries matched nothing because the caller's identity
	// has no usable value for their placeholders.
	Unfilled int
}

// Error lists every refused name.
func (r *Rejection) Error() string {
	refused := make([]string, len(r.Names))
	for i, n := range r.Names {
		refused[i] = n.String()
	}
	text := "not allowed: " + strings.Join(refused, "; ")
	switch r.Unfilled {
	case 0:
		return text
	case 1:
		return text + "; 1 entry of allowed_domains is a template that the caller's identity does not fill"
	default:
		return text + fmt.Sprintf("; %d entries of allowed_domains are templates that the caller's identity does not fill", r.Unfilled)
	}
}
