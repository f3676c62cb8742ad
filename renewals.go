package pkiexternalca

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
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

// tend does what is due for the certificate of a standing, and returns when to
// come back: it asks the CA when to renew, and makes the order that renews. That
// order goes its way like any other; its end brings the standing back here. Only
// in the lane of its account does a standing wait for the CA.
func (b *backend) tend(ctx context.Context, s logical.Storage, path string, lane *engine.Lane) (next time.Time) {
	next = b.now().Add(b.storagePause) // after a panic
	defer b.survive("a renewal", order.ID(path))
	for in := *lane; ctx.Err() == nil; {
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
		if next.IsZero() || next.After(b.now()) || *lane != in {
			return next
		}
	}
	return time.Time{}
}

// attend does what is due for a charge, or tells when something is and moves it to
// the lane for that. On its first visit in a run it only tells: what should have
// been done while nobody was at work is put off by a time of its own.
func (b *backend) attend(ctx context.Context, s logical.Storage, c *charge, lane *engine.Lane) (time.Time, error) {
	act, due, in, err := b.nextFor(ctx, s, c)
	now, first, waited := b.now(), lane.Line == firstLook, *lane
	*lane = in
	switch {
	case err != nil || act == nil:
		return time.Time{}, err
	case due.After(now):
		*lane = c.lane(renewLine) // whoever wakes it meanwhile need not wait for the CA
		return due, nil
	case first:
		*lane = c.lane(renewLine)
		return now.Add(c.standing.Care.Catchup(due, now, b.jitter())), nil
	case in != waited:
		return now, nil
	}
	return due, act(ctx, s, c)
}

// lane is where the charge waits in a line, with others of its role.
func (c *charge) lane(line string) engine.Lane { return engine.Lane{Line: line, Share: c.order.Role} }

// duty is something that is done for a charge. Its outcome is in storage
// afterwards; the error is of storage alone.
type duty func(context.Context, logical.Storage, *charge) error

// nextFor tells what is to be done for a charge next, when, and in which lane; nil
// when nothing is, until somebody wakes it.
func (b *backend) nextFor(ctx context.Context, s logical.Storage, c *charge) (act duty, due time.Time, in engine.Lane, err error) {
	now, plan := b.now(), &c.standing.Care.Plan
	in = c.lane(renewLine)
	if plan.Left(now) <= 0 && !c.role.AutoRenew || c.letGo(now) {
		return nil, time.Time{}, in, nil
	}
	if busy, err := isUnderWay(ctx, s, c.standing.Live); err != nil || busy {
		return nil, time.Time{}, in, err // its end wakes this
	}
	if c.role.AutoRenew {
		act, due = b.renew, plan.Next(c.role.renewal(), now)
	}
	if c.standing.Care.CertID == "" || plan.Left(now) <= 0 {
		return act, due, in, nil
	}
	if ask := b.askAt(c); act == nil || ask.Before(due) {
		act, due, in = b.askCA, ask, c.lane(accountLine+c.order.Account)
	}
	return act, due, in, nil
}

// askAt is when to ask the CA for its advice about a charge.
func (b *backend) askAt(c *charge) time.Time {
	now, advice := b.now(), &c.standing.Care.Advice
	ask := advice.Due(now)
	if over := b.silences.over(c.order.Account, now); over.After(ask) {
		return over.Add(time.Duration(c.standing.Care.Spread * float64(spell)))
	}
	return ask
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
