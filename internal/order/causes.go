package order

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// unusable turns an order that is invalid, or in a status that RFC 8555 does
// not know, into the error that says why. The causes lie in the authorizations
// (§7.1.6: one invalid authorization makes the order invalid).
func (o *Order) unusable(ctx context.Context, env Env, at acme.Order) (move, error) {
	if at.Status != acme.StatusInvalid {
		return move{}, fmt.Errorf("%w (§7.1.6): it put the order into the status %q", acme.ErrViolation, at.Status)
	}
	causes := o.causes(ctx, env)
	if at.Error != nil {
		causes = append([]string{at.Error.Error()}, causes...)
	}
	if len(causes) == 0 {
		causes = []string{"the CA gave no reason"}
	}
	return move{}, marked{Refuse("the CA made the order invalid: %s", strings.Join(causes, "; ")), acme.ErrUnproven}
}

// causes reads the authorizations for what went wrong. It says what it could
// find out: a failure to read one is no reason to keep the others back.
func (o *Order) causes(ctx context.Context, env Env) []string {
	var out []string
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if a.read(ctx, env) != nil {
			continue
		}
		why := o.complaint(a)
		if why == "" {
			why = o.failure(a)
		}
		if why != "" && !slices.Contains(out, why) {
			out = append(out, why)
		}
	}
	return out
}

// failure says why an authorization cannot become valid, "" when it can. A
// challenge with an error is no reason while the authorization is pending: the
// CA may be trying it again (RFC 8555 §8.2).
func (o *Order) failure(a *Authorization) string {
	if a.Status == acme.StatusPending || a.Status == acme.StatusValid {
		return ""
	}
	if why := o.complaint(a); why != "" {
		return why
	}
	return fmt.Sprintf("the authorization for %q is %s", o.Label(a), a.Status)
}

// complaint gives what the CA says of a failed validation, "" when it says
// nothing.
func (o *Order) complaint(a *Authorization) string {
	for i := range a.Challenges {
		if p := a.Challenges[i].Error; p != nil && a.Status != acme.StatusValid {
			return fmt.Sprintf("%s for %q: %s", a.Challenges[i].Type, o.Label(a), p.Error())
		}
	}
	return ""
}
