// Package account keeps ACME accounts and the keys that are their identity.
//
// Losing an account key loses the account, and with it every CAA record and
// rate-limit exemption that names it. So a key is stored before a CA first
// hears of it: the key of a registration that is under way, and the candidate
// of a key change, are in the record before the request that makes them real
// is sent. What a crash leaves open is settled by asking the CA which key it
// knows ([Reconcile]).
package account

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// Account is an account as it is stored.
type Account struct {
	Name         string   `json:"name"`
	DirectoryURL string   `json:"directory_url"`
	Contacts     []string `json:"contacts"` // bare e-mail addresses
	TrustedCA    string   `json:"trusted_ca,omitempty"`
	// KeyKind is the kind asked for at creation.
	KeyKind keys.Kind `json:"key_kind"`
	// EABKID is the external account's name. Its HMAC key is never stored: it
	// is used once, at registration (RFC 8555 §7.3.4).
	EABKID string `json:"eab_kid,omitempty"`
	// URL is the account's name at the CA; empty until the CA has answered the
	// registration.
	URL string `json:"url,omitempty"`
	// Key is the active private key in PEM.
	Key secret.Text `json:"key"`
	// Versions describes every key the account has had; the last is active.
	// Replaced keys are worth nothing to anybody and are not kept.
	Versions []KeyVersion `json:"versions"`
	// Candidate is the key of a change that the CA has not confirmed.
	Candidate *Candidate `json:"candidate,omitempty"`
	// Profiles is what the CA offered when its directory was last read with the
	// account in hand: names with descriptions. It is nil where nobody has
	// looked, and empty where the CA offers none.
	Profiles map[string]string `json:"profiles,omitzero"`
	// RotationPeriod is the age at which the key is changed; 0 for never.
	RotationPeriod time.Duration `json:"rotation_period,omitempty"`
	Rotation       Rotation      `json:"rotation,omitzero"`
	// Deleting marks an account whose deactivation has begun.
	Deleting bool      `json:"deleting,omitempty"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// KeyVersion is what is remembered of a key.
type KeyVersion struct {
	Kind    keys.Kind `json:"kind"`
	Created time.Time `json:"created"`
}

// Candidate is a key that may or may not have become the account's.
type Candidate struct {
	Key     secret.Text `json:"key"`
	Kind    keys.Kind   `json:"kind"`
	Created time.Time   `json:"created"`
}

// Format implements fmt.Formatter. An account prints as its name: with some verbs
// package fmt prints what is behind a pointer, a candidate's key say, without
// asking it.
func (a Account) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "ACME account %q", a.Name) }

// ActiveVersion is the number of the active key, from 0.
func (a *Account) ActiveVersion() int { return len(a.Versions) - 1 }

// Signer gives the active key.
func (a *Account) Signer() (crypto.Signer, error) { return signer(a.Key) }

func signer(text secret.Text) (crypto.Signer, error) {
	key, err := keys.Parse(text.Reveal())
	if err != nil {
		return nil, fmt.Errorf("reading the stored account key: %w", err)
	}
	return key, nil
}

// SetKey makes a key the first, or the next, active key of the account.
func (a *Account) SetKey(key crypto.Signer, now time.Time) error {
	text, err := keys.Encode(key)
	if err != nil {
		return err
	}
	a.Key = secret.Text(text)
	a.Versions = append(a.Versions, KeyVersion{Kind: keys.KindOf(key.Public()), Created: now})
	return nil
}

// CA is what this package asks of the account's CA.
type CA interface {
	// FindAccount looks up the account of a key without making one (RFC 8555 §7.3.1).
	FindAccount(context.Context, crypto.Signer) (acme.Account, error)
	// ChangeKey replaces the key of an account (§7.3.5).
	ChangeKey(ctx context.Context, accountURL string, from, to crypto.Signer) error
}

// Save stores an account durably.
type Save func(*Account) error
