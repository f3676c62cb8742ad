package pkiexternalca

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// debt is a TXT record that is to be removed when nobody needs it any more. It
// is stored before the record is written, so that a crash forgets none. It is
// paid with the settings that its provider has then.
type debt struct {
	order.Proof
	// Orders need the record until they are final. Orders of one account may
	// share an authorization, and with it the record. A trial has no order: its
	// record is needed as long as the request lives.
	Orders []order.ID `json:"orders,omitempty"`
	// Since is when the record was written first.
	Since time.Time `json:"since"`
}

// removalPatience bounds one try to remove a record.
const removalPatience = time.Minute

// debtPath names a debt below the type and the name of its provider, which
// tells in one listing what a provider owes.
func debtPath(p order.Proof) string {
	sum := sha256.Sum256([]byte(p.Name + "\n" + p.Value))
	return p.Provider + "/" + hex.EncodeToString(sum[:16])
}

// owe notes that a record will have to be removed. The caller has reserved it.
// Nothing is written any more with a provider that was deleted.
func (b *backend) owe(ctx context.Context, s logical.Storage, id order.ID, proof order.Proof) error {
	b.dns.ledger.RLock()
	defer b.dns.ledger.RUnlock()
	e, err := b.dns.entry(ctx, s, proof.Provider)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && e.Common().Deleted:
		return order.Refuse("DNS provider %q was deleted", proof.Provider)
	case err != nil:
		return err
	}
	d, err := debts.Get(ctx, s, debtPath(proof))
	if errors.Is(err, store.ErrNotFound) {
		d, err = &debt{Proof: proof, Since: b.now()}, nil
	}
	if err != nil || slices.Contains(d.Orders, id) {
		return err
	}
	if id != "" {
		d.Orders = append(d.Orders, id)
	}
	return debts.Put(ctx, s, debtPath(proof), d)
}

// debtsOf lists the debts of a provider.
func debtsOf(ctx context.Context, s logical.Storage, label string) ([]string, error) {
	names, err := debts.List(ctx, s, label+"/")
	for i := range names {
		names[i] = label + "/" + names[i]
	}
	return names, err
}

// loadDebts has every debt looked at.
func loadDebts(ctx context.Context, s logical.Storage, e *engine.Engine) error {
	paths := []string{""}
	for range 3 { // type, name, debt
		var below []string
		for _, path := range paths {
			names, err := debts.List(ctx, s, path)
			if err != nil {
				return err
			}
			for _, name := range names {
				below = append(below, path+name)
			}
		}
		paths = below
	}
	for _, path := range paths {
		e.Schedule(path, debtLane(path), time.Time{})
	}
	return nil
}

// wakeDebts has the debts of a provider tried again now. If they cannot be
// listed, they are tried when they are due.
func (b *backend) wakeDebts(ctx context.Context, s logical.Storage, label string) {
	paths, err := debtsOf(ctx, s, label)
	if err != nil {
		b.Logger().Warn("the TXT records to remove cannot be listed", "provider", label, "error", err)
	}
	for _, path := range paths {
		b.wakeDebt(path)
	}
}

// payDebt removes a record that no order needs any more, and tries until it is
// gone. It returns when to come back.
func (b *backend) payDebt(ctx context.Context, s logical.Storage, path string) (next time.Time) {
	next = b.now().Add(b.storagePause) // after a panic, too
	defer b.survive("a TXT record", order.ID(path))
	release, err := b.reserve(debts.Prefix + path)
	if err != nil {
		return b.now().Add(time.Second)
	}
	defer release()
	d, err := debts.Get(ctx, s, path)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return time.Time{}
	case errors.Is(err, store.ErrUnreadable):
		b.Logger().Error("a TXT record is left in place; the note of it cannot be read", "debt", path, "error", err)
		return time.Time{}
	case err != nil:
		return next
	}
	needed, err := stillNeeded(ctx, s, d)
	if err != nil {
		return next
	}
	if needed {
		return time.Time{} // the order's end wakes the debt
	}
	if until := b.dns.outages.enter(d.Provider, b.now()); !until.IsZero() {
		return b.spread(until)
	}
	return b.removeRecord(ctx, s, d)
}

// stillNeeded tells whether an order that is not final uses the record. Of one
// that cannot be read nobody knows.
func stillNeeded(ctx context.Context, s logical.Storage, d *debt) (bool, error) {
	for _, id := range d.Orders {
		o, err := orders.Get(ctx, s, orderPath(id))
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case errors.Is(err, store.ErrUnreadable):
			return true, nil
		case err != nil || !o.Final():
			return true, err
		}
	}
	return false, nil
}

// removeRecord pays a debt, and returns when to try again. The caller has
// reserved it.
func (b *backend) removeRecord(ctx context.Context, s logical.Storage, d *debt) time.Time {
	patient, cancel := context.WithTimeout(ctx, removalPatience)
	defer cancel()
	began := b.now()
	err := b.dns.write(patient, s, d.Proof, dns01.Provider.Remove)
	switch {
	case ctx.Err() != nil: // the work is being stopped
		return b.now().Add(b.storagePause)
	case errors.Is(err, store.ErrNotFound):
		b.Logger().Warn("a TXT record is left to others: its DNS provider is gone", "record", d.Name, "provider", d.Provider)
	case err != nil:
		return b.postponeDebt(d, began, err)
	}
	if err := b.closeDebt(ctx, s, d); err != nil {
		b.Logger().Warn("a TXT record was removed, which cannot be stored; trying again", "record", d.Name, "error", err)
		return b.now().Add(b.storagePause)
	}
	b.dns.refusals.end(debtPath(d.Proof))
	if b.dns.outages.end(d.Provider) {
		b.wakeDebts(ctx, s, d.Provider)
	}
	return time.Time{}
}

// postponeDebt decides when to try again. A service that refuses says something
// about one record; one that does not answer would not answer for others either.
func (b *backend) postponeDebt(d *debt, began time.Time, cause error) time.Time {
	among, name, asked := &b.dns.refusals, debtPath(d.Proof), time.Duration(0)
	if f, ok := errors.AsType[*dns01.Failure](cause); ok && !f.Refused {
		among, name, asked = &b.dns.outages, d.Provider, f.RetryAfter
	}
	next := b.spread(among.note(name, began, b.now(), asked))
	b.Logger().Warn("a TXT record cannot be removed; trying again", "record", d.Name, "provider", d.Provider, "at", next, "error", cause)
	return next
}

// spread moves a time by up to a fifth of the wait, so that what failed together
// does not return together.
func (b *backend) spread(until time.Time) time.Time {
	wait := until.Sub(b.now())
	return until.Add(time.Duration(b.jitter() * float64(wait) / 5))
}
