package pkiexternalca

import (
	"context"
	"crypto"
	"errors"
	"slices"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

func (b *backend) createAccount(ctx context.Context, req *request, name string) (*logical.Response, error) {
	acct, err := accountFields.Create(req.fields)
	if err != nil {
		return nil, err
	}
	acct.Name, acct.Created, acct.Updated = name, b.now(), b.now()
	if err := validateContacts(acct); err != nil {
		return nil, err
	}
	eab, err := externalBinding(acct.EABKID, req.text("eab_key"))
	if err != nil {
		return nil, err
	}
	ca, about, err := b.reachable(ctx, acct)
	if err != nil {
		return nil, err
	}
	defer ca.Close()
	if about.ExternalAccountRequired && eab == nil {
		return nil, badRequest("eab_kid and eab_key are required by this CA (externalAccountRequired in its directory)")
	}
	acct.Profiles = about.Profiles
	if err := b.register(ctx, req.Storage, ca, acct, eab); err != nil {
		return nil, err
	}
	return b.showAccount(acct), nil
}

// externalBinding takes both halves of an external account binding or none
// (RFC 8555 §7.3.4).
func externalBinding(kid, key string) (*acmeclient.EAB, error) {
	switch {
	case kid == "" && key == "":
		return nil, nil
	case kid == "":
		return nil, badRequest("eab_key was sent without eab_kid; send both or none")
	case key == "":
		return nil, badRequest("eab_kid was sent without eab_key; send both or none")
	}
	hmac, err := acmeclient.ParseEABKey(key)
	if err != nil {
		return nil, badRequest("eab_key %w", err)
	}
	return &acmeclient.EAB{KID: kid, Key: hmac}, nil
}

// reachable opens an account's CA and reads its directory, so that a wrong URL
// or missing trust is told as such before anything is made or stored.
func (b *backend) reachable(ctx context.Context, a *account.Account) (ca keyHolder, about acme.Directory, err error) {
	if ca, err = b.keyHolder(a); err != nil {
		return ca, about, badRequest("directory_url: %w", err)
	}
	ctx, cancel := patiently(ctx)
	defer cancel()
	if about, err = ca.Directory(ctx); err != nil {
		ca.Close()
		return ca, about, badRequest("directory_url %q cannot be used: %w", a.DirectoryURL, err)
	}
	return ca, about, nil
}

// register makes the account known to the CA. Its key is stored before: if the
// CA's answer is lost, writing the account again registers the same key, for
// which the CA gives the same account (RFC 8555 §7.3.1), and a binding that
// can be used only once is not lost with it.
func (b *backend) register(ctx context.Context, s logical.Storage, ca keyHolder, a *account.Account, eab *acmeclient.EAB) error {
	earlier, err := b.beginRegistration(ctx, s, a)
	if err != nil {
		return err
	}
	key, err := a.Signer()
	if err != nil {
		return err
	}
	if a.URL, err = ca.accountOf(ctx, key, earlier, acmeclient.Registration{Contacts: a.Contacts, EAB: eab}); err != nil {
		// A key that an earlier try may have registered is kept whatever the CA
		// says of this one.
		if earlier == nil && !acme.Temporary(err) {
			if gone := registrations.Delete(ctx, s, a.Name); gone != nil {
				return gone
			}
		}
		return fromCA(err, "registering the account at "+a.DirectoryURL)
	}
	ctx = context.WithoutCancel(ctx) // the CA has the account already
	if err := b.saver(ctx, s)(a); err != nil {
		return err
	}
	return registrations.Delete(ctx, s, a.Name)
}

// beginRegistration gives the account its first key: that of an earlier try with
// the same settings, which it returns, or a new one, stored.
func (b *backend) beginRegistration(ctx context.Context, s logical.Storage, a *account.Account) (earlier *account.Account, err error) {
	earlier, err = registrations.Get(ctx, s, a.Name)
	switch {
	case err == nil && earlier.DirectoryURL == a.DirectoryURL && earlier.KeyKind == a.KeyKind && earlier.EABKID == a.EABKID:
		a.Key, a.Versions = earlier.Key, earlier.Versions
		return earlier, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	key, err := keys.Generate(a.KeyKind)
	if err != nil {
		return nil, err
	}
	if err := a.SetKey(key, b.now()); err != nil {
		return nil, err
	}
	return nil, registrations.Put(ctx, s, a.Name, a)
}

// accountOf gives the URL of the account of a key, which an earlier try may have
// made with other contacts: for a key that it knows a CA leaves the account as
// it is (RFC 8555 §7.3.1).
func (k keyHolder) accountOf(ctx context.Context, key crypto.Signer, earlier *account.Account, wish acmeclient.Registration) (url string, err error) {
	ctx, cancel := patiently(ctx)
	defer cancel()
	made, err := k.Register(ctx, key, wish)
	if err != nil || earlier == nil || slices.Equal(earlier.Contacts, wish.Contacts) {
		return made.URL, err
	}
	_, err = k.Account(made.URL, key).UpdateContacts(ctx, wish.Contacts)
	return made.URL, err
}
