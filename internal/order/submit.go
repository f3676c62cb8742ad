package order

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// submit asks the CA for an order (RFC 8555 §7.4). It can only be repeated by
// asking again: a crash right after the answer leaves an unused order at the
// CA, which expires there.
func submit(ctx context.Context, env Env, o *Order) (move, error) {
	at, err := env.CA.NewOrder(ctx, acme.NewOrder{Identifiers: o.identifiers(), Profile: o.Profile})
	if err != nil {
		return move{}, fmt.Errorf("asking the CA for an order: %w", err)
	}
	if holder := env.Claim(at.URL, o.ID); holder != o.ID {
		return move{
			to: o.State, after: backoff(o.Tries+1, env.Jitter()),
			because: "the CA answered with the order that it has for " + string(holder) + " already; waiting for that one to end",
		}, nil
	}
	o.URL, o.FinalizeURL = at.URL, at.Finalize
	o.Authorizations = authorizationsOf(at.Authorizations)
	o.setExpiry(at)
	switch at.Status {
	case acme.StatusPending:
		return moveTo(StateSubmitted)
	case acme.StatusReady:
		return moveTo(StateKeying)
	case acme.StatusProcessing, acme.StatusValid:
		return o.adoptFinished(at)
	}
	return o.unusable(ctx, env, at)
}

// adoptFinished goes on with an order that the CA has a CSR for already. Only
// a CSR that was stored here can be the one; collecting checks the key.
func (o *Order) adoptFinished(at acme.Order) (move, error) {
	if o.RequestCSR == "" {
		return move{}, fmt.Errorf("the CA answered with an order that is %s already, for a key that is not ours: %w", at.Status, ErrRefused)
	}
	o.CertificateURL = at.Certificate
	return moveTo(StateCollecting)
}

func (o *Order) identifiers() []acme.Identifier {
	out := make([]acme.Identifier, len(o.Identifiers))
	for i := range o.Identifiers {
		out[i] = o.Identifiers[i].Identifier
	}
	return out
}

func authorizationsOf(urls []string) []Authorization {
	out := make([]Authorization, len(urls))
	for i, url := range urls {
		out[i].URL = url
	}
	return out
}

func (o *Order) setExpiry(at acme.Order) {
	if at.Expires.IsZero() {
		return
	}
	o.Expires, o.Deadline = at.Expires, at.Expires
}

// unusable turns an order that is invalid, or in a status that RFC 8555 does
// not know, into the error that says why. The causes lie in the authorizations
// (§7.1.6: one invalid authorization makes the order invalid).
func (o *Order) unusable(ctx context.Context, env Env, at acme.Order) (move, error) {
	if at.Status != acme.StatusInvalid {
		return move{}, fmt.Errorf("the CA put the order into the status %q, which is none of RFC 8555: %w", at.Status, ErrRefused)
	}
	causes := o.causes(ctx, env)
	if at.Error != nil {
		causes = append([]string{at.Error.Error()}, causes...)
	}
	if len(causes) == 0 {
		causes = []string{"the CA gave no reason"}
	}
	return move{}, fmt.Errorf("the CA made the order invalid: %s: %w", strings.Join(causes, "; "), ErrRefused)
}

// causes reads the authorizations for what went wrong. It says what it could
// find out: a failure to read one is no reason to keep the others back.
func (o *Order) causes(ctx context.Context, env Env) []string {
	var out []string
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if err := a.read(ctx, env); err != nil {
			continue
		}
		if why := o.failure(a); why != "" && !slices.Contains(out, why) {
			out = append(out, why)
		}
	}
	return out
}

// failure says why an authorization cannot become valid, "" when it can.
func (o *Order) failure(a *Authorization) string {
	for i := range a.Challenges {
		if p := a.Challenges[i].Error; p != nil && a.Status != acme.StatusValid {
			return fmt.Sprintf("%s for %q: %s", a.Challenges[i].Type, o.Label(a), p.Error())
		}
	}
	switch a.Status {
	case acme.StatusPending, acme.StatusValid:
		return ""
	}
	return fmt.Sprintf("the authorization for %q is %s", o.Label(a), a.Status)
}

// read fetches an authorization and takes over what the CA says of it.
func (a *Authorization) read(ctx context.Context, env Env) error {
	at, err := env.CA.Authorization(ctx, a.URL)
	if err != nil {
		return fmt.Errorf("reading an authorization: %w", err)
	}
	a.Identifier, a.Status, a.Expires, a.Challenges = at.Requested(), at.Status, at.Expires, at.Challenges
	return nil
}

// readAuthorizations learns what the CA wants proven (RFC 8555 §7.5). Which
// authorization is for which identifier is told by its contents alone: neither
// their order nor their number means anything (§7.1.3).
func readAuthorizations(ctx context.Context, env Env, o *Order) (move, error) {
	for i := range o.Authorizations {
		if err := o.Authorizations[i].read(ctx, env); err != nil {
			return move{}, err
		}
	}
	open := 0
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if why := o.failure(a); why != "" {
			return move{}, fmt.Errorf("%s: %w", why, ErrRefused)
		}
		if a.Status == acme.StatusValid {
			continue
		}
		open++
		if err := o.answerable(a); err != nil {
			return move{}, err
		}
		if !a.Expires.IsZero() && a.Expires.Before(o.Deadline) {
			o.Deadline = a.Expires
		}
		if err := o.locateProof(ctx, env, a); err != nil {
			return move{}, err
		}
	}
	if open == 0 {
		return moveTo(StateKeying)
	}
	return moveTo(StateAwaiting)
}

// answerable checks that the CA offers a challenge which the role allows.
func (o *Order) answerable(a *Authorization) error {
	offered := make([]string, len(a.Challenges))
	for i := range a.Challenges {
		if slices.Contains(o.Allowed, a.Challenges[i].Type) {
			return nil
		}
		offered[i] = string(a.Challenges[i].Type)
	}
	return fmt.Errorf("for %q the CA offers %s, of which the role allows none: %w", o.Label(a), strings.Join(offered, ", "), ErrRefused)
}
