package pkiexternalca

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

// care is what a standing remembers about the renewal of its certificate.
type care struct {
	renewal.Plan
	// CertID names the certificate to its CA (RFC 9773 §4.1), "" when it has no
	// such name.
	CertID string `json:"cert_id,omitempty"`
	// Failed is the latest renewal whose failure the plan counts, so that it is
	// counted once.
	Failed order.ID `json:"failed,omitempty"`
}

// replaced is the care for a certificate that takes the place of another, or of
// none.
func (b *backend) replaced(before *care, o *order.Order, c *order.Certificate) *care {
	fetched := b.now()
	if before != nil && !before.Fetched.IsZero() {
		fetched = before.Fetched
	}
	life := lifeOf(o, c)
	return &care{Plan: renewal.New(life, fetched, b.now(), b.jitter()), CertID: c.CertID}
}

// changeStanding changes the record of a standing. The change returns
// errUnchanged to leave it as it is. It must not wait for anybody.
func (b *backend) changeStanding(ctx context.Context, s logical.Storage, path string, change func(*standing) error) error {
	lock := locksutil.LockForKey(b.standingLocks, path)
	lock.Lock()
	defer lock.Unlock()
	at, err := readStanding(ctx, s, path)
	if err != nil {
		return err
	}
	switch err := change(at); {
	case errors.Is(err, errUnchanged):
		return nil
	case err != nil:
		return err
	}
	return current.Put(ctx, s, path, at)
}

// fetchedShare is how often in a certificate's life it is noted that somebody
// has fetched it: every read would be a write otherwise.
const fetchedShare = 50

// fetched notes that somebody wants a certificate. A node that must not write
// gives the error that has Vault send the request to the one which may: what only
// such nodes are asked for would be taken for forgotten otherwise. A storage that
// fails costs nothing but the note, which another fetch will take.
func (b *backend) fetched(ctx context.Context, s logical.Storage, c *charge) error {
	if at := c.standing.Care; at == nil || b.now().Sub(at.Fetched) < at.Length()/fetchedShare {
		return nil
	}
	if c.role.AutoRenew && b.worksElsewhere() {
		return logical.ErrReadOnly
	}
	err := b.changeStanding(ctx, s, c.path, func(at *standing) error {
		if at.Care == nil {
			return errUnchanged
		}
		at.Care.Fetched = b.now()
		return nil
	})
	if err != nil {
		b.Logger().Debug("it was not noted that a certificate was fetched", "order", c.order.ID, "error", err)
		return nil
	}
	b.wakeRenewal(c.path)
	return nil
}

// lifeOf is the life of a certificate from when it was ordered: some CAs date it
// back by an hour, which is half of the life of one that lives for two.
func lifeOf(o *order.Order, c *order.Certificate) renewal.Life {
	l := renewal.Life{NotBefore: c.NotBefore, NotAfter: c.NotAfter}
	if o.Created.After(l.NotBefore) && o.Created.Before(l.NotAfter) {
		l.NotBefore = o.Created
	}
	return l
}
