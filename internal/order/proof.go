package order

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// locateProof finds out whether Vault can prove an identifier by DNS. Where the
// role does not allow dns-01, or the CA does not offer it, DNS is not touched.
func (o *Order) locateProof(ctx context.Context, env Env, a *Authorization) error {
	a.Proof = nil
	if env.DNS == nil || a.Identifier.Type != acme.DNS || !slices.Contains(o.Allowed, acme.DNS01) {
		return nil
	}
	if c := a.Challenge(acme.DNS01); c == nil || !complete(c) || !open(c) {
		return nil
	}
	place, ok, err := env.DNS.Locate(ctx, o, a.Identifier)
	if err != nil {
		return fmt.Errorf("finding the DNS provider for %q: %w", o.Label(a), err)
	}
	if ok {
		a.Proof = &Proof{Place: place}
	}
	return nil
}

// writeProofs writes the TXT records. What is to be written is stored one step
// before, so that a crash leaves no record that nobody knows of. What was
// written before a failure is not written again: a service that takes so many
// records a minute would never be done.
func writeProofs(ctx context.Context, env Env, o *Order) (move, error) {
	if o.leaveRelay(env) {
		return move{to: StateAwaiting, after: untilDeadline, because: relayOff}, nil
	}
	o.forgiveOutage(env)
	announced, err := o.announceProofs(env)
	if err != nil {
		return move{}, err
	}
	if announced {
		o.ProofsSince = env.Now()
		return o.stay(0)
	}
	if err := o.eachProof(func(a *Authorization) error { return o.write(ctx, env, a) }); err != nil {
		return move{}, err
	}
	if !o.writes() {
		return move{to: StateNotifying}, o.reportOwn(env)
	}
	o.ProofsSince = env.Now()
	return moveTo(StatePropagating)
}

// writes tells whether any of Vault's proofs is a TXT record.
func (o *Order) writes() bool {
	return slices.ContainsFunc(o.Authorizations, func(a Authorization) bool { return a.byDNS() })
}

// announceProofs notes what is to be written, and tells whether that is news.
func (o *Order) announceProofs(env Env) (news bool, err error) {
	err = o.eachProof(func(a *Authorization) error {
		value, err := o.proofValue(env, a)
		if err != nil || value == a.Proof.Value {
			return err
		}
		if a.Proof.Value != "" {
			o.OldProofs = append(o.OldProofs, *a.Proof)
		}
		a.Proof.Value, a.Written, news = value, false, true
		return nil
	})
	return news, err
}

// proofValue is what proves control now, by DNS or by the relay: of the token,
// and of the key that the account has.
func (o *Order) proofValue(env Env, a *Authorization) (string, error) {
	c := a.Challenge(a.own())
	if c == nil || !complete(c) {
		return "", Refuse("the CA has withdrawn the challenge %s for %q", a.own(), o.Label(a))
	}
	keyAuth, err := env.CA.KeyAuthorization(c.Token)
	if err != nil {
		return "", fmt.Errorf("computing the proof for %q: %w", o.Label(a), err)
	}
	if a.Proof == nil {
		return keyAuth, nil
	}
	return digest(keyAuth), nil
}

// given is the value of the proof that Vault has announced or given, "" if none.
func (a *Authorization) given() string {
	if a.Proof != nil {
		return a.Proof.Value
	}
	return a.Served
}

func (o *Order) write(ctx context.Context, env Env, a *Authorization) error {
	if a.Written {
		return nil
	}
	if err := env.DNS.Add(ctx, o.ID, *a.Proof); err != nil {
		return o.unlessLate(ctx, env, a, fmt.Errorf("writing the TXT record for %q: %w", o.Label(a), err))
	}
	a.Written = true
	return nil
}

// withdrawOutdated takes back the report of every proof of which the CA has not
// heard, and that it would not accept any more: the account has got another key,
// or the relay was switched off. It tells whether there is one.
func (o *Order) withdrawOutdated(env Env) (found bool, err error) {
	var outdated []*Authorization
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if a.given() == "" || !a.automatic() && !a.untold() {
			continue
		}
		value, err := o.proofValue(env, a)
		if err != nil {
			return false, err
		}
		if value != a.given() || a.Relayed && !env.relaying() {
			outdated = append(outdated, a)
		}
	}
	for _, a := range outdated {
		a.Fulfilled, a.Served = "", ""
	}
	return len(outdated) > 0, nil
}

