package pkiexternalca

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/retention"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// tidyOrder deletes an order if it can go. Otherwise it gives the earliest time
// at which it can; zero means never by this policy. What cannot be read is kept:
// another release may read it.
func (b *backend) tidyOrder(ctx context.Context, s logical.Storage, policy retention.Policy, hour, name string) (at time.Time, gone bool, err error) {
	lock := locksutil.LockForKey(b.orderLocks, name)
	lock.Lock()
	defer lock.Unlock()
	now := b.now()
	o, err := orders.Get(ctx, store.Beneath(s), hour+"/"+name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return time.Time{}, true, nil
	case errors.Is(err, store.ErrUnreadable), err == nil && orderPath(o.ID) != hour+"/"+name:
		return policy.Earliest(now), false, nil
	case err != nil:
		return time.Time{}, false, err
	case !o.Final():
		return policy.Earliest(now), false, nil
	}
	if at = policy.When(subject(o)); at.IsZero() || at.After(now) {
		return at, false, nil
	}
	needed, err := owes(ctx, s, o)
	if err == nil && !needed {
		needed, err = b.isRenewed(ctx, s, o)
	}
	if err != nil || needed {
		return now.Add(tidyOwed), false, err
	}
	return time.Time{}, true, b.deleteOrder(ctx, s, o)
}

// subject is an order as its retention sees it.
func subject(o *order.Order) retention.Subject {
	return retention.Subject{
		Active:    !o.Final(),
		Certified: o.State == order.StateCompleted || o.State == order.StateRevoked,
		Ended:     o.Updated,
		NotAfter:  o.NotAfter,
	}
}

// owes tells whether a TXT record of an order is still to be removed. The order
// says whose it was.
func owes(ctx context.Context, s logical.Storage, o *order.Order) (bool, error) {
	for _, proof := range o.Proofs() {
		_, err := debts.Get(ctx, s, debtPath(proof))
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err == nil, errors.Is(err, store.ErrUnreadable):
			return true, nil
		default:
			return false, err
		}
	}
	return false, nil
}

// isRenewed tells whether Vault is still trying to renew the certificate of an
// order, however long ago it expired: the plan for that, and the key that may be
// certified again, go with the order.
func (b *backend) isRenewed(ctx context.Context, s logical.Storage, o *order.Order) (bool, error) {
	c, err := chargeOfOrder(ctx, s, o)
	if err != nil || c.standing.Care == nil || !servable(o) {
		return false, err
	}
	if c.role.AutoRenew && !c.letGo(b.now()) {
		return true, nil
	}
	return isUnderWay(ctx, s, c.standing.Live)
}

// deleteOrder deletes an order with everything that belongs to it. What leads to
// it goes first, and the certificate before its key, so that nothing half gone is
// served; the order itself goes last, because it is what leads to the rest: after
// a crash the next look at its hour finishes the work. The caller has its lock.
func (b *backend) deleteOrder(ctx context.Context, s logical.Storage, o *order.Order) error {
	if err := b.forgetCurrent(ctx, s, o); err != nil {
		return err
	}
	if err := forgetSerial(ctx, s, o); err != nil {
		return err
	}
	path := orderPath(o.ID)
	if err := certificates.Delete(ctx, s, path); err != nil {
		return err
	}
	if err := orderKeys.Delete(ctx, s, path); err != nil {
		return err
	}
	return orders.Delete(ctx, s, path)
}

// forgetCurrent removes what leads from a wish to an order. What leads to a later
// one stays.
func (b *backend) forgetCurrent(ctx context.Context, s logical.Storage, o *order.Order) error {
	path, err := currentPath(o)
	if err != nil {
		return nil // nothing could ever be kept for a CSR that cannot be read
	}
	lock := locksutil.LockForKey(b.standingLocks, path)
	lock.Lock()
	defer lock.Unlock()
	at, err := current.Get(ctx, s, path)
	if err != nil {
		return absent(err)
	}
	before := *at
	if at.Order == o.ID {
		at.Order, at.Care = "", nil
	}
	begun, err := exists(ctx, s, at.Live)
	if err != nil {
		return err
	}
	if at.Live == o.ID || !begun {
		at.Live = ""
	}
	switch *at {
	case standing{}:
		return current.Delete(ctx, s, path)
	case before:
		return nil
	}
	return current.Put(ctx, s, path, at)
}

// exists tells whether an order is stored, readable or not.
func exists(ctx context.Context, s logical.Storage, id order.ID) (bool, error) {
	if id == "" {
		return false, nil
	}
	_, err := orders.Get(ctx, s, orderPath(id))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return true, absent(err)
}

// forgetSerial removes what leads from a serial number to an order. The number
// is with the certificate: a crash may have kept it from being noted in the order.
// Two CAs may use the same number, and then it leads to the later order.
func forgetSerial(ctx context.Context, s logical.Storage, o *order.Order) error {
	cert, err := certificates.Get(ctx, s, orderPath(o.ID))
	if err != nil {
		return absent(err)
	}
	path := serialPath(cert.Serial)
	ref, err := serials.Get(ctx, s, path)
	if err != nil {
		return absent(err)
	}
	if ref.Order != o.ID {
		return nil
	}
	return serials.Delete(ctx, s, path)
}
