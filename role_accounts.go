package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// mostFallbacks bounds how many accounts an order may turn to.
const mostFallbacks = 8

// accountsOf reads the accounts of a role, the first and then its fallbacks, each
// of which must be there to stay.
func (b *backend) accountsOf(ctx context.Context, s logical.Storage, r *role) ([]*account.Account, error) {
	first, err := b.accountOf(ctx, s, "acme_account_name", r.Account)
	if err != nil {
		return nil, err
	}
	if len(r.Fallbacks) > mostFallbacks {
		return nil, badRequest("fallback_acme_accounts holds %d accounts; at most %d are turned to", len(r.Fallbacks), mostFallbacks)
	}
	all, seen := []*account.Account{first}, map[string]bool{r.Account: true}
	for _, name := range r.Fallbacks {
		if seen[name] {
			return nil, badRequest("fallback_acme_accounts: ACME account %q is the role's already; name each account once", name)
		}
		seen[name] = true
		next, err := b.accountOf(ctx, s, "fallback_acme_accounts", name)
		if err != nil {
			return nil, err
		}
		all = append(all, next)
	}
	return all, nil
}

// accountOf reads an account that a field of a role names.
func (b *backend) accountOf(ctx context.Context, s logical.Storage, field, name string) (*account.Account, error) {
	var acct *account.Account
	err := store.ErrNotFound // as for what storage takes for a way out of its prefix
	if !strings.Contains(name, "..") {
		acct, err = accounts.Get(ctx, s, name)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, badRequest("%s: there is no ACME account %q; create it first at config/acme-account/%s", field, name, name)
	case err != nil:
		return nil, err
	case acct.Deleting && b.isReserved(accounts.Prefix+name):
		return nil, conflict("%s: ACME account %q is being deleted", field, name)
	}
	return acct, nil
}

// warnOfProfiles tells which accounts of a role are at CAs that are known not to
// have its profile.
func (b *backend) warnOfProfiles(resp *logical.Response, all []*account.Account, profile string) {
	for i, acct := range all {
		switch err := b.checkProfile(acct, profile); {
		case err == nil:
		case i == 0:
			resp.AddWarning("profile: " + err.Error())
		default:
			resp.AddWarning(fmt.Sprintf("profile: an order that turns to ACME account %q is made without it: %v", acct.Name, err))
		}
	}
}
