package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// restrained is a CA that is not asked for an order while orders are held back:
// what is placed already and not known to the CA yet waits like what comes now. Of
// a thousand orders that wait one asks when the hold is over, and the others only
// when that one was taken.
type restrained struct {
	order.CA
	b *backend
	s logical.Storage
	o *order.Order
}

var _ order.CA = restrained{}

// NewOrder implements order.CA.
func (r restrained) NewOrder(ctx context.Context, wish acme.NewOrder) (acme.Order, error) {
	account, set, err := holds(ctx, r.s, r.o.Account, r.o.Values())
	if err != nil {
		return acme.Order{}, err
	}
	now := r.b.now()
	id := string(r.o.ID)
	switch {
	case account.Binds(id, now):
		return acme.Order{}, order.Limited(heldUntil(account), account.Until.Sub(now))
	case set.Binds(id, now) && set.Elsewhere():
		return acme.Order{}, order.Limited(heldUntil(&set.Hold), set.Until.Sub(now))
	case set.Binds(id, now):
		return acme.Order{}, order.Postpone(heldUntil(&set.Hold), set.Until.Sub(now))
	}
	if account.Count == 0 {
		return r.CA.NewOrder(ctx, wish)
	}
	return r.tryAgain(ctx, wish)
}

func heldUntil(h *limit.Hold) error {
	return fmt.Errorf("held back until %s: %s", field.FormatTime(h.Until), h.Why)
}

// tryAgain asks a CA that has refused this account's last order.
func (r restrained) tryAgain(ctx context.Context, wish acme.NewOrder) (acme.Order, error) {
	release, err := r.b.reserve("first order of " + r.o.Account)
	if err != nil {
		return acme.Order{}, order.Postpone(errors.New("another order asks first whether the CA takes any again"), time.Second)
	}
	defer release()
	at, err := r.CA.NewOrder(ctx, wish)
	if err == nil {
		r.b.endHold(ctx, r.s, r.o.Account)
	}
	return at, err
}

// endHold ends the hold on an account of which the CA has taken an order. Should
// that fail the hold is over all the same, and the next order tries again.
func (b *backend) endHold(ctx context.Context, s logical.Storage, account string) {
	b.limitsLock.Lock()
	defer b.limitsLock.Unlock()
	hold, err := readHold(ctx, s, accountHolds, account)
	if err == nil && !hold.InForce(b.now()) {
		err = accountHolds.Delete(ctx, s, account)
	}
	if err != nil {
		b.Logger().Warn("the end of an account's limit cannot be stored", "account", account, "error", err)
	}
}
