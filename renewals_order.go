package pkiexternalca

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// renew makes the order that renews a charge. What the role has against it is a
// failure of the renewal, which is tried again later; what is held back for a CA's
// sake is tried when it no longer is.
func (b *backend) renew(ctx context.Context, s logical.Storage, c *charge) error {
	_, _, err := b.renewalOrder(ctx, s, c, c.order.Entity)
	if !refusedNow(err) {
		return err
	}
	return b.changeCare(ctx, s, c, func(at *care) {
		if held, ok := errors.AsType[*holdError](err); ok {
			at.Held(held.Error(), held.until, b.now(), b.jitter())
			return
		}
		at.Plan.Failed(err.Error(), b.now(), b.jitter())
	})
}

// refusedNow tells an answer to whoever orders from a failure of storage.
func refusedNow(err error) bool {
	_, refused := errors.AsType[*statusError](err)
	return refused || errors.Is(err, store.ErrNotFound)
}

// renewalOrder makes the order that renews a charge, or gives the one that is
// under way; nil when the certificate has been replaced meanwhile. It is for an
// entity that must be allowed to: whoever ordered the certificate, or whoever asks
// for its renewal.
func (b *backend) renewalOrder(ctx context.Context, s logical.Storage, c *charge, entity string) (o *order.Order, joined bool, err error) {
	w := wish{role: c.role, entity: entity, identifiers: c.order.Requested()}
	draft, _, err := b.draft(ctx, s, w)
	if err != nil {
		return nil, false, fmt.Errorf("renewing the certificate of order %s: %w", c.order.ID, err)
	}
	draft.Renews = c.order.ID
	draft.SetNeed(c.standing.Care.Left(b.now()) / 2)
	if c.role.ReuseKey && draft.KeyKind == c.order.KeyKind {
		draft.KeyFrom = c.order.ID
	}
	// Only the CA, and the account, that issued a certificate may be told that it
	// is replaced (RFC 9773 §5), and only one that knows of such things.
	if draft.Account == c.order.Account && c.standing.Care.Advice.Window.Valid() {
		draft.Replaces = c.standing.Care.CertID
	}
	return b.join(ctx, s, draft, joining{unless: func(at *standing) (bool, error) { return at.Order != c.order.ID, nil }})
}

// renewedBy notes in the order that was renewed which one has done it. It may be
// done again.
func (b *backend) renewedBy(ctx context.Context, s logical.Storage, o *order.Order) error {
	if o.Renews == "" {
		return nil
	}
	return absent(b.changeOrder(ctx, s, o.Renews, func(old *order.Order) error {
		if old.RenewedBy == o.ID {
			return errUnchanged
		}
		old.RenewedBy = o.ID
		return nil
	}))
}

// countFailure notes, once, that the order which was to renew a certificate has
// ended without one. It is a consequence of an order's end.
func (b *backend) countFailure(ctx context.Context, s logical.Storage, o *order.Order) error {
	if o.State == order.StateCompleted || o.State == order.StateRevoked || o.Renews == "" {
		return nil
	}
	path, err := currentPath(o)
	if err != nil {
		return err
	}
	return b.changeStanding(ctx, s, path, func(at *standing) error {
		if at.Care == nil || at.Order != o.Renews || at.Care.Failed == o.ID {
			return errUnchanged
		}
		at.Care.Failed = o.ID
		at.Care.Plan.Failed(fmt.Sprintf("order %s: %s", o.ID, o.LastError), b.now(), b.jitter())
		return nil
	})
}
