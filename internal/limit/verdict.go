package limit

import (
	"errors"
	"net/http"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Judge gives what an order's failure means for orders to come.
//
// A certificate or an order that is not what was asked for counts against the
// identifiers too: it was made, and the CA may count it, each time it is asked.
func Judge(err error) Verdict {
	p, isProblem := errors.AsType[*acme.Problem](err)
	switch {
	case err == nil:
		return Verdict{}
	case errors.Is(err, acme.ErrUnproven), errors.Is(err, acme.ErrViolation):
		return Verdict{Scope: Set}
	case !isProblem:
		return Verdict{}
	case acme.Paused(p) || p.Type == acme.UserActionRequired:
		return Verdict{Scope: Set, Human: true}
	case p.Status == http.StatusTooManyRequests || p.Type == acme.RateLimited:
		return Verdict{Scope: scope(p), Wait: p.RetryAfter}
	case p.Status == http.StatusServiceUnavailable && p.RetryAfter > 0:
		return Verdict{Scope: Account, Wait: p.RetryAfter, Busy: true}
	case p.Status < http.StatusInternalServerError && aboutNames(p):
		return Verdict{Scope: Set, Wait: p.RetryAfter}
	}
	return Verdict{}
}

// aboutNames tells whether a problem, or one of its subproblems, says something
// about identifiers. The type of the whole may be any then (§6.7.1).
func aboutNames(p *acme.Problem) bool {
	if names[p.Type] {
		return true
	}
	for i := range p.Subproblems {
		if names[p.Subproblems[i].Type] {
			return true
		}
	}
	return false
}

// limitsOfNames are the words with which Boulder, Let's Encrypt's software, says
// which of its limits was reached, where that is not one of the account:
//
//	too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s
//	too many certificates (50) already issued for "example.com" in the last 168h0m0s
//	too many failed authorizations (5) for "www.example.com" in the last 1h0m0s
//
// RFC 8555 has no member that tells, so other CAs' limits are taken for the account's.
var limitsOfNames = []string{"exact set of", "already issued for", "failed authorizations"}

func scope(p *acme.Problem) Scope {
	if p.Identifier != nil {
		return Set
	}
	for i := range p.Subproblems {
		if p.Subproblems[i].Identifier != nil {
			return Set
		}
	}
	for _, words := range limitsOfNames {
		if strings.Contains(p.Detail, words) {
			return Set
		}
	}
	return Account
}
