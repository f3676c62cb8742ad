package pkiexternalca

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/identifier"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// wish is what somebody wants to be certified: all that makes an order, and
// nothing of the request that it may have come with.
type wish struct {
	role *role
	// entity is the Vault entity that wishes, "" when it has none.
	entity string
	// Either names and addresses, for which Vault makes the key, or a PEM certificate request.
	identifiers []string
	csr         string
}

// wishFields describes the fields of a request that carry a wish.
func wishFields(more map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	out := named(more, "name", "Name of the role")
	out["identifiers"] = &framework.FieldSchema{Type: framework.TypeCommaStringSlice, Description: "List of identifiers for the new order"}
	out["csr"] = &framework.FieldSchema{Type: framework.TypeString, Description: "CSR containing identifiers for the new order"}
	return out
}

// wishOf reads the wish of a request.
func wishOf(ctx context.Context, req *request) (wish, error) {
	r, err := roles.Get(ctx, req.Storage, req.text("name"))
	if err != nil {
		return wish{}, err
	}
	return wish{role: r, entity: req.EntityID, identifiers: req.list("identifiers"), csr: req.text("csr")}, nil
}

// draft makes the order that fulfils a wish, if the role allows it to whoever
// wishes. Nothing is stored.
func (b *backend) draft(ctx context.Context, s logical.Storage, w wish) (*order.Order, []identifier.Identifier, error) {
	id, err := order.NewID()
	if err != nil {
		return nil, nil, err
	}
	r := w.role
	o := order.New(id, r.Name, r.Account, b.now())
	o.Entity, o.Allowed, o.KeyKind, o.Population = w.entity, r.ChallengeTypes, r.KeyKind, r.Population
	o.DNSProvider, o.Relay, o.Profile, o.PreferredChain = r.dnsProvider(), r.Relay, r.Profile, r.PreferredChain
	o.Fallbacks = r.Fallbacks
	ids, err := b.fillOrder(ctx, s, w, o)
	if err != nil {
		return nil, nil, err
	}
	if err := b.permit(w.entity, r, ids); err != nil {
		return nil, nil, err
	}
	o.Owned, err = b.owned(r, ids)
	return o, ids, err
}
