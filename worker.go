package pkiexternalca

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/abreast"
	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// work takes an order as far as it goes now in a lane, and returns when to come
// back; the lane becomes the one to come back to. It goes on with the order that it
// has just stored, or had put down while it was passing; that nobody else has
// changed it shows when it is stored.
func (b *backend) work(ctx context.Context, s logical.Storage, id order.ID, lane *engine.Lane) (next time.Time) {
	next = b.now().Add(b.storagePause) // after a panic
	defer b.survive("an order", id)
	for o := b.passing.take(id); ctx.Err() == nil; {
		if o == nil {
			found, again := b.pickUp(ctx, s, id)
			if found == nil {
				return again
			}
			o = found
		}
		in, now := *lane, b.now()
		*lane = laneOf(o)
		switch due := o.DueAt(now); {
		case due.After(now):
			b.passing.keep(o, now)
			return due
		case *lane != in:
			b.passing.keep(o, now)
			return now
		}
		switch err := b.step(ctx, s, o); {
		case err == nil && o.Final():
			b.retire(ctx, s, o)
			return time.Time{}
		case errors.Is(err, errRace):
			o = nil
		case err != nil && ctx.Err() == nil:
			b.Logger().Warn("an order cannot be stored; trying again", "order", id, "error", err)
			return b.now().Add(b.storagePause)
		}
	}
	return time.Time{}
}

// pickUp reads an order that is to be worked on; without one, it says when to try
// again.
func (b *backend) pickUp(ctx context.Context, s logical.Storage, id order.ID) (*order.Order, time.Time) {
	o, err := orders.Get(ctx, s, orderPath(id))
	switch {
	case errors.Is(err, store.ErrNotFound):
		b.leave(ctx, s, id)
		return nil, time.Time{}
	case errors.Is(err, store.ErrUnreadable):
		b.Logger().Error("an order cannot be read and is left alone", "order", id, "error", err)
		return nil, time.Time{}
	case err != nil:
		b.Logger().Warn("an order cannot be read; trying again", "order", id, "error", err)
		return nil, b.now().Add(b.storagePause)
	case !o.Final():
		return o, time.Time{}
	}
	b.retire(ctx, s, o)
	// Whoever ended it has removed the mark, unless something came between.
	if err := active.Delete(ctx, s, activePath(o)); err != nil {
		return nil, b.now().Add(b.storagePause)
	}
	return nil, time.Time{}
}

// retire gives free what an order had while it was alive, and tells who waits for
// its end. Every order comes here: one whose end was stored by a request, or by a
// storage that said it had failed, when the worker finds it.
func (b *backend) retire(ctx context.Context, s logical.Storage, o *order.Order) {
	b.leave(ctx, s, o.ID)
	b.watches.Notify(string(o.ID))
	if path, err := currentPath(o); err == nil {
		b.wakeRenewal(path)
	}
	for _, proof := range o.Proofs() {
		b.wakeDebt(debtPath(proof))
	}
}

// authorizationsAtOnce is how many authorizations of one order are asked for at once.
const authorizationsAtOnce = 4

// step advances an order once, and stores it unless it is passing.
func (b *backend) step(ctx context.Context, s logical.Storage, o *order.Order) error {
	before := o.State
	b.relay.Follow(string(o.ID), o.Answers()) // before the CA hears of them, in this step or in a later one
	env := order.Env{
		Now: b.now, Jitter: b.jitter, Abreast: authorizationsAtOnce,
		CA: restrained{b.authorityOf(ctx, s, o.Account), b, s, o}, Safe: safe{b, s}, DNS: prover{b, s}, Claim: b.claims.claim,
		Relaying: b.relay.On,
	}
	if !order.Advance(ctx, env, o) {
		return ctx.Err()
	}
	if !o.Passing(b.now()) {
		if err := b.saveStep(ctx, s, o); err != nil {
			return err
		}
	}
	if o.State != before {
		b.Logger().Debug("an order went on", "order", o.ID, "role", o.Role, "from", before, "to", o.State, "reason", o.LastError)
	}
	return nil
}

