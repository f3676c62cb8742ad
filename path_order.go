package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/identifier"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// orderFields are what an answer shows of an order.
var orderFields = field.Set[order.Order]{
	shown("order_id", "ID of the order", func(o *order.Order) any { return string(o.ID) }),
	shown("role_name", "Name of the role", func(o *order.Order) any { return o.Role }),
	shown("acme_account_name", "Name of the ACME account that serves the order, or is to", func(o *order.Order) any { return o.Account }),
	field.Shown("fallback_from", "The ACME accounts from which the order has turned away, in that order, each with the reason", framework.TypeSlice, showTried),
	field.Shown("identifiers", "List of identifiers in the order", framework.TypeStringSlice, func(o *order.Order) any { return o.Requested() }),
	shown("csr", "CSR used for the order (if CSR workflow)", func(o *order.Order) any { return o.RequestCSR }),
	shown("order_status", "Current status of the order", func(o *order.Order) any { return o.State.Status() }),
	shown("status", "Current status of the order, written with underscores", func(o *order.Order) any { return o.State.LegacyStatus() }),
	field.Shown("challenges", "Map of identifier to challenge details", framework.TypeMap, showChallenges),
	shown("creation_date", "Order creation timestamp (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.Created) }),
	shown("last_update", "Order's last update timestamp (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.Updated) }),
	shown("next_work_date", "Next scheduled work timestamp (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.Due) }),
	shown("expires", "Order expiration timestamp (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.Expires) }),
	shown("profile", "Profile that the CA was, or will be, asked for; empty for none", func(o *order.Order) any { return o.Profile }),
	shown("last_error", "Last error message, if any", func(o *order.Order) any { return o.LastError }),
	shown("note", "What did not go as wished and kept nobody from going on, if anything", func(o *order.Order) any { return o.Note }),
	shown("serial_number", "Certificate serial number (if completed)", func(o *order.Order) any { return o.Serial }),
	shown("renews", "ID of the order whose certificate this order renews (if it does)", func(o *order.Order) any { return string(o.Renews) }),
	shown("renewed_by", "ID of the order that has renewed the certificate of this one (if it was)", func(o *order.Order) any { return string(o.RenewedBy) }),
}

func shown(name, doc string, show func(*order.Order) any) field.Field[order.Order] {
	return field.Shown(name, doc, framework.TypeString, show)
}

// showChallenges maps each identifier, as requested, to its challenges.
func showChallenges(o *order.Order) any {
	out := map[string]any{}
	for i := range o.Authorizations {
		a := &o.Authorizations[i]
		list := []any{}
		for _, c := range a.Challenges {
			if o.Allows(a, c.Type) {
				list = append(list, map[string]any{
					"challenge_type":              string(c.Type),
					"challenge_status":            string(c.Status),
					"expires":                     field.FormatTime(a.Expires),
					"requires_manual_fulfillment": fmt.Sprint(a.Manual(c.Type)), // a text in this API
				})
			}
		}
		if a.Identifier.Value != "" {
			out[o.Label(a)] = list
		}
	}
	return out
}

// showTried lists the accounts that could not take an order.
func showTried(o *order.Order) any {
	out := make([]any, len(o.Tried))
	for i, a := range o.Tried {
		out[i] = map[string]any{"acme_account_name": a.Account, "reason": a.Why, "at": field.FormatTime(a.At)}
	}
	return out
}

func (b *backend) orderPaths() []*framework.Path {
	return []*framework.Path{
		b.pathNewOrder(), b.pathActiveOrders(), b.pathOrderStatus(),
		b.pathChallenge("challenge"), b.pathChallenge("challenges"), b.pathFulfilledChallenge(),
	}
}

func (b *backend) pathNewOrder() *framework.Path {
	return b.path(endpoint{
		pattern: "role/" + framework.GenericNameRegex("name") + "/new-order", suffix: "role-new-order",
		synopsis: "Create a new ACME order for a role",
		help: `Orders a certificate for identifiers, for which Vault makes the key, or for a CSR, whose key stays
with the caller. The answer comes at once; order/<order_id>/status tells how the order goes on. While an order
for the same is under way the answer is that order; force_new=true makes another.`,
		fields: wishFields(map[string]*framework.FieldSchema{
			"force_new": {Type: framework.TypeBool, Description: "Make an order even if one for the same is under way"},
		}),
		operations: map[logical.Operation]operation{
			logical.UpdateOperation: {summary: "Order a certificate.", do: b.newOrder, answers: map[string]*framework.FieldSchema{
				"order_id": {Type: framework.TypeString, Description: "The ID of the newly created order"},
				"reused":   {Type: framework.TypeBool, Description: "Whether the order was under way already"},
			}},
		},
	})
}

// newOrder checks, stores and answers; the engine does the rest.
func (b *backend) newOrder(ctx context.Context, req *request) (*logical.Response, error) {
	w, err := wishOf(ctx, req)
	if err != nil {
		return nil, err
	}
	draft, ids, err := b.draft(ctx, req.Storage, w)
	if err != nil {
		return nil, err
	}
	o, joined, err := b.join(ctx, req.Storage, draft, joining{fresh: req.flag("force_new")})
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: map[string]any{"order_id": string(o.ID), "reused": joined}}
	warnOfRedundant(resp, ids)
	return resp, nil
}

// warnOfRedundant tells of names that a wildcard beside them covers.
func warnOfRedundant(resp *logical.Response, ids []identifier.Identifier) {
	for _, overlap := range domainmatch.Redundant(identifier.Names(ids)) {
		resp.AddWarning(fmt.Sprintf("%s is covered by %s already; public CAs refuse an order with both", overlap.Name, overlap.Wildcard))
	}
}

// placeOrder stores an order and has it worked on. Meanwhile its role cannot be
// deleted, for which the caller has rolesLock: whoever deletes one ends its orders,
// and would not see this one.
func (b *backend) placeOrder(ctx context.Context, s logical.Storage, o *order.Order) error {
	if _, err := roles.Get(ctx, s, o.Role); err != nil {
		return err
	}
	release, err := b.reserve(active.Prefix + activePath(o))
	if err != nil {
		return err
	}
	defer release()
	defer b.begin(o) // even after a failure: a storage that fails may have written
	return createOrder(ctx, s, o)
}

func (b *backend) pathActiveOrders() *framework.Path {
	return b.path(endpoint{
		pattern: "role/" + framework.GenericNameRegex("name") + "/active-orders/?$", suffix: "role-active-orders",
		synopsis: "List active orders for a role", help: "Lists the ids of the role's orders that are not final.",
		fields: map[string]*framework.FieldSchema{"name": nameField("Name of the role")},
		operations: map[logical.Operation]operation{
			logical.ListOperation: {summary: "List the active orders of a role.", do: func(ctx context.Context, req *request) (*logical.Response, error) {
				ids, err := active.List(ctx, req.Storage, req.text("name")+"/")
				if err != nil {
					return nil, err
				}
				return logical.ListResponse(ids), nil
			}},
		},
	})
}

func (b *backend) pathOrderStatus() *framework.Path {
	return b.path(endpoint{
		pattern: orderPattern("status"), suffix: "role-order-status",
		synopsis: "Check order status",
		help: `Shows where an order stands. While it is awaiting-challenge-fulfillment, put one challenge for each
identifier in place (see challenge) and report it (see fulfilled-challenge). last_error and next_work_date tell
why and until when an order waits otherwise.`,
		fields: orderRequestFields(nil),
		operations: map[logical.Operation]operation{
			logical.ReadOperation: {summary: "Read the status of an order.", do: b.readStatus, answers: orderFields.Shown()},
		},
	})
}

// orderPattern is the pattern of an endpoint below an order.
func orderPattern(last string) string {
	return "role/" + framework.GenericNameRegex("name") + "/order/" + framework.GenericNameRegex("order_id") + "/" + last
}

// orderRequestFields describes the fields of a request about an order.
func orderRequestFields(more map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	return named(named(more, "name", "Name of the role"), "order_id", "ID of the order")
}

func (b *backend) readStatus(ctx context.Context, req *request) (*logical.Response, error) {
	o, err := b.orderOf(ctx, req)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: orderFields.Show(o)}, nil
}

// orderOf reads the order that a request is about, for a caller who may see it.
func (b *backend) orderOf(ctx context.Context, req *request) (*order.Order, error) {
	o, err := orderByID(ctx, req.Storage, req.text("order_id"))
	if err != nil {
		return nil, err
	}
	if name := req.text("name"); o.Role != name {
		return nil, notFound("role %q has no order %q", name, o.ID)
	}
	return o, b.mayRead(ctx, req.Storage, req.EntityID, o)
}

func orderByID(ctx context.Context, s logical.Storage, text string) (*order.Order, error) {
	id, err := order.ParseID(text)
	if err != nil {
		return nil, notFound("order %w", err)
	}
	o, err := orders.Get(ctx, s, orderPath(id))
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("there is no order %s", id)
	}
	return o, err
}

// waiting says in words when an order goes on, for errors.
func waiting(o *order.Order, now time.Time) string {
	if o.Due.IsZero() {
		return "nothing more is done by itself"
	}
	if !o.Due.After(now) {
		return "it is being worked on"
	}
	return "next work at " + field.FormatTime(o.Due)
}
