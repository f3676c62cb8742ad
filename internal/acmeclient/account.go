package acmeclient

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"

	lego "github.com/go-acme/lego/v4/acme"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// Registration is what a new account tells the CA.
type Registration struct {
	// Contacts are e-mail addresses, or URLs of any other scheme.
	Contacts []string
	// EAB binds the account to one that exists outside of ACME; nil for none.
	EAB *EAB
}

// EAB is an external account binding (RFC 8555 §7.3.4).
type EAB struct {
	KID string
	Key []byte // for HMAC-SHA256
}

// String leaves the key out.
func (e EAB) String() string { return fmt.Sprintf("external account %q", e.KID) }

// GoString leaves the key out.
func (e EAB) GoString() string { return e.String() }

// minEABKey is the least number of bytes for HMAC-SHA256 (RFC 7518 §3.2).
const minEABKey = 32

// ParseEABKey reads the key as CAs print it: base64url, with or without
// padding. The error does not repeat it.
func ParseEABKey(text string) ([]byte, error) {
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	if err != nil {
		return nil, errors.New("it is not base64url, which has letters, digits, - and _ only")
	}
	if len(key) < minEABKey {
		return nil, fmt.Errorf("it has %d bytes; HMAC-SHA256 needs at least %d (RFC 7518 §3.2)", len(key), minEABKey)
	}
	return key, nil
}

// Register makes an account and agrees to the terms of service. For a key that
// has an account already the CA answers with that one and changes nothing
// (RFC 8555 §7.3, §7.3.1).
func (s *Server) Register(ctx context.Context, key crypto.Signer, wish Registration) (acme.Account, error) {
	d, err := s.endpoints(ctx)
	if err != nil {
		return acme.Account{}, err
	}
	message := lego.Account{TermsOfServiceAgreed: true, Contact: contactURLs(wish.Contacts)}
	if wish.EAB != nil {
		if message.ExternalAccountBinding, err = wish.EAB.bind(key, d.newAccount); err != nil {
			return acme.Account{}, err
		}
	}
	return s.newAccount(ctx, key, request{doing: "registering an account at", url: d.newAccount}, message)
}

// FindAccount looks up the account of a key without making one (RFC 8555
// §7.3.1). Where there is none, the problem is of type accountDoesNotExist.
func (s *Server) FindAccount(ctx context.Context, key crypto.Signer) (acme.Account, error) {
	d, err := s.endpoints(ctx)
	if err != nil {
		return acme.Account{}, err
	}
	r := request{doing: "looking up the account at", url: d.newAccount}
	return s.newAccount(ctx, key, r, lego.Account{OnlyReturnExisting: true})
}

func (s *Server) newAccount(ctx context.Context, key crypto.Signer, r request, message lego.Account) (acme.Account, error) {
	payload, err := json.Marshal(message)
	if err != nil {
		return acme.Account{}, fmt.Errorf("encoding the account: %w", err)
	}
	r.payload = payload
	a, err := s.post(ctx, signer{key: key}, r)
	if err != nil {
		return acme.Account{}, err
	}
	location, err := a.location("account")
	if err != nil {
		return acme.Account{}, err
	}
	return a.account(location)
}

// account reads an account object (RFC 8555 §7.1.2).
func (a *answer) account(location string) (acme.Account, error) {
	var wire lego.Account
	if err := a.decode(&wire); err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{URL: location, Status: statusOf(wire.Status)}
	for _, contact := range wire.Contact[:min(len(wire.Contact), maxMeta)] {
		account.Contacts = append(account.Contacts, upstream.Clean(contact, maxWord))
	}
	return account, nil
}

func statusOf(text string) acme.Status { return acme.Status(upstream.Clean(text, maxWord)) }

// contactURLs makes URLs of bare e-mail addresses (RFC 8555 §7.3).
func contactURLs(contacts []string) []string {
	urls := make([]string, len(contacts))
	for i, contact := range contacts {
		urls[i] = contact
		if !strings.Contains(contact, ":") {
			urls[i] = "mailto:" + url.PathEscape(contact)
		}
	}
	return urls
}

// bind signs the account key with the external account's key (RFC 8555 §7.3.4).
func (e *EAB) bind(key crypto.Signer, newAccountURL string) (json.RawMessage, error) {
	if e.KID == "" {
		return nil, errors.New("the external account has no key identifier")
	}
	payload, err := json.Marshal(jose.JSONWebKey{Key: key.Public()})
	if err != nil {
		return nil, fmt.Errorf("encoding the account key: %w", err)
	}
	binding, err := sign(jose.SigningKey{Algorithm: jose.HS256, Key: e.Key}, e.KID, newAccountURL, "", payload)
	if err != nil {
		return nil, fmt.Errorf("binding the account to %s: %w", e, err)
	}
	return binding, nil
}
