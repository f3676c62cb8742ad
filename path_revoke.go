package pkiexternalca

import (
	"context"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// reason is why a certificate is revoked: its name on the wire and its CRL
// reason code (RFC 5280 §5.3.1).
type reason struct {
	name string
	code int
}

// keyCompromise is the code of the reason that is about the key (RFC 5280 §5.3.1).
const keyCompromise = 1

var reasons = []reason{
	{"unspecified", 0},
	{"key-compromise", keyCompromise},
	{"ca-compromise", 2},
	{"affiliation-changed", 3},
	{"superseded", 4},
	{"cessation-of-operation", 5},
	{"certificate-hold", 6},
	{"remove-from-crl", 8},
	{"privilege-withdrawn", 9},
	{"aa-compromise", 10},
}

func reasonNames() []string {
	names := make([]string, len(reasons))
	for i, r := range reasons {
		names[i] = r.name
	}
	return names
}

// parseReason takes the names with hyphens or underscores; none is unspecified.
func parseReason(text string) (reason, error) {
	if text == "" {
		return reasons[0], nil
	}
	for _, r := range reasons {
		if r.name == strings.ReplaceAll(text, "_", "-") {
			return r, nil
		}
	}
	return reason{}, badRequest("reason %.64q is not one of %s", text, strings.Join(reasonNames(), ", "))
}

func (b *backend) pathRevoke() *framework.Path {
	return b.path(endpoint{
		pattern: orderPattern("revoke"), suffix: "role-order-revoke",
		synopsis: "Revoke an order's certificate with a specified reason",
		help: `Revokes the certificate at the CA (RFC 8555 §7.6). From then on it is neither fetched nor served
from cache.`,
		fields: orderRequestFields(map[string]*framework.FieldSchema{
			"reason": {
				Type: framework.TypeString, Required: true, AllowedValues: oneOf(reasonNames()),
				Description: "Revocation reason; unspecified when left out",
			},
		}),
		operations: map[logical.Operation]operation{
			logical.UpdateOperation: {summary: "Revoke the certificate of an order.", do: b.revoke, empty: true},
		},
	})
}

func (b *backend) revoke(ctx context.Context, req *request) (*logical.Response, error) {
	why, err := parseReason(req.text("reason"))
	if err != nil {
		return nil, err
	}
	o, err := b.orderOf(ctx, req)
	if err != nil {
		return nil, err
	}
	switch o.State {
	case order.StateRevoked:
		return nil, nil
	case order.StateCompleted:
	default:
		return nil, conflict("order %s is %s; only the certificate of a completed order can be revoked", o.ID, o.State.Status())
	}
	if err := b.revokeAtCA(ctx, req.Storage, o, why); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // what the CA has done must be noted even if the client has gone
	if why.code == keyCompromise {
		if err := b.spreadCompromise(ctx, req.Storage, o); err != nil {
			return nil, err
		}
	}
	return nil, b.changeOrder(ctx, req.Storage, o.ID, func(o *order.Order) error {
		o.MarkRevoked(b.now())
		return nil
	})
}

// spreadCompromise notes in the renewals that have certified the key of an order
// anew that others have it, so that no later one does. It comes before the end of
// the order is noted: a revocation that is repeated after a crash does it again.
func (b *backend) spreadCompromise(ctx context.Context, s logical.Storage, o *order.Order) error {
	for from, next := o.ID, o.RenewedBy; next != ""; {
		id := next
		next = ""
		err := b.changeOrder(ctx, s, id, func(later *order.Order) error {
			if later.KeyFrom != from {
				return errUnchanged
			}
			later.KeyCompromised, next = true, later.RenewedBy
			return nil
		})
		if absent(err) != nil {
			return err
		}
		from = id
	}
	return nil
}

// revokeAtCA asks the CA. A crash between its answer and ours repeats the
// request, which the CA then refuses as done already.
func (b *backend) revokeAtCA(ctx context.Context, s logical.Storage, o *order.Order, why reason) error {
	cert, err := certificates.Get(ctx, s, orderPath(o.ID))
	if err != nil {
		return err
	}
	ca, err := b.clientOf(ctx, s, o.Account)
	if err != nil {
		return fromCA(err, "opening the account of the order")
	}
	ctx, cancel := patiently(ctx)
	defer cancel()
	err = ca.Revoke(ctx, cert.DER(), why.code)
	if acme.IsProblem(err, acme.AlreadyRevoked) {
		return nil
	}
	return fromCA(err, "revoking the certificate at the CA")
}
