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
	if env.DNS == nil || a.Identifier.Type != acme.DNS || a.Challenge(acme.DNS01) == nil || !slices.Contains(o.Allowed, acme.DNS01) {
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
// before, so that a crash leaves no record that nobody knows of.
func writeProofs(ctx context.Context, env Env, o *Order) (move, error) {
	if o.ProofsSince.IsZero() {
		if err := o.eachProof(func(a *Authorization) error { return a.prepareProof(env) }); err != nil {
			return move{}, err
		}
		o.ProofsSince = env.Now()
		return o.stay(0)
	}
	err := o.eachProof(func(a *Authorization) error {
		if err := env.DNS.Add(ctx, o.ID, *a.Proof); err != nil {
			return o.unlessLate(ctx, env, a, fmt.Errorf("writing the TXT record for %q: %w", o.Label(a), err))
		}
		return nil
	})
	if err != nil {
		return move{}, err
	}
	return moveTo(StatePropagating)
}

func (a *Authorization) prepareProof(env Env) error {
	keyAuth, err := env.CA.KeyAuthorization(a.Challenge(acme.DNS01).Token)
	if err != nil {
		return fmt.Errorf("computing the proof for %q: %w", a.Identifier.Value, err)
	}
	a.Proof.Value = digest(keyAuth)
	return nil
}

// awaitPropagation looks whether the records can be seen, and comes back later
// while they cannot: each wait is stored, no worker sleeps through it.
func awaitPropagation(ctx context.Context, env Env, o *Order) (move, error) {
	var unseen []string
	interval := longestPoll
	err := o.eachProof(func(a *Authorization) error {
		why, every, err := o.watch(ctx, env, a)
		if why != "" {
			unseen = append(unseen, why)
			interval = min(interval, every)
		}
		return err
	})
	switch {
	case err != nil:
		return move{}, err
	case len(unseen) > 0:
		return o.stayBecause(strings.Join(unseen, "; "), max(interval, firstPoll))
	}
	return move{to: StateNotifying}, o.eachProof(func(a *Authorization) error {
		a.Fulfilled = acme.DNS01
		return nil
	})
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

// eachProof visits the authorizations that Vault fulfils, up to the first error.
func (o *Order) eachProof(visit func(*Authorization) error) error {
	for i := range o.Authorizations {
		if a := &o.Authorizations[i]; a.automatic() {
			if err := visit(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// Proofs lists the TXT records that were, or were about to be, written.
func (o *Order) Proofs() []Proof {
	var out []Proof
	for i := range o.Authorizations {
		if p := o.Authorizations[i].Proof; p != nil && p.Value != "" {
			out = append(out, *p)
		}
	}
	return out
}

// digest is the value of the TXT record (RFC 8555 §8.4).
func digest(keyAuthorization string) string {
	sum := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
