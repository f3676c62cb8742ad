package pkiexternalca

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// charge is a certificate that is taken care of: where its role stands with its
// identifiers, the order that it was issued to, and the role.
type charge struct {
	path     string
	standing *standing
	order    *order.Order
	role     *role
}

// chargeOf reads what there is to take care of; nil when there is nothing: no
// certificate that Vault made the key of, one that was revoked, or no role any
// more.
func (b *backend) chargeOf(ctx context.Context, s logical.Storage, path string) (*charge, error) {
	at, err := readStanding(ctx, s, path)
	if err != nil || at.Care == nil || at.Order == "" {
		return nil, absent(err)
	}
	o, err := orders.Get(ctx, s, orderPath(at.Order))
	if err != nil || !servable(o) {
		return nil, absent(err)
	}
	r, err := roles.Get(ctx, s, o.Role)
	if err != nil {
		return nil, absent(err)
	}
	return &charge{path: path, standing: at, order: o, role: r}, nil
}

// lane is where the charge waits for its CA.
func (c *charge) lane() engine.Lane {
	return engine.Lane{Line: accountLine + c.order.Account, Share: c.order.Role}
}

// absent drops the error about a record that is not there, or is no use.
func absent(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnreadable) {
		return nil
	}
	return err
}

// tend does what is due for the certificate of a standing, and returns when to
// come back: it asks the CA when to renew, and makes the order that renews. That
// order goes its way like any other; its end brings the standing back here. Only
// in the lane of its account does a standing wait for the CA.
func (b *backend) tend(ctx context.Context, s logical.Storage, path string, lane *engine.Lane) (next time.Time) {
	next = b.now().Add(b.storagePause) // after a panic
	defer b.survive("a renewal", order.ID(path))
	for ctx.Err() == nil {
		c, err := b.chargeOf(ctx, s, path)
		switch {
		case err != nil:
			b.Logger().Warn("what is to be renewed cannot be read; trying again", "error", err)
			return b.now().Add(b.storagePause)
		case c == nil:
			return time.Time{}
		}
		next, err := b.attend(ctx, s, c, lane)
		if err != nil && ctx.Err() == nil {
			b.Logger().Warn("a certificate cannot be taken care of now; trying again", "order", c.order.ID, "error", err)
			return b.now().Add(b.storagePause)
		}
		if next.IsZero() || next.After(b.now()) || *lane != c.lane() {
			*lane = c.lane()
			return next
		}
	}
	return time.Time{}
}

// attend does what is due for a charge, or tells when something is. On its first
// visit in a run, in another lane than its own, it only tells: what should have
// been done while nobody was at work is put off by a time of its own.
func (b *backend) attend(ctx context.Context, s logical.Storage, c *charge, lane *engine.Lane) (time.Time, error) {
	act, due, err := b.nextFor(ctx, s, c)
	if err != nil || act == nil || due.After(b.now()) {
		return due, err
	}
	if *lane != c.lane() {
		return b.now().Add(c.standing.Care.Catchup(c.role.renewal(), b.now(), b.jitter())), nil
	}
	return due, act(ctx, s, c)
}

// duty is something that is done for a charge. Its outcome is in storage
// afterwards; the error is of storage alone.
type duty func(context.Context, logical.Storage, *charge) error

// nextFor tells what is to be done for a charge next, and when; nil when nothing
// is, until somebody wakes it.
func (b *backend) nextFor(ctx context.Context, s logical.Storage, c *charge) (duty, time.Time, error) {
	now, plan := b.now(), &c.standing.Care.Plan
	if plan.Left(now) <= 0 && !c.role.AutoRenew || c.letGo(now) {
		return nil, time.Time{}, nil
	}
	if busy, err := isUnderWay(ctx, s, c.standing.Live); err != nil || busy {
		return nil, time.Time{}, err // its end wakes this
	}
	act, due := duty(nil), time.Time{}
	if c.role.AutoRenew {
		act, due = b.renew, plan.Next(c.role.renewal())
	}
	if ask := plan.Advice.Ask; c.standing.Care.CertID != "" && plan.Left(now) > 0 && (act == nil || ask.Before(due)) {
		act, due = b.askCA, ask
	}
	return act, due, nil
}

// letGo tells that nobody has wanted the certificate for so long that it is
// forgotten, until somebody does.
func (c *charge) letGo(now time.Time) bool {
	plan := &c.standing.Care.Plan
	return c.role.renewal().LetGo(plan.Fetched, plan.Life, now)
}

// isUnderWay tells whether an order exists and is not final.
func isUnderWay(ctx context.Context, s logical.Storage, id order.ID) (bool, error) {
	if id == "" {
		return false, nil
	}
	o, err := orders.Get(ctx, s, orderPath(id))
	if err != nil {
		return false, absent(err)
	}
	return !o.Final(), nil
}

// askCA asks when the CA would have a charge renewed (RFC 9773). One that does
// not offer such information is asked again, later: it may one day.
func (b *backend) askCA(ctx context.Context, s logical.Storage, c *charge) error {
	ca, err := b.clientOf(ctx, s, c.order.Account)
	if err != nil {
		return b.unheard(ctx, s, c, err)
	}
	ctx, cancel := patiently(ctx)
	defer cancel()
	info, err := ca.RenewalInfo(ctx, c.standing.Care.CertID)
	if err != nil {
		return b.unheard(ctx, s, c, err)
	}
	window := renewalWindow(info)
	return b.changeCare(context.WithoutCancel(ctx), s, c, func(at *care) {
		at.Advice.Heard(window, info.ExplanationURL, info.RetryAfter, at.Life, b.now(), b.jitter())
	})
}

// unheard notes that a CA gave no answer.
func (b *backend) unheard(ctx context.Context, s logical.Storage, c *charge, why error) error {
	b.Logger().Debug("the CA gave no renewal information", "order", c.order.ID, "reason", why)
	return b.changeCare(context.WithoutCancel(ctx), s, c, func(at *care) { at.Advice.Unheard(b.now()) })
}

// changeCare changes what is remembered of a charge, unless another certificate
// has taken its place.
func (b *backend) changeCare(ctx context.Context, s logical.Storage, c *charge, change func(*care)) error {
	return b.changeStanding(ctx, s, c.path, func(at *standing) error {
		if at.Care == nil || at.Order != c.order.ID {
			return errUnchanged
		}
		change(at.Care)
		return nil
	})
}
