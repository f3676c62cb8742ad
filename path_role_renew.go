package pkiexternalca

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
)

func (b *backend) pathRenew() *framework.Path {
	return b.path(endpoint{
		pattern: "role/" + framework.GenericNameRegex("name") + "/renew", suffix: "role-renew",
		synopsis: "Renew the certificate for a set of identifiers",
		help: `Orders a new certificate in place of the one that was issued last for exactly these identifiers, when it
is due or with force=true at once. While an order for the same is under way the answer is that order. The
certificate is replaced when the order is completed.`,
		fields: map[string]*framework.FieldSchema{
			"name":        nameField("Name of the role"),
			"identifiers": {Type: framework.TypeCommaStringSlice, Required: true, Description: "List of identifiers in the certificate, in any order"},
			"force":       {Type: framework.TypeBool, Description: "Renew even if it is not due yet"},
		},
		operations: map[logical.Operation]operation{
			logical.UpdateOperation: {summary: "Renew a certificate.", do: b.renewNow, answers: map[string]*framework.FieldSchema{
				"order_id": {Type: framework.TypeString, Description: "The ID of the order that renews"},
				"reused":   {Type: framework.TypeBool, Description: "Whether the order was under way already"},
			}},
		},
	})
}

func (b *backend) renewNow(ctx context.Context, req *request) (*logical.Response, error) {
	c, err := b.currentCharge(ctx, req)
	if err != nil {
		return nil, err
	}
	if c.standing.Care == nil {
		return nil, conflict("nothing is known about the renewal of the certificate of order %s; order it anew with new-order", c.order.ID)
	}
	at := c.standing.Care.At(c.role.renewal())
	if at.After(b.now()) && !req.flag("force") {
		return nil, conflict("the certificate of order %s is due to be renewed at %s; set force=true to renew it now", c.order.ID, field.FormatTime(at))
	}
	by, joined, err := b.renewalOrder(ctx, req.Storage, c, req.EntityID)
	if err != nil {
		return nil, err
	}
	if by == nil {
		return nil, conflict("the certificate of order %s was renewed just now; read it again", c.order.ID)
	}
	return &logical.Response{Data: map[string]any{"order_id": string(by.ID), "reused": joined}}, nil
}
