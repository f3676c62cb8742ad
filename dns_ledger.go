package pkiexternalca

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// A provider is needed until the last record that it wrote has been removed. So
// whoever changes providers excludes whoever changes debts (dnsCache.ledger):
// no record is written with a provider that is being deleted, and no provider
// outlives its last debt.

// dropProvider removes a provider, or hides it while it owes: its credentials are
// needed once more. The caller has the ledger.
func (b *backend) dropProvider(ctx context.Context, s logical.Storage, e dnsprovider.Entry) error {
	owed, err := debtsOf(ctx, s, e.Common().Label())
	if err != nil {
		return err
	}
	defer b.dns.forget()
	kind := dnsprovider.Find(e.Common().Type)
	if len(owed) == 0 {
		return kind.Delete(ctx, s, e.Common().Name)
	}
	e.Common().Deleted = true
	return kind.Put(ctx, s, e)
}

// closeDebt forgets a debt that was paid, and with its last one a provider that was
// kept for it. The provider goes first, because nobody would find it afterwards.
func (b *backend) closeDebt(ctx context.Context, s logical.Storage, d *debt) error {
	closed, err := b.closeDebtOfLiving(ctx, s, d)
	if err != nil || closed {
		return err
	}
	b.dns.ledger.Lock()
	defer b.dns.ledger.Unlock()
	if err := b.buryProvider(ctx, s, d.Provider); err != nil {
		return err
	}
	return debts.Delete(ctx, s, debtPath(d.Proof))
}

// closeDebtOfLiving forgets a debt unless its provider was deleted. Many may do so
// at once.
func (b *backend) closeDebtOfLiving(ctx context.Context, s logical.Storage, d *debt) (bool, error) {
	b.dns.ledger.RLock()
	defer b.dns.ledger.RUnlock()
	e, err := b.dns.entry(ctx, s, d.Provider)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return false, err
	case e.Common().Deleted:
		return false, nil
	}
	return true, debts.Delete(ctx, s, debtPath(d.Proof))
}

// buryProvider deletes a provider that is kept for its last debt only. The caller
// has the ledger.
func (b *backend) buryProvider(ctx context.Context, s logical.Storage, label string) error {
	e, err := b.dns.entry(ctx, s, label)
	if errors.Is(err, store.ErrNotFound) || err == nil && !e.Common().Deleted {
		return nil
	}
	if err != nil {
		return err
	}
	owed, err := debtsOf(ctx, s, label)
	if err != nil || len(owed) > 1 {
		return err
	}
	defer b.dns.forget()
	b.dns.outages.end(label)
	return dnsprovider.Find(e.Common().Type).Delete(ctx, s, e.Common().Name)
}
