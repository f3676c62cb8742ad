package pkiexternalca

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// standing is where a role stands with one set of identifiers: what it has for
// them, and what is being done.
type standing struct {
	// Order is that whose certificate was issued last; "" when none was yet.
	Order order.ID `json:"order,omitempty"`
	// Live is the order that was begun last and has no certificate yet. It may
	// have ended otherwise, and when a crash came in between it was never stored:
	// only an order that exists and is not final counts.
	Live order.ID `json:"live,omitempty"`
	// Care is about the renewal of Order's certificate; nil when nobody takes
	// care of it: it was issued for a caller's own key.
	Care *care `json:"care,omitempty"`
}

// currentPath is where the standing for an order's role and identifiers lies,
// whatever their order. A certificate for a caller's own key is of use to nobody
// else, so with a CSR its key is a part of the path.
func currentPath(o *order.Order) (string, error) {
	text := strings.Join(slices.Sorted(slices.Values(o.Values())), "\n")
	if o.RequestCSR != "" {
		key, err := order.KeyID(o.RequestCSR)
		if err != nil {
			return "", err
		}
		text += "\nfor the key " + key // no identifier holds a space
	}
	sum := sha256.Sum256([]byte(text))
	return o.Role + "/" + hex.EncodeToString(sum[:]), nil
}

func readStanding(ctx context.Context, s logical.Storage, path string) (*standing, error) {
	at, err := current.Get(ctx, s, path)
	if errors.Is(err, store.ErrNotFound) {
		return &standing{}, nil
	}
	return at, err
}

// hasCertificate notes that the certificate of an order is the one issued last.
func (b *backend) hasCertificate(ctx context.Context, s logical.Storage, o *order.Order, c *order.Certificate) error {
	path, err := currentPath(o)
	if err != nil {
		return err
	}
	return b.changeStanding(ctx, s, path, func(at *standing) error {
		if at.Live == o.ID {
			at.Live = ""
		}
		if o.RequestCSR == "" && at.Order != o.ID {
			at.Care = b.replaced(at.Care, o, c)
		}
		at.Order = o.ID
		return nil
	})
}

// joining says when a draft becomes an order.
type joining struct {
	// fresh: even if one for the same wish is under way.
	fresh bool
	// unless something makes all orders needless: a certificate that came
	// meanwhile. It may be nil. It is called with the lock of the standing, which it
	// must not take.
	unless func(*standing) (done bool, err error)
}

// join gives the order that is under way for the same wish as a draft, or else
// stores the draft, and tells which; it gives nil when no order is needed. The
// order is announced before it is stored, so that after a crash at any point
// there is at most one.
func (b *backend) join(ctx context.Context, s logical.Storage, draft *order.Order, how joining) (o *order.Order, joined bool, err error) {
	path, err := currentPath(draft)
	if err != nil {
		return nil, false, err
	}
	b.rolesLock.RLock() // before the standing's: see backend
	defer b.rolesLock.RUnlock()
	lock := locksutil.LockForKey(b.standingLocks, path)
	lock.Lock()
	defer lock.Unlock()
	at, err := readStanding(ctx, s, path)
	if err != nil {
		return nil, false, err
	}
	if how.unless != nil {
		if done, err := how.unless(at); done || err != nil {
			return nil, false, err
		}
	}
	if !how.fresh {
		if live, err := underWay(ctx, s, at.Live, draft); err != nil || live != nil {
			return live, live != nil, err
		}
	}
	if err := b.offers(ctx, s, draft); err != nil {
		return nil, false, err
	}
	if err := b.admit(ctx, s, draft); err != nil {
		return nil, false, err
	}
	at.Live = draft.ID
	if err := current.Put(ctx, s, path, at); err != nil {
		return nil, false, err
	}
	return draft, false, b.placeOrder(ctx, s, draft)
}

// underWay gives an order that is not final and fulfils the same wish as a
// draft; nil when there is none.
func underWay(ctx context.Context, s logical.Storage, id order.ID, draft *order.Order) (*order.Order, error) {
	if id == "" {
		return nil, nil
	}
	o, err := orders.Get(ctx, s, orderPath(id))
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrUnreadable):
		return nil, nil // nothing will become of it
	case err != nil:
		return nil, err
	case o.Final() || !alike(o, draft):
		return nil, nil
	}
	return o, nil
}

// alike tells whether two orders with one standing lead to certificates of which
// each is as good as the other.
func alike(a, b *order.Order) bool {
	return a.FirstAccount() == b.FirstAccount() && a.Profile == b.Profile && a.KeyKind == b.KeyKind && a.PreferredChain == b.PreferredChain
}
