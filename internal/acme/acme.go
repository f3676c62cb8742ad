// Package acme holds the nouns of RFC 8555: order, authorization, challenge,
// identifier and status, as typed values that every other package shares.
//
// It talks to nobody: requests are made by package acmeclient, decisions by
// package order. What a server sends has been parsed before it gets here, and
// nothing in a value of this package assumes a URL structure (RFC 8555 §7.1).
package acme

import "time"

// Status is the state of an account, order, authorization or challenge
// (RFC 8555 §7.1.6).
type Status string

// The statuses of RFC 8555 §7.1.6. A status that is none of these is kept as
// the server sent it; whoever reads it stops with an error instead of waiting.
const (
	StatusPending     Status = "pending"
	StatusReady       Status = "ready"
	StatusProcessing  Status = "processing"
	StatusValid       Status = "valid"
	StatusInvalid     Status = "invalid"
	StatusDeactivated Status = "deactivated"
	StatusExpired     Status = "expired"
	StatusRevoked     Status = "revoked"
)

// ChallengeType names a way to prove control of an identifier (RFC 8555 §9.7.8).
type ChallengeType string

// The challenge types that can be fulfilled here. A server may offer others;
// they are carried along and never chosen.
const (
	HTTP01    ChallengeType = "http-01"
	DNS01     ChallengeType = "dns-01"
	TLSALPN01 ChallengeType = "tls-alpn-01"
)

// ChallengeTypes lists every type that can be fulfilled, in the order in which
// they are shown.
var ChallengeTypes = []ChallengeType{HTTP01, DNS01, TLSALPN01}

// IdentifierType says what an identifier names (RFC 8555 §9.7.7).
type IdentifierType string

// The identifier types: DNS names (RFC 8555) and IP addresses (RFC 8738).
const (
	DNS IdentifierType = "dns"
	IP  IdentifierType = "ip"
)

// Identifier is what an order or an authorization is about.
type Identifier struct {
	Type  IdentifierType `json:"type"`
	Value string         `json:"value"`
}

// String gives the bare value, as users write it.
func (i Identifier) String() string { return i.Value }

// Chain is a certificate as a server hands it out, with those that certify it
// (RFC 8555 §7.4.2).
type Chain struct {
	// Certificates are in DER, the leaf first. Nothing about them has been
	// checked.
	Certificates [][]byte
	// Alternates are URLs of other chains that the server claims for the same
	// leaf.
	Alternates []string
}

// Account is an account as the server shows it (RFC 8555 §7.1.2).
type Account struct {
	// URL is the account's Location: its name in every request, for ever.
	URL      string
	Status   Status
	Contacts []string // as URLs: "mailto:admin@example.com"
}

// Directory is what a server says about itself (RFC 8555 §7.1.1).
type Directory struct {
	TermsOfService          string
	Website                 string
	CAAIdentities           []string
	ExternalAccountRequired bool
	// Profiles maps a profile's name to its description; empty when the
	// server offers none (draft-ietf-acme-profiles).
	Profiles map[string]string
	// RenewalInfo tells whether the server implements RFC 9773.
	RenewalInfo bool
}

// NewOrder is a request for an order (RFC 8555 §7.4).
type NewOrder struct {
	Identifiers []Identifier
	// Profile is left out of the request when empty.
	Profile string
	// Replaces is the RFC 9773 certificate identifier of the predecessor, or empty.
	Replaces string
}

// Order is an order as the server shows it (RFC 8555 §7.1.3).
type Order struct {
	// URL is the Location of the newOrder answer. It is only known there: a
	// server does not owe it again on later reads.
	URL            string
	Status         Status
	Expires        time.Time // zero when the server did not say
	Identifiers    []Identifier
	Authorizations []string // URLs, in no order that means anything (§7.1.3)
	Finalize       string   // URL
	Certificate    string   // URL, once the order is valid
	Error          *Problem
	// RetryAfter is how long the server asks to wait before the next read; 0
	// when it did not say.
	RetryAfter time.Duration
}

// Authorization is the server's record that the account may, or may yet,
// speak for an identifier (RFC 8555 §7.1.4).
type Authorization struct {
	URL    string
	Status Status
	// Expires is zero when the server did not say.
	Expires    time.Time
	Identifier Identifier // without "*.": Wildcard is the only mark of one
	Wildcard   bool
	Challenges []Challenge
	RetryAfter time.Duration
}

// Requested gives the identifier in the form in which it was ordered:
// a wildcard authorization answers for "*.example.com" though its identifier
// reads "example.com" (RFC 8555 §7.1.4).
func (a Authorization) Requested() Identifier {
	if a.Wildcard && a.Identifier.Type == DNS {
		return Identifier{Type: DNS, Value: "*." + a.Identifier.Value}
	}
	return a.Identifier
}

// Challenge is one way to satisfy an authorization (RFC 8555 §7.1.5, §8).
type Challenge struct {
	Type   ChallengeType `json:"type"`
	URL    string        `json:"url"`
	Status Status        `json:"status"`
	// Token is chosen by the server and is foreign input: acmeclient lets only
	// base64url through (RFC 8555 §8.3), and leaves it empty otherwise.
	Token string   `json:"token,omitempty"`
	Error *Problem `json:"error,omitempty"`
}
