// Package order is the life of an ACME order, from a caller's wish to a
// certificate.
//
// The states are a table ([Life]); each has one step. A step decides, or has
// one effect outside that may be repeated: it never sleeps, never stores the
// order, and is handed everything it touches ([Env]). Whoever drives an order
// stores it after [Advance], unless it is [Order.Passing], so that a crash costs a
// few repeated steps and never a key or a certificate. What is announced to the CA
// is stored before: the key and the CSR before finalize, the fulfilment before the
// answer.
//
// The package knows neither Vault nor HTTP.
package order

import (
	"slices"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// Order is one order as it is stored. It holds no secret: the private key lies
// in a record of its own.
type Order struct {
	ID ID `json:"id"`
	// Rev counts the writes of the record. A writer that read another Rev than
	// the stored one has lost a race and starts over.
	Rev  int    `json:"rev"`
	Role string `json:"role"`
	// Account is the one that serves the order, or is to.
	Account string `json:"account"`
	// Fallbacks are the accounts to turn to, the next first, while no CA has the
	// order and that of Account cannot take it.
	Fallbacks []string `json:"fallbacks,omitempty"`
	// Tried are the accounts from which the order has turned away, in the order in
	// which it did first.
	Tried []Attempt `json:"tried,omitempty"`
	// Need is how long the order can wait for its CA; zero for as long as a first
	// certificate can.
	Need time.Duration `json:"need,omitempty"`
	// Failing is when the first failure in a row with Account was, Rounds how often the
	// order has come back to an account.
	Failing time.Time `json:"failing,omitzero"`
	Rounds  int       `json:"rounds,omitempty"`
	asked   string
	// Entity is the Vault entity that asked, "" when it had none.
	Entity string `json:"entity,omitempty"`
	// Owned tells that some names were allowed through the identity of whoever
	// asked, and so belong to that one, whatever becomes of the role.
	Owned bool `json:"owned,omitempty"`
	// Identifiers is what was asked for, in the order of the request.
	Identifiers []Identifier `json:"identifiers"`
	// RequestCSR is the PEM text of the CSR workflow, as sent; empty in the
	// identifier workflow, in which the key is made here.
	RequestCSR string               `json:"request_csr,omitempty"`
	KeyKind    keys.Kind            `json:"key_kind,omitempty"`
	Population Population           `json:"population,omitempty"`
	Allowed    []acme.ChallengeType `json:"allowed_challenge_types"`
	// Profile is asked for at the CA (draft-ietf-acme-profiles); empty for what
	// the CA gives by itself.
	Profile string `json:"profile,omitempty"`
	// PreferredChain is a common name that an issuer should have in the chain
	// that is kept; empty for the chain that the CA sends first.
	PreferredChain string `json:"preferred_chain,omitempty"`
	// Renews is the order whose certificate this one's is to take the place of.
	Renews ID `json:"renews,omitempty"`
	// RenewedBy is the order whose certificate has taken the place of this one's.
	RenewedBy ID `json:"renewed_by,omitempty"`
	// Replaces names the certificate of Renews to the CA (RFC 9773 §5); empty
	// when the CA is not to know, or does not want to.
	Replaces string `json:"replaces,omitempty"`
	// KeyFrom is the order whose key is to be certified again; empty for a new key.
	KeyFrom ID `json:"key_from,omitempty"`
	// KeyCompromised tells that another certificate for the order's key was revoked
	// because others have the key.
	KeyCompromised bool `json:"key_compromised,omitempty"`
	// DNSProvider pins the provider of all proofs by DNS ("rfc2136/internal");
	// empty to go by the providers' identifiers.
	DNSProvider string `json:"dns_provider,omitempty"`
	// Relay asks that Vault itself answers http-01, through web servers that pass
	// the CA's requests on to it.
	Relay bool `json:"http_01_relay,omitempty"`
	// ProofsSince is when the proofs were announced, and later when the last of
	// them was written. A provider's time runs from then.
	ProofsSince time.Time `json:"proofs_since,omitzero"`
	// OldProofs were made with a key that the account has no more. They may have
	// been written, and are to be removed with the others.
	OldProofs []Proof   `json:"old_proofs,omitempty"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	State     State     `json:"state"`
	// Tries counts the steps that did not leave the present state.
	Tries int `json:"tries,omitempty"`
	// Failures counts those among them that failed, since the last that did not.
	Failures int `json:"failures,omitempty"`
	// Setbacks counts the moves back to a state that the order had left.
	Setbacks int `json:"setbacks,omitempty"`
	// Due is when the next step is to be taken; zero when none is.
	Due time.Time `json:"due,omitzero"`
	// Deadline is when the order is given up.
	Deadline time.Time `json:"deadline"`
	// LastError is why the last step failed, or why the order did.
	LastError string `json:"last_error,omitempty"`
	// Note says what did not go as wished and kept nobody from going on.
	Note string `json:"note,omitempty"`
	// Trouble is why the last step failed, nil when it did not. It is for whoever
	// stores the order and has to draw conclusions, and is not stored itself.
	Trouble error `json:"-"`
	// The order at the CA.
	URL            string          `json:"url,omitempty"`
	FinalizeURL    string          `json:"finalize_url,omitempty"`
	CertificateURL string          `json:"certificate_url,omitempty"`
	Expires        time.Time       `json:"expires,omitzero"`
	Authorizations []Authorization `json:"authorizations,omitempty"`
	// CSR is what is, or was, sent with finalize: PKCS #10 in DER.
	CSR []byte `json:"csr,omitempty"`
	// unsent tells that the CSR was made since the order was read from storage,
	// and that nobody has sent it yet.
	unsent bool
	// WithoutCN remembers that the CA refused a CSR with a common name.
	WithoutCN bool `json:"without_cn,omitempty"`
	// The certificate, once there is one.
	Serial    string    `json:"serial,omitempty"` // lower-case hex with colons
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
}

// Identifier is a name as the caller wrote it and as the CA is asked for it.
type Identifier struct {
	Requested string `json:"requested"`
	acme.Identifier
}

// Authorization is the CA's demand for proof of one identifier, and what was
// done about it.
type Authorization struct {
	URL string `json:"url"`
	// Identifier is in the form in which it was ordered ("*.example.com").
	Identifier acme.Identifier  `json:"identifier"`
	Status     acme.Status      `json:"status"`
	Expires    time.Time        `json:"expires,omitzero"`
	Challenges []acme.Challenge `json:"challenges,omitempty"`
	// Fulfilled is the challenge type that was reported as in place; empty
	// while nobody has reported one.
	Fulfilled acme.ChallengeType `json:"fulfilled,omitempty"`
	// Proof is the TXT record with which Vault itself fulfils dns-01; nil where
	// somebody else has to fulfil a challenge. Its value is empty until the
	// record is about to be written.
	Proof *Proof `json:"proof,omitempty"`
	// Written tells that the provider has taken the record.
	Written bool `json:"written,omitempty"`
	// Relayed tells that Vault itself fulfils http-01, by the relay.
	Relayed bool `json:"relayed,omitempty"`
	// Served is the key authorization that the relay answers with; empty until
	// the challenge is about to be reported.
	Served string `json:"served,omitempty"`
}

// Place is where a proof by DNS is written, and with which provider.
type Place struct {
	// Provider is the type and the name of a configuration: "rfc2136/internal".
	Provider string `json:"provider"`
	// Name of the TXT record, without a trailing dot.
	Name string `json:"name"`
}

// Proof is a TXT record that proves control of an identifier (RFC 8555 §8.4).
type Proof struct {
	Place
	Value string `json:"value,omitempty"`
}

// Manual tells whether somebody other than Vault has to put a challenge of
// this type in place.
func (a *Authorization) Manual(t acme.ChallengeType) bool { return t != a.own() }

// own is the type of challenge with which Vault itself proves the identifier;
// empty where it cannot. DNS comes first: it does not depend on web servers.
func (a *Authorization) own() acme.ChallengeType {
	switch {
	case a.Proof != nil:
		return acme.DNS01
	case a.Relayed:
		return acme.HTTP01
	}
	return ""
}

// automatic tells whether Vault fulfils the authorization: it can, and nobody
// has reported another challenge.
func (a *Authorization) automatic() bool { return a.unreported() && a.own() != "" }

// byDNS tells whether Vault fulfils the authorization by a TXT record.
func (a *Authorization) byDNS() bool { return a.automatic() && a.Proof != nil }

// New makes the record of an order that nobody has seen yet.
func New(id ID, role, account string, now time.Time) *Order {
	return &Order{
		ID: id, Role: role, Account: account, State: StateNew,
		Created: now, Updated: now, Due: now, Deadline: now.Add(patience),
	}
}

// Values lists the identifiers as they are asked for at the CA.
func (o *Order) Values() []string {
	out := make([]string, len(o.Identifiers))
	for i := range o.Identifiers {
		out[i] = o.Identifiers[i].Value
	}
	return out
}

// Requested lists the identifiers as the caller wrote them.
func (o *Order) Requested() []string {
	out := make([]string, len(o.Identifiers))
	for i := range o.Identifiers {
		out[i] = o.Identifiers[i].Requested
	}
	return out
}

// Label gives an authorization's identifier as the caller wrote it. A CA may
// demand proof for a name that was not ordered (RFC 8555 §7.1.3); that one
// keeps its own.
func (o *Order) Label(a *Authorization) string {
	for i := range o.Identifiers {
		if o.Identifiers[i].Identifier == a.Identifier {
			return o.Identifiers[i].Requested
		}
	}
	return a.Identifier.Value
}

// Final tells whether nothing will happen to the order by itself any more. A
// state that is unknown is not final: the next step makes it an error.
func (o *Order) Final() bool {
	at, known := Life[o.State]
	return known && at.step == nil
}

// DueAt tells when the next step is due as a clock says that shows now. A record
// that was written later than that shows that the clock was set back since, and
// its Due is a time of the old one: the step is due at once, so that nobody waits
// for a time that may be years away. At worst a CA is asked once too early.
func (o *Order) DueAt(now time.Time) time.Time {
	if o.Updated.After(now) && !o.Due.IsZero() {
		return now
	}
	return o.Due
}

// Authorization finds the demand for an identifier, given in its canonical
// form. Should a CA demand two proofs for one identifier it is the first that
// nobody has reported, so that one after the other can be seen to.
func (o *Order) Authorization(value string) *Authorization {
	var found *Authorization
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		if a.Identifier.Value != value {
			continue
		}
		if a.unreported() {
			return a
		}
		if found == nil {
			found = a
		}
	}
	return found
}

// unreported tells that a challenge is still to be put in place.
func (a *Authorization) unreported() bool {
	return a.Status == acme.StatusPending && a.Fulfilled == ""
}

// Allows tells whether an authorization may be proven by a type of challenge:
// the role allows the type, and it is fit for what is to be proven. An address
// has no record in DNS (RFC 8738 §7), and a CA that offers dns-01 all the same
// is not followed.
func (o *Order) Allows(a *Authorization, t acme.ChallengeType) bool {
	return slices.Contains(o.Allowed, t) && (t != acme.DNS01 || a.Identifier.Type != acme.IP)
}

// Challenge finds the challenge of a type.
func (a *Authorization) Challenge(t acme.ChallengeType) *acme.Challenge {
	for i := range a.Challenges {
		if a.Challenges[i].Type == t {
			return &a.Challenges[i]
		}
	}
	return nil
}
