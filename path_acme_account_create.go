package pkiexternalca

import (
	"context"
	"crypto"
	"errors"

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
	server, err := b.reachable(ctx, acct)
	if err != nil {
		return nil, err
	}
	if err := demandsBinding(ctx, server, eab); err != nil {
		return nil, err
	}
	if err := b.register(ctx, req.Storage, server, acct, eab); err != nil {
		return nil, err
	}
	return showAccount(acct), nil
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
func (b *backend) reachable(ctx context.Context, a *account.Account) (*acmeclient.Server, error) {
	server, err := b.authorities.server(a)
	if err != nil {
		return nil, badRequest("directory_url: %w", err)
	}
	if _, err := server.Directory(ctx); err != nil {
		return nil, badRequest("directory_url %q cannot be used: %w", a.DirectoryURL, err)
	}
	return server, nil
}

func demandsBinding(ctx context.Context, server *acmeclient.Server, eab *acmeclient.EAB) error {
	directory, err := server.Directory(ctx)
	if err != nil {
		return fromCA(err, "reading the directory")
	}
	if directory.ExternalAccountRequired && eab == nil {
		return badRequest("eab_kid and eab_key are required by this CA (externalAccountRequired in its directory)")
	}
	return nil
}

// register makes the account known to the CA. Its key is stored before: if the
// CA's answer is lost, writing the account again registers the same key, for
// which the CA gives the same account (RFC 8555 §7.3.1), and a binding that
// can be used only once is not lost with it.
func (b *backend) register(ctx context.Context, s logical.Storage, server *acmeclient.Server, a *account.Account, eab *acmeclient.EAB) error {
	key, err := b.registrationKey(ctx, s, a)
	if err != nil {
		return err
	}
	made, err := server.Register(ctx, key, acmeclient.Registration{Contacts: a.Contacts, EAB: eab})
	if err != nil {
		if !acme.Temporary(err) {
			if gone := registrations.Delete(ctx, s, a.Name); gone != nil {
				return gone
			}
		}
		return fromCA(err, "registering the account at "+a.DirectoryURL)
	}
	a.URL = made.URL
	if err := b.saver(ctx, s)(a); err != nil {
		return err
	}
	return registrations.Delete(ctx, s, a.Name)
}

// registrationKey gives the account its first key: that of an earlier try with
// the same settings, or a new one, stored.
func (b *backend) registrationKey(ctx context.Context, s logical.Storage, a *account.Account) (crypto.Signer, error) {
	earlier, err := registrations.Get(ctx, s, a.Name)
	switch {
	case err == nil && earlier.DirectoryURL == a.DirectoryURL && earlier.KeyKind == a.KeyKind && earlier.EABKID == a.EABKID:
		a.Key, a.Versions = earlier.Key, earlier.Versions
		return a.Signer()
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
	return key, registrations.Put(ctx, s, a.Name, a)
}
