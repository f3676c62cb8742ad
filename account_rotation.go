package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// rotators is how many account keys are changed at once. That is rarely due.
const rotators = 8

// newRotation makes what changes the keys of accounts when they are old enough.
func (b *backend) newRotation(s logical.Storage) *engine.Engine {
	return engine.New(engine.Config{
		Workers: rotators, Most: func(string) int { return rotators }, Now: b.now,
		Work: func(ctx context.Context, name string, in engine.Lane) (time.Time, engine.Lane) {
			return b.tendKey(ctx, s, name), in
		},
	})
}

// loadRotations has every account looked at once; when its key is due is in its
// record. However often storage fails, it is tried again.
func (b *backend) loadRotations(ctx context.Context, s logical.Storage, e *engine.Engine) {
	b.untilDone(ctx, "loading the accounts whose keys are to be rotated", func() error {
		names, err := accounts.List(ctx, s, "")
		for _, name := range names {
			e.Wake(name)
		}
		return err
	})
}

// wakeRotation has an account that was written looked at when its key is due.
func (b *backend) wakeRotation(a *account.Account) {
	if e := b.running().rotations; e != nil && !a.NextRotation().IsZero() {
		e.Schedule(a.Name, engine.Lane{}, a.NextRotation())
	}
}

// tendKey changes the key of an account if it is due, and returns when to come back.
func (b *backend) tendKey(ctx context.Context, s logical.Storage, name string) (next time.Time) {
	next = b.now().Add(b.storagePause) // after a panic
	defer b.survive("the rotation of an account key", order.ID(name))
	next, err := b.rotateByAge(ctx, s, name)
	switch {
	case ctx.Err() != nil, errors.Is(err, store.ErrNotFound):
		return time.Time{}
	case errors.Is(err, errBusy):
		return b.now().Add(b.storagePause)
	case errors.Is(err, store.ErrUnreadable):
		b.Logger().Error("an account cannot be read and keeps its key", "account", name, "error", err)
		return time.Time{}
	case err != nil:
		b.Logger().Warn("the key of an account cannot be looked after now; trying again", "account", name, "error", err)
		return b.now().Add(b.storagePause)
	}
	return next
}

// rotateByAge changes the key of an account if it is due, or tells when it is. What
// the CA says, or what is in the way, is noted in the account; the error is of
// storage, or of another operation on the account.
func (b *backend) rotateByAge(ctx context.Context, s logical.Storage, name string) (next time.Time, err error) {
	a, err := accounts.Get(ctx, s, name)
	if err != nil {
		return time.Time{}, err
	}
	if !b.isOld(a) {
		return a.NextRotation(), nil
	}
	// Looked for before the account is reserved, because it may take long.
	awaits, found, err := b.presented(ctx, s, a)
	if err != nil {
		return time.Time{}, err
	}
	release, err := b.reserve(accounts.Prefix + name)
	if err != nil {
		return time.Time{}, err
	}
	defer release()
	if found {
		why := fmt.Errorf("order %s may have challenges in place, which another key would make worthless", awaits)
		return b.postponeRotation(ctx, s, name, awaits, why)
	}
	if err := b.replaceKey(ctx, s, name); err != nil {
		return b.postponeRotation(ctx, s, name, "", err)
	}
	if a, err = accounts.Get(ctx, s, name); err != nil {
		return time.Time{}, err
	}
	return a.NextRotation(), nil
}

// isOld tells whether the key of an account is due to be changed.
func (b *backend) isOld(a *account.Account) bool {
	due := a.NextRotation()
	return !due.IsZero() && !due.After(b.now())
}

// presented finds an order that may have challenges in place with an account: the
// one that was in the way last, if it still is, or else any.
func (b *backend) presented(ctx context.Context, s logical.Storage, a *account.Account) (order.ID, bool, error) {
	inTheWay := func(o *order.Order) bool { return o.Account == a.Name && o.Presents(b.now()) }
	if id := order.ID(a.Rotation.Awaits); id != "" {
		o, err := orders.Get(ctx, s, orderPath(id))
		if absent(err) != nil || err == nil && inTheWay(o) {
			return id, err == nil, err
		}
	}
	return findActive(ctx, s, inTheWay)
}

// findActive finds an active order of which something holds.
func findActive(ctx context.Context, s logical.Storage, holds func(*order.Order) bool) (order.ID, bool, error) {
	marks, err := activeMarks(ctx, s)
	if err != nil {
		return "", false, err
	}
	for _, mark := range marks {
		o, err := orders.Get(ctx, s, orderPath(mark.id))
		switch {
		case absent(err) != nil:
			return "", false, err
		case err == nil && !o.Final() && holds(o):
			return o.ID, true, nil
		}
	}
	return "", false, nil
}

// replaceKey gives an account that is reserved another key of the same kind, unless
// it turns out that this has happened already: that of an earlier try whose answer
// was lost.
func (b *backend) replaceKey(ctx context.Context, s logical.Storage, name string) error {
	a, err := accounts.Get(ctx, s, name)
	if err != nil {
		return err
	}
	ca, err := b.keyHolder(a)
	if err != nil {
		return err
	}
	defer ca.Close()
	if err := account.Reconcile(ctx, a, ca, b.saver(ctx, s), b.now()); err != nil || !b.isOld(a) {
		return err
	}
	if err := account.Rotate(ctx, a, a.ActiveKind(), ca, b.saver(ctx, s), b.now()); err != nil {
		return err
	}
	b.Logger().Info("an account has another key", "account", name, "version", a.ActiveVersion(), "because", "rotation_period")
	return nil
}

// postponeRotation notes why an account that is reserved keeps its key. The record
// is read anew: a try that failed has left it in storage as it has to be, perhaps
// with the new key.
func (b *backend) postponeRotation(ctx context.Context, s logical.Storage, name string, awaits order.ID, why error) (next time.Time, err error) {
	if ctx.Err() != nil {
		return time.Time{}, ctx.Err() // the CA was not waited for
	}
	a, err := accounts.Get(ctx, s, name)
	if err != nil {
		return time.Time{}, err
	}
	if !b.isOld(a) {
		return a.NextRotation(), nil
	}
	a.Postpone(why.Error(), string(awaits), acme.RetryAfter(why), b.now(), b.jitter())
	return a.NextRotation(), b.saver(ctx, s)(a)
}
