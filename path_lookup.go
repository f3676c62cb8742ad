package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// recentFields are what a list of recent orders shows of each.
var recentFields = field.Set[order.Order]{
	shown("role_name", "Name of the role", func(o *order.Order) any { return o.Role }),
	field.Shown("identifiers", "List of identifiers in the order", framework.TypeStringSlice, func(o *order.Order) any { return o.Requested() }),
	shown("order_status", "Current status of the order", func(o *order.Order) any { return o.State.Status() }),
	shown("status", "Current status of the order, written with underscores", func(o *order.Order) any { return o.State.LegacyStatus() }),
	shown("creation_date", "Order creation timestamp (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.Created) }),
	shown("last_update", "Last update timestamp (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.Updated) }),
}

// certLookupFields are what a certificate's serial number leads to.
var certLookupFields = field.Set[order.Order]{
	shown("order_id", "ID of the order that issued this certificate", func(o *order.Order) any { return string(o.ID) }),
	shown("order_status", "Status of the order that issued this certificate", func(o *order.Order) any { return o.State.Status() }),
	shown("status", "Status of the order that issued this certificate, written with underscores", func(o *order.Order) any { return o.State.LegacyStatus() }),
	shown("role_name", "Name of the role used for this certificate", func(o *order.Order) any { return o.Role }),
	field.Shown("identifiers", "List of identifiers in the certificate", framework.TypeStringSlice, func(o *order.Order) any { return o.Requested() }),
	shown("not_before", "Certificate validity start time (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.NotBefore) }),
	shown("not_after", "Certificate validity end time (RFC3339)", func(o *order.Order) any { return field.FormatTime(o.NotAfter) }),
}

func (b *backend) lookupPaths() []*framework.Path {
	return []*framework.Path{b.pathLookupCert(), b.pathLookupOrder(), b.pathLookupOrders(), b.pathLookupRecent()}
}

func (b *backend) pathLookupCert() *framework.Path {
	return b.path(endpoint{
		pattern: "lookup/cert/(?P<serial>[^/]+)", suffix: "lookup-cert",
		synopsis: "Return information about a certificate",
		help:     `Finds the order of a certificate by its serial number, in hex with colons, hyphens or nothing between the bytes.`,
		fields:   map[string]*framework.FieldSchema{"serial": nameField("Serial number of the certificate")},
		operations: map[logical.Operation]operation{
			logical.ReadOperation: {summary: "Look up a certificate by its serial number.", do: b.lookupCert, answers: withOutlookFields(certLookupFields.Shown()), anywhere: true},
		},
	})
}

func (b *backend) lookupCert(ctx context.Context, req *request) (*logical.Response, error) {
	serial, err := order.ParseSerial(req.text("serial"))
	if err != nil {
		return nil, badRequest("serial %w", err)
	}
	ref, err := serials.Get(ctx, req.Storage, serialPath(serial))
	if errors.Is(err, store.ErrNotFound) {
		return nil, notFound("there is no certificate with the serial number %s", serial)
	}
	if err != nil {
		return nil, err
	}
	o, err := orders.Get(ctx, req.Storage, orderPath(ref.Order))
	if err != nil {
		return nil, err
	}
	c, err := chargeOfOrder(ctx, req.Storage, o)
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: certLookupFields.Show(o)}
	return b.withOutlook(resp, c), nil
}

func (b *backend) pathLookupOrder() *framework.Path {
	return b.path(endpoint{
		pattern: "lookup/order/" + framework.GenericNameRegex("order_id"), suffix: "lookup-order",
		synopsis: "Check order status", help: `Shows an order of any role. For operators: identities are not asked for.`,
		fields: map[string]*framework.FieldSchema{"order_id": nameField("ID of the order")},
		operations: map[logical.Operation]operation{
			logical.ReadOperation: {summary: "Look up an order.", do: func(ctx context.Context, req *request) (*logical.Response, error) {
				o, err := orderByID(ctx, req.Storage, req.text("order_id"))
				if err != nil {
					return nil, err
				}
				return &logical.Response{Data: orderFields.Show(o)}, nil
			}, answers: orderFields.Shown()},
		},
	})
}

// mostListed bounds a list of orders: each costs about 40 bytes of an answer.
const mostListed = 10_000

func (b *backend) pathLookupOrders() *framework.Path {
	return b.path(endpoint{
		pattern: "lookup/orders/?$", suffix: "lookup-orders",
		synopsis: "List all orders",
		help: fmt.Sprintf(`Lists the ids of all orders, active and final, oldest first, at most %d at once. With after=<order id>
the list goes on behind that order.`, mostListed),
		fields: map[string]*framework.FieldSchema{
			"after": {Type: framework.TypeString, Query: true, Description: "List the orders made after this one"},
		},
		operations: map[logical.Operation]operation{
			logical.ListOperation: {summary: "List the orders of all roles.", do: b.lookupOrders, anywhere: true},
		},
	})
}

// lookupOrders walks the hours that have orders. Ids sort by age, so a list can
// be continued behind any of them.
func (b *backend) lookupOrders(ctx context.Context, req *request) (*logical.Response, error) {
	after := order.ID(req.text("after"))
	if after != "" {
		if _, err := order.ParseID(string(after)); err != nil {
			return nil, badRequest("after: %w", err)
		}
	}
	hours, err := orderHours.List(ctx, req.Storage, "")
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, hour := range hours {
		if after != "" && hour < after.Hour() {
			continue
		}
		inHour, err := orders.List(ctx, req.Storage, hour+"/")
		if err != nil {
			return nil, err
		}
		for _, id := range inHour {
			if id <= string(after) {
				continue
			}
			if len(ids) == mostListed {
				resp := logical.ListResponse(ids)
				resp.AddWarning(fmt.Sprintf("these are the first %d orders; list on with after=%s", mostListed, ids[len(ids)-1]))
				return resp, nil
			}
			ids = append(ids, id)
		}
	}
	return logical.ListResponse(ids), nil
}

// Bounds of the window of lookup/orders/recent, and of its answer.
const (
	shortestWindow = time.Hour
	longestWindow  = 168 * time.Hour
	mostRecent     = 500
)

func (b *backend) pathLookupRecent() *framework.Path {
	return b.path(endpoint{
		pattern: "lookup/orders/recent/?$", suffix: "lookup-orders-recent",
		synopsis: "List recently created orders within a specified time window",
		help:     fmt.Sprintf(`Lists the orders made within a time from now back, newest first, at most %d, with their main facts.`, mostRecent),
		fields: map[string]*framework.FieldSchema{
			"within": {
				Type: framework.TypeDurationSecond, Default: "1h", Query: true,
				Description: "How far to look back, from 1h to 168h",
			},
		},
		operations: map[logical.Operation]operation{
			logical.ListOperation: {summary: "List recent orders.", do: b.lookupRecent, anywhere: true, answers: map[string]*framework.FieldSchema{
				"keys":     {Type: framework.TypeStringSlice, Description: "A list of order IDs"},
				"key_info": {Type: framework.TypeMap, Description: "Key info with order metadata."},
			}},
		},
	})
}

func (b *backend) lookupRecent(ctx context.Context, req *request) (*logical.Response, error) {
	within := shortestWindow
	if seconds, sent := req.fields.GetOk("within"); sent {
		within = time.Duration(seconds.(int)) * time.Second
	}
	if within < shortestWindow || within > longestWindow {
		return nil, badRequest("within must be from 1h to 168h, not %s", within)
	}
	ids, err := recentIDs(ctx, req.Storage, b.now(), within)
	if err != nil {
		return nil, err
	}
	keys, info := make([]string, 0, len(ids)), make(map[string]any, len(ids))
	for _, id := range ids {
		o, err := orders.Get(ctx, req.Storage, orderPath(id))
		if errors.Is(err, store.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(id))
		info[string(id)] = recentFields.Show(o)
	}
	return logical.ListResponseWithInfo(keys, info), nil
}

// recentIDs lists orders from the newest back.
func recentIDs(ctx context.Context, s logical.Storage, now time.Time, within time.Duration) ([]order.ID, error) {
	since := now.Add(-within)
	var ids []order.ID
	for _, hour := range hoursBack(now, since) {
		inHour, err := orders.List(ctx, s, hour+"/")
		if err != nil {
			return nil, err
		}
		for _, text := range slices.Backward(slices.Sorted(slices.Values(inHour))) {
			id := order.ID(text)
			if id.Time().Before(since) || len(ids) == mostRecent {
				return ids, nil
			}
			ids = append(ids, id)
		}
	}
	return ids, nil
}
