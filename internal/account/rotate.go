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

// Rotate gives the account a new key of a kind (RFC 8555 §7.3.5), in two
// phases: the candidate is stored, then the CA is asked, then the candidate is
// made the key. When the CA's answer is lost the candidate stays, and
// [Reconcile] finds out at the account's next use. A refusal is not believed
// either before the CA has been asked which key it has: it may be that of a
// second request whose first had its effect.
//
// After an error a must be read from storage anew.
func Rotate(ctx context.Context, a *Account, kind keys.Kind, ca CA, save Save, now time.Time) error {
	if err := Reconcile(ctx, a, ca, save, now); err != nil {
		return err
	}
	from, err := a.Signer()
	if err != nil {
		return err
	}
	to, err := a.propose(kind, save, now)
	if err != nil {
		return err
	}
	err = ca.ChangeKey(ctx, a.URL, from, to)
	switch {
	case err == nil:
		return a.promote(save, now)
	case unanswered(err):
		return fmt.Errorf("changing the key: %w (whether the CA has changed it is unknown; the next use of the account will find out)", err)
	}
	before := a.ActiveVersion()
	if unsettled := Reconcile(ctx, a, ca, save, now); unsettled != nil {
		return fmt.Errorf("changing the key: %w (and then: %w)", err, unsettled)
	}
	if a.ActiveVersion() > before {
		return nil
	}
	return fmt.Errorf("changing the key: %w", err)
}

// Reconcile settles a key change whose outcome is unknown, by asking the CA
// whether the candidate is the account's key. Without a candidate it does
// nothing. Until it has succeeded the account must not be used: either key may
// be the wrong one.
//
// The candidate is given up only when the CA has shown that it knows the old
// key: a wrong guess would lose the account for good.
func Reconcile(ctx context.Context, a *Account, ca CA, save Save, now time.Time) error {
	if a.Candidate == nil {
		return nil
	}
	candidate, err := signer(a.Candidate.Key)
	if err != nil {
		return a.discard(save)
	}
	current, err := a.Signer()
	if err != nil {
		return err
	}
	found, notNew := ca.FindAccount(ctx, candidate)
	switch {
	case notNew == nil && found.URL == a.URL:
		return a.promote(save, now)
	case notNew != nil && unanswered(notNew):
		return fmt.Errorf("finding out which key the CA has for the account: %w", notNew)
	}
	_, notOld := ca.FindAccount(ctx, current)
	switch {
	case notOld == nil:
		return a.discard(save)
	case notNew == nil && acme.IsProblem(notOld, acme.AccountDoesNotExist):
		return a.promote(save, now) // found, under another spelling of its URL
	}
	return fmt.Errorf("finding out which key the CA has for the account: it knows neither the new one nor the old one: %w", notOld)
}

// unanswered tells that the CA may or may not have acted.
func unanswered(err error) bool { return acme.Temporary(err) }

// propose makes and stores a candidate.
func (a *Account) propose(kind keys.Kind, save Save, now time.Time) (crypto.Signer, error) {
	key, err := keys.Generate(kind)
	if err != nil {
		return nil, fmt.Errorf("making the new key: %w", err)
	}
	text, err := keys.Encode(key)
	if err != nil {
		return nil, err
	}
	a.Candidate = &Candidate{Key: secret.Text(text), Kind: kind, Created: now}
	return key, save(a)
}

func (a *Account) promote(save Save, now time.Time) error {
	a.Key = a.Candidate.Key
	a.Versions = append(a.Versions, KeyVersion{Kind: a.Candidate.Kind, Created: a.Candidate.Created})
	a.Candidate, a.Updated, a.Rotation = nil, now, Rotation{}
	return save(a)
}

func (a *Account) discard(save Save) error {
	a.Candidate = nil
	return save(a)
}
