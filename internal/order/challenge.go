package order

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/abreast"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// The rules of reporting a challenge as fulfilled; each is wrapped by an error
// that names identifier and type.
var (
	ErrNotAwaiting       = errors.New("the order is not waiting for challenges")
	ErrUnknownIdentifier = errors.New("is not an identifier of the order that is to be proven")
	ErrNotAllowed        = errors.New("is not allowed by the role")
	ErrNotForIP          = errors.New("proves no IP address (RFC 8738 §7)")
	ErrNotOffered        = errors.New("is not offered by the CA")
	ErrNotPending        = errors.New("needs no proof any more")
)

// Fulfill notes that a challenge is in place (contract: fulfilled-challenge).
// Until the CA has been told, the choice for an identifier may be changed;
// reporting the same again changes nothing. The last report has the order go on.
func (o *Order) Fulfill(value string, t acme.ChallengeType, now time.Time) error {
	if o.State == StateNew || o.State == StateSubmitted {
		return o.notAwaiting()
	}
	a, c, err := o.Find(value, t)
	if err != nil {
		return err
	}
	switch {
	case o.State != StateAwaiting && a.Fulfilled == t:
		return nil
	case o.State != StateAwaiting:
		return o.notAwaiting()
	case a.Status != acme.StatusPending:
		return fmt.Errorf("%q %w: it is %s", o.Label(a), ErrNotPending, a.Status)
	case !open(c):
		return fmt.Errorf("%q %w by %s: that challenge is %s", o.Label(a), ErrNotPending, t, c.Status)
	}
	a.Fulfilled = t
	if len(o.Unreported()) == 0 {
		o.Updated = now
		o.enter(move{to: o.afterReports()}, Env{Now: func() time.Time { return now }})
	}
	return nil
}

func (o *Order) notAwaiting() error {
	return fmt.Errorf("%w: it is %s", ErrNotAwaiting, o.State.Status())
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
	if !o.Allows(a, t) {
		return nil, nil, fmt.Errorf("%q %w: %q", t, ErrNotForIP, o.Label(a))
	}
	c := a.Challenge(t)
	if c == nil || !complete(c) {
		return nil, nil, fmt.Errorf("%q %w for %q", t, ErrNotOffered, o.Label(a))
	}
	return a, c, nil
}

// Unreported lists the identifiers that wait for somebody to report a challenge.
func (o *Order) Unreported() []string {
	var out []string
	for i := range o.Authorizations {
		if a := &o.Authorizations[i]; a.unreported() && a.own() == "" {
			out = append(out, o.Label(a))
		}
	}
	return out
}

// untilDeadline is a pause that ends with the order's time.
const untilDeadline = time.Duration(math.MaxInt64)

// awaitFulfillment waits until every identifier has been reported: an order is
// never handed to the CA half done, because one failed validation spoils it
// for good (RFC 8555 §7.1.6). The last report leads on, so that waiting costs
// nothing; here is what the deadline ends.
func awaitFulfillment(_ context.Context, _ Env, o *Order) (move, error) {
	if len(o.Unreported()) > 0 {
		return o.stay(untilDeadline)
	}
	return moveTo(o.afterReports())
}

// afterReports is where an order goes of which everything has been reported that
// is not Vault's own work.
func (o *Order) afterReports() State {
	for i := range o.Authorizations {
		if o.Authorizations[i].automatic() {
			return StateFulfilling
		}
	}
	return StateNotifying
}

// answer tells the CA that the challenges are in place (RFC 8555 §7.5.1). Proofs
// that have become worthless since they were seen are written anew first.
func answer(ctx context.Context, env Env, o *Order) (move, error) {
	if outdated, err := o.withdrawOutdated(env); err != nil || outdated {
		return move{to: StateFulfilling}, err
	}
	return move{to: StateProcessing}, abreast.Do(len(o.Authorizations), env.Abreast, func(i int) error {
		return o.tell(ctx, env, &o.Authorizations[i])
	})
}

// tell answers the challenge of one authorization, unless the CA knows.
func (o *Order) tell(ctx context.Context, env Env, a *Authorization) error {
	if (o.Tries > 0 || o.Setbacks > 0) && a.untold() {
		if err := a.read(ctx, env); err != nil { // the answer may have arrived
			return err
		}
	}
	if !a.untold() {
		return nil
	}
	if err := a.answer(ctx, env); err != nil {
		return fmt.Errorf("telling the CA that %s is in place for %q: %w", a.Fulfilled, o.Label(a), err)
	}
	return nil
}

// untold tells that the CA has yet to hear of the challenge that was reported.
func (a *Authorization) untold() bool {
	if a.Status != acme.StatusPending {
		return false
	}
	c := a.Challenge(a.Fulfilled)
	return c != nil && c.Status == acme.StatusPending
}

// answer answers one challenge. A CA may refuse to be told twice (Pebble does),
// which is how a repeat after a crash ends: so a refusal is believed only if
// the challenge is still pending.
func (a *Authorization) answer(ctx context.Context, env Env) error {
	c := a.Challenge(a.Fulfilled)
	refusal := env.CA.Answer(ctx, c.URL)
	if refusal == nil {
		c.Status = acme.StatusProcessing
		return nil
	}
	if !final(refusal) {
		return refusal
	}
	if err := a.read(ctx, env); err != nil {
		return fmt.Errorf("%w (after the CA had said: %v)", err, refusal)
	}
	if a.untold() {
		return refusal
	}
	return nil
}

// awaitValidation reads the order, not each authorization, until the CA has
// made up its mind (RFC 8555 §7.1.6): one request however many names. The
// challenges are never posted again: that would ask for a retry (§8.2).
func awaitValidation(ctx context.Context, env Env, o *Order) (move, error) {
	at, err := o.look(ctx, env)
	if err != nil {
		return move{}, err
	}
	switch at.Status {
	case acme.StatusPending:
		if o.replaced(at.Authorizations) {
			return move{}, fmt.Errorf("%w (§7.1.3): it changed the authorizations of the order", acme.ErrViolation)
		}
		return o.stay(poll(o.Tries, at.RetryAfter))
	case acme.StatusReady:
		o.proven()
		return moveTo(StateKeying)
	case acme.StatusProcessing, acme.StatusValid:
		o.proven()
		return o.toCollect(at, env.Now())
	}
	return o.unusable(ctx, env, at)
}

// look reads the order and takes over the URLs that a later answer may add.
func (o *Order) look(ctx context.Context, env Env) (acme.Order, error) {
	at, err := env.CA.Order(ctx, o.URL)
	if err != nil {
		return acme.Order{}, during("reading the order", err)
	}
	o.learn(at)
	return at, nil
}

func (o *Order) learn(at acme.Order) {
	if at.Certificate != "" {
		o.CertificateURL = at.Certificate
	}
	if at.Finalize != "" {
		o.FinalizeURL = at.Finalize
	}
}

// replaced tells that a pending order wants other proofs than those that were
// given. An answer that leaves them out says nothing.
func (o *Order) replaced(urls []string) bool {
	known := make([]string, len(o.Authorizations))
	for i := range o.Authorizations {
		known[i] = o.Authorizations[i].URL
	}
	return len(urls) > 0 && !sameSet(urls, known)
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
