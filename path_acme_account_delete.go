package pkiexternalca

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

func (b *backend) deleteAccount(ctx context.Context, req *request) (*logical.Response, error) {
	name := req.text("name")
	release, err := b.reserve(accounts.Prefix + name)
	if err != nil {
		return nil, conflict("%w", err)
	}
	defer release()
	acct, err := b.beginDeletion(ctx, req.Storage, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, registrations.Delete(ctx, req.Storage, name)
	}
	if err != nil {
		return nil, err
	}
	if req.flag("deactivate") {
		if err := b.deactivate(ctx, req.Storage, acct); err != nil {
			acct.Deleting = false
			// The mark must go even if the client has.
			return nil, errors.Join(err, b.saver(context.WithoutCancel(ctx), req.Storage)(acct))
		}
	}
	ctx = context.WithoutCancel(ctx) // at the CA the account has ended already
	if err := registrations.Delete(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	if err := b.forgetLimits(ctx, req.Storage, name); err != nil {
		return nil, err
	}
	defer b.authorities.drop(name)
	return nil, accounts.Delete(ctx, req.Storage, name)
}

// beginDeletion marks an account that no role uses, so that none can begin to
// while the CA is being asked.
func (b *backend) beginDeletion(ctx context.Context, s logical.Storage, name string) (*account.Account, error) {
	b.rolesLock.Lock()
	defer b.rolesLock.Unlock()
	acct, err := accounts.Get(ctx, s, name)
	if err != nil {
		return nil, err
	}
	users, err := rolesOf(ctx, s, name)
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		return nil, conflict("ACME account %q is in use by the roles %s; delete them first", name, strings.Join(users, ", "))
	}
	id, busy, err := findActive(ctx, s, func(o *order.Order) bool { return o.Account == name })
	if err != nil {
		return nil, err
	}
	if busy {
		return nil, conflict("ACME account %q is in use by order %s; wait for it to end", name, id)
	}
	acct.Deleting = true
	return acct, b.saver(ctx, s)(acct)
}

// deactivate ends the account at the CA (RFC 8555 §7.3.6). One that the CA has
// ended already, or never knew, is as good as deactivated.
func (b *backend) deactivate(ctx context.Context, s logical.Storage, a *account.Account) error {
	if err := b.settle(ctx, s, a); err != nil {
		return fromCA(err, "preparing the account; with deactivate=false it is deleted without asking the CA")
	}
	ca, err := b.keyHolder(a)
	if err != nil {
		return err
	}
	defer ca.Close()
	key, err := a.Signer()
	if err != nil {
		return err
	}
	ctx, cancel := patiently(ctx)
	defer cancel()
	_, err = ca.Account(a.URL, key).Deactivate(ctx)
	if acme.IsProblem(err, acme.AccountDoesNotExist, acme.Unauthorized) {
		return nil
	}
	return fromCA(err, "deactivating the account at the CA (deactivate=false deletes it without asking the CA)")
}

// rolesOf lists the roles that order with an account, or may turn to it.
func rolesOf(ctx context.Context, s logical.Storage, name string) ([]string, error) {
	return rolesWith(ctx, s, func(r *role) bool { return r.Account == name || slices.Contains(r.Fallbacks, name) })
}

// rolesWith lists the roles for which something holds.
func rolesWith(ctx context.Context, s logical.Storage, holds func(*role) bool) ([]string, error) {
	all, err := roles.List(ctx, s, "")
	if err != nil {
		return nil, err
	}
	var users []string
	for _, candidate := range all {
		r, err := roles.Get(ctx, s, candidate)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if holds(r) {
			users = append(users, candidate)
		}
	}
	return users, nil
}
