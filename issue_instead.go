package pkiexternalca

import (
	"context"
	"errors"
	"net/http"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// makeDo gives the certificate that is there, with a warning, where no other could
// be had: it is valid still, and Vault renews it, so nobody has to go without. Who
// demands more of it is told why there is no other.
func (b *backend) makeDo(ctx context.Context, s logical.Storage, draft *order.Order, t terms, why error) (*logical.Response, error) {
	refusal, refused := errors.AsType[*statusError](why)
	if !t.AutoRenew || t.demand.Said() || !refused || refusal.status == http.StatusForbidden {
		return nil, why
	}
	path, err := currentPath(draft)
	if err != nil {
		return nil, err
	}
	at, err := readStanding(ctx, s, path)
	if err != nil {
		return nil, err
	}
	h, err := b.inHand(ctx, s, path, at, draft, t)
	if err != nil {
		return nil, err
	}
	if h == nil || lifeOf(h.order, h.Certificate).Left(b.now()) <= 0 {
		return nil, why
	}
	resp, err := b.handOut(ctx, s, h)
	if err != nil {
		return nil, err
	}
	resp.AddWarning("there is no newer certificate yet: " + why.Error())
	return resp, nil
}
