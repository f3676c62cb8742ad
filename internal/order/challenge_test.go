package order

import (
	"errors"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// proving is an order that waits for the proof of some names, each of which has
// something the matter with it.
func proving() *Order {
	o := New("id", "role", "account", start)
	o.State = StateAwaiting
	o.Allowed = []acme.ChallengeType{acme.HTTP01, acme.DNS01}
	challenge := func(t acme.ChallengeType, s acme.Status, token, url string) acme.Challenge {
		return acme.Challenge{Type: t, Status: s, Token: token, URL: url}
	}
	add := func(name string, status acme.Status, challenges ...acme.Challenge) {
		o.Authorizations = append(o.Authorizations, Authorization{
			URL: "https://ca/" + name, Identifier: acme.Identifier{Type: acme.DNS, Value: name}, Status: status, Challenges: challenges,
		})
	}
	add("open.example.com", acme.StatusPending,
		challenge(acme.HTTP01, acme.StatusPending, "t", "u"), challenge(acme.DNS01, acme.StatusPending, "t", "u"), challenge(acme.TLSALPN01, acme.StatusPending, "t", "u"))
	add("valid.example.com", acme.StatusValid, challenge(acme.HTTP01, acme.StatusValid, "t", "u"))
	add("spoilt.example.com", acme.StatusPending,
		challenge(acme.HTTP01, acme.StatusInvalid, "t", "u"), challenge(acme.DNS01, acme.StatusProcessing, "t", "u"))
	add("hostile.example.com", acme.StatusPending,
		challenge(acme.HTTP01, acme.StatusPending, "", "u"), challenge(acme.DNS01, acme.StatusPending, "t", ""))
	return o
}

func TestFulfill(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		t      acme.ChallengeType
		want   error
		reason string
	}{
		{"open.example.com", acme.HTTP01, nil, "as it should be"},
		{"open.example.com", acme.TLSALPN01, ErrNotAllowed, "offered, but the role does not want it"},
		{"open.example.com", "dns-persist-01", ErrNotAllowed, "a type that nobody knows"},
		{"open.example.com", "", ErrNotAllowed, "no type"},
		{"example.com", acme.HTTP01, ErrUnknownIdentifier, "not a name of the order"},
		{"*.open.example.com", acme.DNS01, ErrUnknownIdentifier, "nor is its wildcard"},
		{"", acme.DNS01, ErrUnknownIdentifier, "no name"},
		{"valid.example.com", acme.HTTP01, ErrNotPending, "proven already"},
		{"valid.example.com", acme.DNS01, ErrNotOffered, "not offered, either"},
		{"spoilt.example.com", acme.HTTP01, ErrNotPending, "that challenge has failed and would never be looked at"},
		{"spoilt.example.com", acme.DNS01, nil, "the CA is looking already"},
		{"hostile.example.com", acme.HTTP01, ErrNotOffered, "a token that was no base64url cannot be put in place"},
		{"hostile.example.com", acme.DNS01, ErrNotOffered, "a challenge without URL cannot be answered"},
	} {
		o := proving()
		err := o.Fulfill(test.name, test.t, start)
		if !errors.Is(err, test.want) {
			t.Errorf("%s by %s: %v, want %v (%s)", test.name, test.t, err, test.want, test.reason)
		}
		if a := o.Authorization(test.name); err != nil && a != nil && a.Fulfilled != "" {
			t.Errorf("%s by %s: refused, but noted as %s", test.name, test.t, a.Fulfilled)
		}
	}
}

func TestFulfillInEachState(t *testing.T) {
	t.Parallel()
	for _, s := range States {
		if s == StateAwaiting {
			continue
		}
		o := proving()
		if err := o.Fulfill("open.example.com", acme.HTTP01, start); err != nil {
			t.Fatal(err)
		}
		o.State = s
		if err := o.Fulfill("open.example.com", acme.DNS01, start); !errors.Is(err, ErrNotAwaiting) {
			t.Errorf("%s: another choice: %v", s, err)
		}
		again := o.Fulfill("open.example.com", acme.HTTP01, start)
		if known := s != StateNew && s != StateSubmitted; known != (again == nil) {
			t.Errorf("%s: the same again: %v", s, again)
		}
		if got := o.Authorization("open.example.com").Fulfilled; got != acme.HTTP01 {
			t.Errorf("%s: the choice became %s", s, got)
		}
	}
	o := New("id", "role", "account", start)
	if err := o.Fulfill("open.example.com", acme.HTTP01, start); !errors.Is(err, ErrNotAwaiting) {
		t.Errorf("before the CA has said anything: %v", err)
	}
}
