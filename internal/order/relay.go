package order

import (
	"strings"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// relayOff is why an order comes back to those who wait for Vault to prove it.
const relayOff = "the HTTP-01 relay of the mount was switched off; the challenges that it was to answer are to be put in place and reported"

func (e Env) relaying() bool { return e.Relaying != nil && e.Relaying() }

// relayable tells whether Vault can prove an identifier by answering the CA's
// own request. A wildcard has no host that could be asked (RFC 8555 §7.1.3).
func (o *Order) relayable(env Env, a *Authorization) bool {
	if !o.Relay || !env.relaying() || !o.Allows(a, acme.HTTP01) || strings.HasPrefix(a.Identifier.Value, "*.") {
		return false
	}
	c := a.Challenge(acme.HTTP01)
	return c != nil && complete(c) && open(c)
}

// leaveRelay leaves to people what the relay was to prove, once it is switched
// off, and tells whether there was anything.
func (o *Order) leaveRelay(env Env) (left bool) {
	if env.relaying() {
		return false
	}
	for i := range o.Authorizations {
		if a := &o.Authorizations[i]; a.automatic() && a.Relayed {
			a.Relayed, a.Served, left = false, "", true
		}
	}
	return left
}

// reportOwn reports all of Vault's own proofs. Those by DNS were seen; what the
// relay answers is noted, so that it is known, after a restart too, before the
// CA is told.
func (o *Order) reportOwn(env Env) error {
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if !a.automatic() {
			continue
		}
		if a.Relayed {
			var err error
			if a.Served, err = o.proofValue(env, a); err != nil {
				return err
			}
		}
		a.Fulfilled = a.own()
	}
	return nil
}

// Answers are what the relay answers to a CA: key authorizations by token. Those
// of which the CA has heard stay what they were when it did, even if the account
// gets another key: that is the answer it waits for.
func (o *Order) Answers() map[string]string {
	if o.Final() {
		return nil
	}
	out := map[string]string{}
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if a.Served == "" || a.Fulfilled != acme.HTTP01 || a.Status != acme.StatusPending {
			continue
		}
		if c := a.Challenge(acme.HTTP01); c != nil {
			out[c.Token] = a.Served
		}
	}
	return out
}
