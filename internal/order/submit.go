package order

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/abreast"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// submit asks the CA for an order (RFC 8555 §7.4). It can only be repeated by
// asking again: a crash right after the answer leaves an unused order at the
// CA, which expires there.
func submit(ctx context.Context, env Env, o *Order) (move, error) {
	at, err := o.place(ctx, env)
	if err != nil {
		return move{}, during("asking the CA for an order", err)
	}
	if !sameSet(values(at.Identifiers), values(o.identifiers())) {
		return move{}, fmt.Errorf("%w (§7.4): it was asked for %v and made an order for %v", acme.ErrViolation, o.Values(), at.Identifiers)
	}
	if at.Status == acme.StatusProcessing && o.RequestCSR == "" {
		return o.awaitOther("an order whose certificate is being made for another key", env)
	}
	if holder := env.Claim(at.URL, o.ID); holder != o.ID {
		return o.awaitOther("the order that it has for "+string(holder)+" already", env)
	}
	o.adopt(at, env.Now())
	switch at.Status {
	case acme.StatusPending:
		return moveTo(StateSubmitted)
	case acme.StatusReady:
		return moveTo(StateKeying)
	case acme.StatusProcessing, acme.StatusValid:
		return o.toCollect(at, env.Now())
	}
	return o.unusable(ctx, env, at)
}

// place asks for the order. A CA that will not have a certificate replaced
// (RFC 9773 §5) is asked once more for an order that replaces none: what is
// known to refuse is another order that replaces it already, one of ours that a
// crash has left included, but also a CA that has lost the certificate or takes
// it for somebody else's. That must never stand in the way of a renewal.
func (o *Order) place(ctx context.Context, env Env) (acme.Order, error) {
	wish := acme.NewOrder{Identifiers: o.identifiers(), Profile: o.Profile, Replaces: o.Replaces}
	at, err := o.newOrder(ctx, env, wish)
	if o.Replaces == "" || !refusesReplacement(err) {
		return at, err
	}
	o.Replaces, wish.Replaces = "", ""
	return o.newOrder(ctx, env, wish)
}

// refusesReplacement tells whether a refusal of newOrder may be about the
// certificate that was to be replaced. CAs give it many types.
func refusesReplacement(err error) bool {
	return is[*acme.Problem](err) && !acme.Temporary(err) &&
		!acme.IsProblem(err, acme.AccountDoesNotExist, acme.UserActionRequired, acme.RateLimited)
}

// awaitOther waits until the CA answers with an order that is free.
func (o *Order) awaitOther(with string, env Env) (move, error) {
	return o.stayBecause("the CA answered with "+with+"; waiting for that one to end", backoff(o.Tries+1, env.Jitter()))
}

func (o *Order) identifiers() []acme.Identifier {
	out := make([]acme.Identifier, len(o.Identifiers))
	for i := range o.Identifiers {
		out[i] = o.Identifiers[i].Identifier
	}
	return out
}

// values lists identifiers in a form that can be compared: a server may write
// a name, or an IPv6 address, in another way than it was asked for.
func values(ids []acme.Identifier) []string {
	out := make([]string, len(ids))
	for i := range ids {
		out[i] = strings.ToLower(ids[i].Value)
		if address, err := netip.ParseAddr(out[i]); err == nil {
			out[i] = address.String()
		}
	}
	return out
}

// sameSet compares without regard to order and repetition, of which neither
// means anything in an order (RFC 8555 §7.1.3).
func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}

// adopt takes over the order that the CA has made.
func (o *Order) adopt(at acme.Order, now time.Time) {
	o.URL, o.FinalizeURL = at.URL, at.Finalize
	o.Expires = moment(at.Expires)
	if term, set := o.term(o.Expires, now); set {
		o.Deadline = term
	}
	o.Authorizations = nil
	for _, url := range at.Authorizations {
		if !slices.ContainsFunc(o.Authorizations, func(a Authorization) bool { return a.URL == url }) {
			o.Authorizations = append(o.Authorizations, Authorization{URL: url})
		}
	}
}

// term makes a deadline of what the CA says about the end of something that is
// alive. An end in the past only shows that the clocks disagree, and one in the
// far future is nothing to wait for.
func (o *Order) term(expires, now time.Time) (deadline time.Time, set bool) {
	if !expires.After(now) {
		return time.Time{}, false
	}
	if last := o.Created.Add(longestPatience); expires.After(last) {
		return last, true
	}
	return expires, true
}

// moment makes a time of the CA's fit to be stored: JSON has no year above 9999
// and no zone beyond a day, either of which a server can send.
func moment(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9999 {
		return time.Time{}
	}
	return t
}

// read fetches an authorization and takes over what the CA says of it.
func (a *Authorization) read(ctx context.Context, env Env) error {
	at, err := env.CA.Authorization(ctx, a.URL)
	if err != nil {
		return during("reading an authorization", err)
	}
	a.Identifier, a.Status, a.Expires, a.Challenges = at.Requested(), at.Status, moment(at.Expires), at.Challenges
	return nil
}

// readAuthorizations learns what the CA wants proven (RFC 8555 §7.5). Which
// authorization is for which identifier is told by its contents alone: neither
// their order nor their number means anything (§7.1.3). What was read before a
// failure is not read again.
func readAuthorizations(ctx context.Context, env Env, o *Order) (move, error) {
	err := abreast.Do(len(o.Authorizations), env.Abreast, func(i int) error { return o.readOnce(ctx, env, &o.Authorizations[i]) })
	if err != nil {
		return move{}, err
	}
	proven := true
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if a.Status == acme.StatusValid {
			continue
		}
		proven = false
		if err := o.answerable(a); err != nil {
			return move{}, err
		}
		if term, set := o.term(a.Expires, env.Now()); set && term.Before(o.Deadline) {
			o.Deadline = term
		}
		if err := o.locateProof(ctx, env, a); err != nil {
			return move{}, err
		}
		a.Relayed = a.Proof == nil && o.relayable(env, a)
	}
	switch {
	case proven:
		return moveTo(StateKeying)
	case len(o.Unreported()) == 0:
		return moveTo(StateFulfilling) // all of it is Vault's own work
	}
	return move{to: StateAwaiting, after: untilDeadline}, nil
}

// readOnce reads an authorization unless that was done, and fails if no proof can
// save it.
func (o *Order) readOnce(ctx context.Context, env Env, a *Authorization) error {
	if a.Status == "" {
		if err := a.read(ctx, env); err != nil {
			return err
		}
	}
	if why := o.failure(a); why != "" {
		return marked{Refuse("%s", why), acme.ErrUnproven}
	}
	return nil
}

// answerable checks that the CA offers a challenge which the role allows.
func (o *Order) answerable(a *Authorization) error {
	offered := []string{}
	for i := range a.Challenges {
		c := &a.Challenges[i]
		if o.Allows(a, c.Type) && complete(c) && open(c) {
			return nil
		}
		offered = append(offered, string(c.Type))
	}
	return Refuse("for %q the CA offers %v, of which none is allowed by the role and can be answered", o.Label(a), offered)
}

// complete tells that a challenge has all that it takes to answer it. A token
// that is no base64url has not got here.
func complete(c *acme.Challenge) bool { return c.URL != "" && c.Token != "" }

// open tells that a challenge may still succeed.
func open(c *acme.Challenge) bool {
	return c.Status == acme.StatusPending || c.Status == acme.StatusProcessing
}
