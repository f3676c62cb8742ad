package order

import (
	"slices"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// beforeAdd holds that a record is announced in the stored order before it is
// written, that it proves what it should, and that DNS is left alone until
// everybody else has done their part.
func (w *world) beforeAdd(id ID, p Proof) {
	o := w.load(id)
	at := slices.IndexFunc(o.Authorizations, func(a Authorization) bool { return a.Proof != nil && *a.Proof == p })
	if at < 0 {
		w.t.Errorf("%+v is written, which is not announced in the stored order", p)
		return
	}
	a := &o.Authorizations[at]
	if o.State != StateFulfilling || a.Fulfilled != "" {
		w.t.Errorf("a record is written in state %s for a name that is reported as fulfilled by %q", o.State, a.Fulfilled)
	}
	if keyAuth := a.Challenge(acme.DNS01).Token + "." + w.ca.key; p.Value != digest(keyAuth) {
		w.t.Errorf("%q is written at %s, which is not the digest of %q", p.Value, p.Name, keyAuth)
	}
	if waiting := o.Unreported(); len(waiting) > 0 {
		w.t.Errorf("a record is written while %v are waited for", waiting)
	}
}

// beforeAnswer holds that the CA is told only when all identifiers of the order
// have been reported, and all of Vault's own proofs were seen, and that the
// stored order says so.
func (w *world) beforeAnswer(url string) {
	for _, id := range w.ids {
		o := w.load(id)
		if o.Final() || !slices.ContainsFunc(o.Authorizations, func(a Authorization) bool { return a.owns(url) }) {
			continue
		}
		if o.State != StateNotifying {
			w.t.Errorf("a challenge is answered in state %s", o.State)
		}
		for i := range o.Authorizations {
			w.checkInPlace(&o.Authorizations[i])
		}
		w.checkAnswers(o)
	}
}

func (a *Authorization) owns(challengeURL string) bool {
	return slices.ContainsFunc(a.Challenges, func(c acme.Challenge) bool { return c.URL == challengeURL })
}

func (w *world) checkInPlace(a *Authorization) {
	if a.unreported() {
		w.t.Errorf("the CA is told while %s is not in place", a.Identifier.Value)
	}
	if a.Proof == nil || a.Proof.Value == "" || a.Fulfilled != acme.DNS01 {
		return
	}
	if r := w.dns.records[*a.Proof]; r == nil || !r.seen {
		w.t.Errorf("the CA is told while the proof of %s was not seen", a.Identifier.Value)
	}
	if keyAuth := a.Challenge(acme.DNS01).Token + "." + w.ca.key; a.untold() && a.Proof.Value != digest(keyAuth) {
		w.t.Errorf("the CA is told while the proof of %s is not the digest of %q", a.Identifier.Value, keyAuth)
	}
}

// collect removes the records of an order that has become final, and holds that
// nobody else's go with them.
func (w *world) collect(o *Order) {
	w.dns.collect(o.Proofs(), func(id ID) bool { return !w.load(id).Final() })
}

// announced tells whether an order wanted to write a record.
func (w *world) announced() bool {
	return slices.ContainsFunc(w.ids, func(id ID) bool { return len(w.load(id).Proofs()) > 0 })
}

// checkRecords holds that no record outlives the orders that needed it.
func (w *world) checkRecords() {
	for p, ids := range w.dns.owed {
		if !slices.ContainsFunc(ids, func(id ID) bool { return !w.load(id).Final() }) {
			w.t.Errorf("the record %s (%s) is left, and no order knows of it", p.Name, w.ca.explain(p.Value))
		}
	}
	for p := range w.dns.records {
		if len(w.dns.owed[p]) == 0 {
			w.t.Errorf("the record %s (%s) is there, and nobody owes its removal", p.Name, w.ca.explain(p.Value))
		}
	}
}