func (b *backend) saveStep(ctx context.Context, s logical.Storage, o *order.Order) error {
	lock := locksutil.LockForKey(b.orderLocks, string(o.ID))
	lock.Lock()
	defer lock.Unlock()
	return b.saveOrder(ctx, s, o)
}

// errUnchanged is for a change that has nothing to change.
var errUnchanged = errors.New("nothing was changed")

// changeOrder applies a request's change to an order and has it worked on.
func (b *backend) changeOrder(ctx context.Context, s logical.Storage, id order.ID, change func(*order.Order) error) error {
	defer b.wake(id) // even after a failure: a storage that fails may have written
	lock := locksutil.LockForKey(b.orderLocks, string(id))
	lock.Lock()
	defer lock.Unlock()
	o, err := orders.Get(ctx, s, orderPath(id))
	if err != nil {
		return err
	}
	switch err := change(o); {
	case errors.Is(err, errUnchanged):
		return nil
	case err != nil:
		return err
	}
	b.passing.take(id) // it would lose the race
	return b.saveOrder(ctx, s, o)
}

// safe keeps keys and certificates of orders in storage.
type safe struct {
	b *backend
	logical.Storage
}

// Key implements order.Safe. The key of a certificate that was revoked is not given
// to be certified again: it may be known to others.
func (s safe) Key(ctx context.Context, id order.ID) (crypto.Signer, error) {
	o, err := orders.Get(ctx, s, orderPath(id))
	switch {
	case err == nil && (o.State == order.StateRevoked || o.KeyCompromised):
		return nil, order.ErrNoKey
	case absent(err) != nil:
		return nil, err
	}
	stored, err := orderKeys.Get(ctx, s, orderPath(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, order.ErrNoKey
	}
	if err != nil {
		return nil, err
	}
	return keys.Parse(stored.Key.Reveal())
}

// KeepKey implements order.Safe.
func (s safe) KeepKey(ctx context.Context, id order.ID, key crypto.Signer) error {
	text, err := keys.Encode(key)
	if err != nil {
		return err
	}
	return orderKeys.Put(ctx, s, orderPath(id), &storedKey{Key: secret.Text(text)})
}

// KeepCertificate implements order.Safe. The certificate comes before what
// leads to it.
func (s safe) KeepCertificate(ctx context.Context, o *order.Order, c *order.Certificate) error {
	if err := certificates.Put(ctx, s, orderPath(o.ID), c); err != nil {
		return err
	}
	leads := []func() error{
		func() error { return serials.Put(ctx, s, serialPath(c.Serial), &reference{Order: o.ID}) },
		func() error { return s.b.hasCertificate(ctx, s.Storage, o, c) },
		func() error { return s.b.renewedBy(ctx, s.Storage, o) },
	}
	return abreast.Do(len(leads), len(leads), func(i int) error { return leads[i]() })
}

// authorityOf gives an order's account at its CA. When there is none to be had
// the answer is a CA that fails every request with the reason, so that the
// order waits, or ends, by the same rules as after any other failure.
func (b *backend) authorityOf(ctx context.Context, s logical.Storage, name string) order.CA {
	c, err := b.clientOf(ctx, s, name)
	if errors.Is(err, store.ErrNotFound) {
		err = &acme.Problem{Type: acme.AccountDoesNotExist, Detail: err.Error()}
	}
	if err != nil {
		return unavailable{err}
	}
	return &guarded{client: c, changed: func(ctx context.Context) bool {
		now, err := accounts.Get(ctx, s, name)
		return err != nil || rekeyed(now, c.version)
	}}
}

// rekeyed tells that an account's key is no longer, or perhaps no longer, the
// one of a version.
func rekeyed(a *account.Account, version int) bool {
	return a.Candidate != nil || a.ActiveVersion() != version
}
