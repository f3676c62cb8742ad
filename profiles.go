package pkiexternalca

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// profilesOf gives the profiles that an account's CA offers, as far as is known
// without asking it: what its directory said when an order last needed it, or
// what it said when the account was last written. It is nil when nobody ever
// looked, and then nothing can be said against any profile.
func (b *backend) profilesOf(a *account.Account) map[string]string {
	if latest, known := b.authorities.directory(a); known {
		return latest.Profiles
	}
	return a.Profiles
}

// checkProfile refuses a profile that the account's CA is known not to offer.
func (b *backend) checkProfile(a *account.Account, profile string) error {
	offered := b.profilesOf(a)
	if offered == nil {
		return nil
	}
	if err := acme.CheckProfile(profile, offered); err != nil {
		return fmt.Errorf("%w (if that has changed, write the ACME account %q again: the directory of its CA is read then)", err, a.Name)
	}
	return nil
}

// offers refuses to begin an order for a profile that the CA is known not to offer.
// What has been ordered before it ceased to is not touched.
func (b *backend) offers(ctx context.Context, s logical.Storage, draft *order.Order) error {
	if draft.Profile == "" {
		return nil
	}
	acct, err := accounts.Get(ctx, s, draft.Account)
	if err != nil {
		return err
	}
	if err := b.checkProfile(acct, draft.Profile); err != nil {
		return badRequest("profile of role %q: %w", draft.Role, err)
	}
	return nil
}

// refreshProfiles reads what an account's CA offers now. A CA that is away keeps
// nobody from changing the account, which may be what gets it back.
func (b *backend) refreshProfiles(ctx context.Context, a *account.Account) error {
	ca, about, err := b.reachable(ctx, a)
	if err != nil {
		return err
	}
	ca.Close()
	a.Profiles = about.Profiles
	return nil
}