// awaitPropagation looks whether the records can be seen, and comes back later
// while they cannot: each wait is stored, no worker sleeps through it.
func awaitPropagation(ctx context.Context, env Env, o *Order) (move, error) {
	o.forgiveOutage(env)
	if outdated, err := o.withdrawOutdated(env); err != nil || outdated {
		return move{to: StateFulfilling}, err
	}
	var unseen []string
	interval := longestPoll
	err := o.eachProof(func(a *Authorization) error {
		why, every, err := o.watch(ctx, env, a)
		if why != "" {
			interval = min(interval, every)
		}
		if why != "" && !slices.Contains(unseen, why) { // a wildcard and its apex are at one name
			unseen = append(unseen, why)
		}
		return err
	})
	switch {
	case err != nil:
		return move{}, err
	case len(unseen) > 0:
		return o.stayBecause(someOf(unseen), max(interval, firstPoll))
	}
	return move{to: StateNotifying}, o.reportOwn(env)
}

// someOf joins reports, of which an order with many names would have too many to
// be read, and to be stored every few seconds.
func someOf(reports []string) string {
	const most = 3
	if more := len(reports) - most; more > 0 {
		reports = append(reports[:most:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(reports, "; ")
}

// watch says why a proof is not visible yet, "" when it is, and how often to
// look. Once the provider's time is over the reason is an error.
func (o *Order) watch(ctx context.Context, env Env, a *Authorization) (why string, every time.Duration, err error) {
	sight, err := env.DNS.Visible(ctx, *a.Proof)
	if err != nil {
		return "", 0, o.unlessLate(ctx, env, a, fmt.Errorf("looking for the TXT record for %q: %w", o.Label(a), err))
	}
	if sight.Visible {
		return "", 0, nil
	}
	terms, err := env.DNS.Terms(ctx, a.Proof.Place)
	if err != nil {
		return "", 0, err
	}
	why = fmt.Sprintf("%s (DNS provider %s) is not visible yet: %s", a.Proof.Name, a.Proof.Provider, sight.Report)
	return why, terms.Interval, o.whenLate(env, terms, errors.New(why))
}

// outage is by how much a step must be late for nobody to have been at work:
// sealed, down, or between two leaders.
const outage = time.Minute

// forgiveOutage leaves time in which nobody worked out of the provider's time. Or
// else the first failure after a long outage would be the last.
func (o *Order) forgiveOutage(env Env) {
	if late := env.Now().Sub(o.Due); late > outage && !o.Due.IsZero() && !o.ProofsSince.IsZero() {
		o.ProofsSince = o.ProofsSince.Add(late)
	}
}

// unlessLate makes a failure final once the provider's time is over: an order
// ends with the cause instead of trying for days what needs an operator.
func (o *Order) unlessLate(ctx context.Context, env Env, a *Authorization, failure error) error {
	terms, err := env.DNS.Terms(ctx, a.Proof.Place)
	if err != nil {
		return err
	}
	if late := o.whenLate(env, terms, failure); late != nil {
		return late
	}
	return failure
}

// whenLate gives the final form of a failure when the time is over, else nil.
func (o *Order) whenLate(env Env, terms Terms, failure error) error {
	if waited := env.Now().Sub(o.ProofsSince); waited > terms.Timeout {
		return Refuse("given up after %s: %w", waited.Round(time.Second), failure)
	}
	return nil
}

// eachProof visits the authorizations that Vault fulfils by DNS, up to the first
// error.
func (o *Order) eachProof(visit func(*Authorization) error) error {
	for i := range o.Authorizations {
		if a := &o.Authorizations[i]; a.byDNS() {
			if err := visit(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// Proofs lists the TXT records that were, or were about to be, written.
func (o *Order) Proofs() []Proof {
	out := slices.Clone(o.OldProofs)
	for i := range o.Authorizations {
		if p := o.Authorizations[i].Proof; p != nil && p.Value != "" {
			out = append(out, *p)
		}
	}
	return out
}

// Providers lists the DNS providers that the next step works with, whose services
// or name servers may keep it waiting; none when the step is for the CA.
func (o *Order) Providers() []string {
	if o.State != StateFulfilling && o.State != StatePropagating {
		return nil
	}
	var labels []string
	for i := range o.Authorizations {
		if a := &o.Authorizations[i]; a.byDNS() {
			labels = append(labels, a.Proof.Provider)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// digest is the value of the TXT record (RFC 8555 §8.4).
func digest(keyAuthorization string) string {
	sum := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
