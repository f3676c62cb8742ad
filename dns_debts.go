package pkiexternalca

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// debt is a TXT record that is to be removed when nobody needs it any more. It
// is stored before the record is written, so that a crash forgets none.
type debt struct {
	order.Proof
	// Orders need the record until they are final. Orders of one account may
	// share an authorization, and with it the record.
	Orders []order.ID `json:"orders,omitempty"`
	// Since is when the record was written first.
	Since     time.Time `json:"since"`
	Tries     int       `json:"tries,omitempty"`
	LastError string    `json:"last_error,omitempty"`
}

const (
	debtMark = "debt:"
	// firstCollection and longestCollection bound the waits between tries to
	// remove a record.
	firstCollection   = 5 * time.Second
	longestCollection = time.Hour
)

// debtKey names a debt, for the engine and in storage.
func debtKey(p order.Proof) string {
	sum := sha256.Sum256([]byte(p.Provider + "\n" + p.Name + "\n" + p.Value))
	return debtMark + hex.EncodeToString(sum[:16])
}

func isDebt(key string) bool { return strings.HasPrefix(key, debtMark) }

// owe notes that a record will have to be removed. The caller has reserved it.
func (b *backend) owe(ctx context.Context, s logical.Storage, id order.ID, proof order.Proof) error {
	name := strings.TrimPrefix(debtKey(proof), debtMark)
	d, err := debts.Get(ctx, s, name)
	if errors.Is(err, store.ErrNotFound) {
		d, err = &debt{Proof: proof, Since: b.now()}, nil
	}
	if err != nil || slices.Contains(d.Orders, id) {
		return err
	}
	if id != "" {
		d.Orders = append(d.Orders, id)
	}
	return debts.Put(ctx, s, name, d)
}

// loadDebts schedules every debt; whether it is due is found out when it is
// looked at.
func loadDebts(ctx context.Context, s logical.Storage, e *engine.Engine) error {
	names, err := debts.List(ctx, s, "")
	if err != nil {
		return err
	}
	for _, name := range names {
		e.Schedule(debtMark+name, time.Time{}.Add(1))
	}
	return nil
}

// payDebt removes a record that no order needs any more, and tries until it is
// gone. It returns when to come back.
func (b *backend) payDebt(ctx context.Context, s logical.Storage, key string) (next time.Time) {
	next = b.now().Add(b.storagePause) // after a panic
	defer b.survive("a TXT record", order.ID(key))
	release, err := b.reserve(key)
	if err != nil {
		return b.now().Add(time.Second)
	}
	defer release()
	name := strings.TrimPrefix(key, debtMark)
	d, err := debts.Get(ctx, s, name)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}
	}
	if err != nil {
		return next
	}
	needed, err := stillNeeded(ctx, s, d)
	if err != nil {
		return next
	}
	if needed {
		return time.Time{} // the order's end wakes the debt
	}
	err = b.dns.write(ctx, s, d.Proof, dns01.Provider.Remove)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return b.deferDebt(ctx, s, name, d, err)
	}
	if err := debts.Delete(ctx, s, name); err != nil {
		return next
	}
	return b.buryProvider(ctx, s, d.Provider, next)
}

// stillNeeded tells whether an order that is not final uses the record.
func stillNeeded(ctx context.Context, s logical.Storage, d *debt) (bool, error) {
	for _, id := range d.Orders {
		o, err := orders.Get(ctx, s, orderPath(id))
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil || !o.Final() {
			return true, err
		}
	}
	return false, nil
}

func (b *backend) deferDebt(ctx context.Context, s logical.Storage, name string, d *debt, cause error) time.Time {
	wait := longestCollection
	if d.Tries < 10 {
		wait = min(firstCollection<<d.Tries, longestCollection)
	}
	d.Tries, d.LastError = d.Tries+1, cause.Error()
	b.Logger().Warn("a TXT record cannot be removed; trying again", "record", d.Name, "provider", d.Provider, "in", wait, "error", cause)
	if err := debts.Put(ctx, s, name, d); err != nil {
		b.Logger().Warn("a debt cannot be stored", "error", err)
	}
	return b.now().Add(wait)
}

// buryProvider deletes a provider that was kept for its last records only.
func (b *backend) buryProvider(ctx context.Context, s logical.Storage, label string, retry time.Time) time.Time {
	e, err := b.dns.entry(ctx, s, label)
	if err != nil || !e.Common().Deleted {
		return time.Time{}
	}
	owed, err := owes(ctx, s, label)
	if err != nil || owed {
		return time.Time{}
	}
	defer b.dns.forget()
	if err := dnsprovider.Find(e.Common().Type).Delete(ctx, s, e.Common().Name); err != nil {
		return retry
	}
	return time.Time{}
}

// owes tells whether records written by a provider are still to be removed.
func owes(ctx context.Context, s logical.Storage, label string) (bool, error) {
	names, err := debts.List(ctx, s, "")
	if err != nil {
		return false, err
	}
	for _, name := range names {
		d, err := debts.Get(ctx, s, name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil || d.Provider == label {
			return true, err
		}
	}
	return false, nil
}
