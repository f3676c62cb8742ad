package pkiexternalca

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// errRace says that a record was changed by somebody else since it was read.
var errRace = errors.New("the order was changed meanwhile")

// saveOrder stores a changed order unless somebody else has changed it since
// it was read. Callers hold the order's lock.
func (b *backend) saveOrder(ctx context.Context, s logical.Storage, o *order.Order) error {
	stored, err := orders.Get(ctx, s, orderPath(o.ID))
	if err != nil {
		return err
	}
	if stored.Rev != o.Rev {
		return errRace
	}
	if err := b.heed(ctx, s, o); err != nil {
		return err
	}
	if o.Final() && !stored.Final() {
		if err := b.conclude(ctx, s, o); err != nil {
			return err
		}
	}
	o.Rev++
	if err := orders.Put(ctx, s, orderPath(o.ID), o); err != nil {
		o.Rev--
		return err
	}
	b.watches.Notify(string(o.ID))
	if !o.Final() || stored.Final() {
		return nil
	}
	return active.Delete(ctx, s, activePath(o))
}

// conclude does what the end of an order leads to in other records. It comes
// before the record says that the order has ended, so that a crash repeats it:
// each of these may be done again for the same order.
func (b *backend) conclude(ctx context.Context, s logical.Storage, o *order.Order) error {
	for _, consequence := range []func(context.Context, logical.Storage, *order.Order) error{
		b.forgive, b.countFailure,
	} {
		if err := consequence(ctx, s, o); err != nil {
			return err
		}
	}
	return nil
}
