package account

import (
	"context"
	"fmt"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// Rotate gives the account a new key of a kind (RFC 8555 §7.3.5), in two
// phases: the candidate is stored, then the CA is asked, then the candidate is
// made the key. When the CA's answer is lost the candidate stays, and
// [Reconcile] finds out at the account's next use.
func Rotate(ctx context.Context, a *Account, kind keys.Kind, ca CA, save Save, now time.Time) error {
	if err := Reconcile(ctx, a, ca, save, now); err != nil {
		return err
	}
	if err := a.propose(kind, save, now); err != nil {
		return err
	}
	from, err := a.Signer()
	if err != nil {
		return err
	}
	to, err := signer(a.Candidate.Key)
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
	if undone := a.discard(save); undone != nil {
		return undone
	}
	return fmt.Errorf("changing the key: %w", err)
}

// Reconcile settles a key change whose outcome is unknown, by asking the CA
// whether the candidate is the account's key. Without a candidate it does
// nothing. Until it has succeeded the account must not be used: either key may
// be the wrong one.
func Reconcile(ctx context.Context, a *Account, ca CA, save Save, now time.Time) error {
	if a.Candidate == nil {
		return nil
	}
	key, err := signer(a.Candidate.Key)
	if err != nil {
		return a.discard(save)
	}
	found, err := ca.FindAccount(ctx, key)
	switch {
	case err == nil && found.URL == a.URL:
		return a.promote(save, now)
	case err != nil && unanswered(err):
		return fmt.Errorf("finding out which key the CA has for the account: %w", err)
	}
	return a.discard(save)
}

// unanswered tells that the CA may or may not have acted.
func unanswered(err error) bool { return acme.Temporary(err) }

func (a *Account) propose(kind keys.Kind, save Save, now time.Time) error {
	key, err := keys.Generate(kind)
	if err != nil {
		return fmt.Errorf("making the new key: %w", err)
	}
	text, err := keys.Encode(key)
	if err != nil {
		return err
	}
	a.Candidate = &Candidate{Key: secret.Text(text), Kind: kind, Created: now}
	return save(a)
}

func (a *Account) promote(save Save, now time.Time) error {
	a.Key = a.Candidate.Key
	a.Versions = append(a.Versions, KeyVersion{Kind: a.Candidate.Kind, Created: a.Candidate.Created})
	a.Candidate, a.Updated = nil, now
	return save(a)
}

func (a *Account) discard(save Save) error {
	a.Candidate = nil
	return save(a)
}
