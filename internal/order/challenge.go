package order

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// The rules of reporting a challenge as fulfilled; each is wrapped by an error
// that names identifier and type.
var (
	ErrNotAwaiting       = errors.New("the order is not waiting for challenges")
	ErrUnknownIdentifier = errors.New("is not an identifier of the order that is to be proven")
	ErrNotAllowed        = errors.New("is not allowed by the role")
	ErrNotOffered        = errors.New("is not offered by the CA")
	ErrNotPending        = errors.New("needs no proof any more")
)

// Fulfill notes that a challenge is in place (contract: fulfilled-challenge).
// Until the CA has been told, the choice for an identifier may be changed;
// reporting the same again changes nothing.
func (o *Order) Fulfill(value string, t acme.ChallengeType) error {
	a, _, err := o.Find(value, t)
	if err != nil {
		return err
	}
	switch {
	case o.State != StateAwaiting && a.Fulfilled == t:
		return nil
	case o.State != StateAwaiting:
		return fmt.Errorf("%w: it is %s", ErrNotAwaiting, o.State.Status())
	case a.Status != acme.StatusPending:
		return fmt.Errorf("%q %w: it is %s", o.Label(a), ErrNotPending, a.Status)
	}
	a.Fulfilled = t
	return nil
}

// Find gives the challenge of a type for an identifier in canonical form.
func (o *Order) Find(value string, t acme.ChallengeType) (*Authorization, *acme.Challenge, error) {
	a := o.Authorization(value)
	if a == nil {
		return nil, nil, fmt.Errorf("%q %w", value, ErrUnknownIdentifier)
	}
	if !slices.Contains(o.Allowed, t) {
		return nil, nil, fmt.Errorf("%q %w; it allows %v", t, ErrNotAllowed, o.Allowed)
	}
	c := a.Challenge(t)
	if c == nil {
		return nil, nil, fmt.Errorf("%q %w for %q", t, ErrNotOffered, o.Label(a))
	}
	return a, c, nil
}

// unreported lists the identifiers for which nobody has reported a challenge.
func (o *Order) unreported() []string {
	var out []string
	for i := range o.Authorizations {
		if a := &o.Authorizations[i]; a.open() && a.Fulfilled == "" && a.Proof == nil {
			out = append(out, o.Label(a))
		}
	}
	return out
}

// awaitFulfillment waits until every identifier has been reported: an order is
// never handed to the CA half done, because one failed validation spoils it
// for good (RFC 8555 §7.1.6). The report wakes the order, so that waiting
// costs nothing.
func awaitFulfillment(_ context.Context, env Env, o *Order) (move, error) {
	if len(o.unreported()) > 0 {
		return o.stay(o.Deadline.Sub(env.Now()) + time.Second)
	}
	for i := range o.Authorizations {
		if o.Authorizations[i].automatic() {
			return moveTo(StateFulfilling)
		}
	}
	return moveTo(StateNotifying)
}

// answer tells the CA that the challenges are in place (RFC 8555 §7.5.1). A CA
// may refuse to be told twice (Pebble does), which is how a repeat after a
// crash ends: so a refusal is believed only if the challenge is still pending.
func answer(ctx context.Context, env Env, o *Order) (move, error) {
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if a.Status != acme.StatusPending || a.Fulfilled == "" {
			continue
		}
		c := a.Challenge(a.Fulfilled)
		if c == nil || c.Status != acme.StatusPending {
			continue
		}
		if err := a.answer(ctx, env, c); err != nil {
			return move{}, fmt.Errorf("telling the CA that %s is in place for %q: %w", c.Type, o.Label(a), err)
		}
	}
	return moveTo(StateProcessing)
}

func (a *Authorization) answer(ctx context.Context, env Env, c *acme.Challenge) error {
	err := env.CA.Answer(ctx, c.URL)
	if err == nil {
		c.Status = acme.StatusProcessing
		return nil
	}
	if !final(err) {
		return err
	}
	if a.read(ctx, env) != nil {
		return err
	}
	now := a.Challenge(a.Fulfilled)
	if a.Status == acme.StatusPending && now != nil && now.Status == acme.StatusPending {
		return err
	}
	return nil
}

// awaitValidation reads the order, not each authorization, until the CA has
// made up its mind (RFC 8555 §7.1.6): one request however many names. The
// challenges are never posted again: that would ask for a retry (§8.2).
func awaitValidation(ctx context.Context, env Env, o *Order) (move, error) {
	at, err := env.CA.Order(ctx, o.URL)
	if err != nil {
		return move{}, fmt.Errorf("reading the order: %w", err)
	}
	o.learn(at)
	switch at.Status {
	case acme.StatusPending:
		return o.stay(poll(o.Tries, at.RetryAfter))
	case acme.StatusReady:
		o.proven()
		return moveTo(StateKeying)
	case acme.StatusProcessing, acme.StatusValid:
		o.proven()
		return moveTo(StateCollecting)
	}
	return o.unusable(ctx, env, at)
}

// learn takes over what a read of the order may add.
func (o *Order) learn(at acme.Order) {
	if at.Certificate != "" {
		o.CertificateURL = at.Certificate
	}
	if at.Finalize != "" {
		o.FinalizeURL = at.Finalize
	}
}

// proven notes that every authorization has become valid, which is what ready
// means (RFC 8555 §7.1.6), without a request for each.
func (o *Order) proven() {
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		a.Status = acme.StatusValid
		if c := a.Challenge(a.Fulfilled); c != nil {
			c.Status = acme.StatusValid
		}
	}
}
