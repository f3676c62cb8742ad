package acmetest

import (
	"crypto/rand"
	"crypto/x509"
	"slices"
	"strconv"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// fakeCA is what a [ScriptServer] remembers. The server's mutex guards it.
type fakeCA struct {
	base           string // https://127.0.0.1:port
	accounts       map[string]*fakeAccount
	orders         []*fakeOrder // number n is at n-1
	authorizations []*fakeAuthorization
	serials        map[string]bool // true: revoked

	reuseOrders  bool
	preAuthorize bool
	judge        func(acme.Identifier, acme.ChallengeType) *acme.Problem
	template     func(*x509.Certificate)
}

type fakeAccount struct {
	url      string
	key      string // RFC 7638 thumbprint
	contacts []string
	status   acme.Status
}

type fakeOrder struct {
	number         int
	account        string
	identifiers    []acme.Identifier
	authorizations []*fakeAuthorization
	chain          []byte // PEM, once finalized
	replaces       string // the certificate that it was ordered in place of (RFC 9773 §5)
}

type fakeAuthorization struct {
	number     int
	identifier acme.Identifier // as ordered, with "*."
	status     acme.Status
	tried      acme.ChallengeType
	token      string
	problem    *acme.Problem
}

func newFakeCA(base string) fakeCA {
	return fakeCA{base: base, accounts: map[string]*fakeAccount{}, serials: map[string]bool{}}
}

// ReuseOrders makes newOrder answer with the account's existing order for the
// same identifiers, unless that is invalid, as Boulder does.
func (s *ScriptServer) ReuseOrders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ca.reuseOrders = true
}

// PreAuthorize makes authorizations valid from the start, so that an order is
// ready at once.
func (s *ScriptServer) PreAuthorize() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ca.preAuthorize = true
}

// Judge decides what becomes of an answered challenge: nil makes the
// authorization valid, a problem makes it and its order invalid. The function
// must not call the server's methods.
func (s *ScriptServer) Judge(f func(acme.Identifier, acme.ChallengeType) *acme.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ca.judge = f
}

// Certify changes certificates before they are signed: their dates, their
// names, or their PublicKey, which is that of the CSR unless changed. The
// function must not call the server's methods.
func (s *ScriptServer) Certify(f func(template *x509.Certificate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ca.template = f
}

// Revoked tells whether a certificate was revoked.
func (s *ScriptServer) Revoked(c *x509.Certificate) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ca.serials[c.SerialNumber.String()]
}

func (ca *fakeCA) url(parts ...string) string { return ca.base + "/" + strings.Join(parts, "/") }

func (ca *fakeCA) accountByKey(key string) *fakeAccount {
	for _, a := range ca.accounts {
		if a.key == key {
			return a
		}
	}
	return nil
}

func (ca *fakeCA) addAccount(key string, contacts []string) *fakeAccount {
	url := ca.url(string(Account), strconv.Itoa(len(ca.accounts)+1))
	a := &fakeAccount{url: url, key: key, contacts: contacts, status: acme.StatusValid}
	ca.accounts[url] = a
	return a
}

// addOrder makes an order and its authorizations, or finds one to reuse.
func (ca *fakeCA) addOrder(account string, identifiers []acme.Identifier) *fakeOrder {
	for _, o := range ca.orders {
		if ca.reuseOrders && o.account == account && o.status() != acme.StatusInvalid && slices.Equal(o.identifiers, identifiers) {
			return o
		}
	}
	o := &fakeOrder{number: len(ca.orders) + 1, account: account, identifiers: identifiers}
	for _, identifier := range identifiers {
		o.authorizations = append(o.authorizations, ca.addAuthorization(identifier))
	}
	ca.orders = append(ca.orders, o)
	return o
}

func (ca *fakeCA) addAuthorization(identifier acme.Identifier) *fakeAuthorization {
	a := &fakeAuthorization{
		number: len(ca.authorizations) + 1, identifier: identifier,
		status: acme.StatusPending, token: rand.Text(),
	}
	if ca.preAuthorize {
		a.status = acme.StatusValid
	}
	ca.authorizations = append(ca.authorizations, a)
	return a
}

func (a *fakeAuthorization) answer(t acme.ChallengeType, judge func(acme.Identifier, acme.ChallengeType) *acme.Problem) {
	a.tried, a.status = t, acme.StatusValid
	if judge == nil {
		return
	}
	if a.problem = judge(a.identifier, t); a.problem != nil {
		a.status = acme.StatusInvalid
	}
}

// status follows from the authorizations and the certificate (RFC 8555 §7.1.6).
func (o *fakeOrder) status() acme.Status {
	ready := true
	for _, a := range o.authorizations {
		switch a.status {
		case acme.StatusPending:
			ready = false
		case acme.StatusValid:
		default:
			return acme.StatusInvalid
		}
	}
	switch {
	case o.chain != nil:
		return acme.StatusValid
	case ready:
		return acme.StatusReady
	}
	return acme.StatusPending
}

func (o *fakeOrder) problem() *acme.Problem {
	for _, a := range o.authorizations {
		if a.problem != nil {
			return a.problem
		}
	}
	return nil
}

func expiry() string { return time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339) }
