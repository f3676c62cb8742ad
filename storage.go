package pkiexternalca

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/retention"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// Every record of the engine lies below one of these prefixes. Orders and what
// belongs to them are kept by the hour of their making, which an order's id
// tells: finding one never means listing, and no list grows with the number of
// finished orders except the one that is asked for them.
var (
	accounts = store.Collection[account.Account]{Kind: "ACME account", Prefix: "acme-account/", Version: 1}
	// registrations are accounts whose registration the CA has not confirmed.
	registrations = store.Collection[account.Account]{Kind: "registration", Prefix: "acme-registration/", Version: 1}
	roles         = store.Collection[role]{Kind: "role", Prefix: "role/", Version: 1, Shared: true}
	orders        = store.Collection[order.Order]{Kind: "order", Prefix: "order/", Version: 1}
	orderKeys     = store.Collection[storedKey]{Kind: "private key of order", Prefix: "order-key/", Version: 1}
	certificates  = store.Collection[order.Certificate]{Kind: "certificate of order", Prefix: "certificate/", Version: 1, Shared: true}
	// orderHours names each hour that has orders.
	orderHours = store.Collection[hourMark]{Kind: "hour of orders", Prefix: "order-hour/", Version: 1}
	// active names each order that is not final, below its role.
	active = store.Collection[struct{}]{Kind: "active order", Prefix: "active/", Version: 1}
	// serials leads from a certificate's serial number to its order.
	serials = store.Collection[reference]{Kind: "certificate", Prefix: "serial/", Version: 1}
	// configs holds the mount's own settings, under one name.
	configs = store.Collection[mountConfig]{Kind: "configuration", Prefix: "config/", Version: 1}
	// debts are TXT records that are to be removed again.
	debts = store.Collection[debt]{Kind: "TXT record to remove", Prefix: "dns-debt/", Version: 1}
	// accountHolds are the accounts that CAs have asked to wait; setHolds are the
	// sets of identifiers whose last orders failed, below their account.
	accountHolds = store.Collection[limit.Hold]{Kind: "limit of account", Prefix: "limit-account/", Version: 1}
	setHolds     = store.Collection[setHold]{Kind: "limit of identifiers", Prefix: "limit-set/", Version: 1}
	// current leads from a role and a set of identifiers to the order whose
	// certificate was issued last, and to the one that is under way.
	current = store.Collection[standing]{Kind: "cached certificate", Prefix: "current/", Version: 1}
)

// remembered are the prefixes whose records are kept in memory, too: what is
// read again and again. None of them holds secrets: a private key that was
// delivered is not to stay in the memory of the process.
var remembered = []string{
	roles.Prefix, orders.Prefix, certificates.Prefix, orderHours.Prefix, configs.Prefix, current.Prefix,
	accountHolds.Prefix, setHolds.Prefix,
}

// knownAbsent are those of them that every order asks for before there is a record.
var knownAbsent = []string{current.Prefix, accountHolds.Prefix, setHolds.Prefix}

// mostRemembered is how many bytes of records are kept in memory, about.
const mostRemembered = 32 << 20

// sealWrapped are the prefixes whose values hold secrets.
var sealWrapped = []string{accounts.Prefix, registrations.Prefix, orderKeys.Prefix, dnsprovider.Prefix}

type storedKey struct {
	Key secret.Text `json:"key"`
}

type reference struct {
	Order order.ID `json:"order"`
}

// hourMark says that there are orders that were made in an hour, and when it is
// worth looking whether any of them can go.
type hourMark struct {
	// Policy is that by which NextTidy was reckoned; zero when the orders were
	// never looked through.
	Policy retention.Policy `json:"policy,omitzero"`
	// NextTidy is before the earliest time at which anything can go; zero means
	// never.
	NextTidy time.Time `json:"next_tidy,omitzero"`
}

// orderPath is where an order's records lie below their prefixes.
func orderPath(id order.ID) string { return id.Hour() + "/" + string(id) }

// serialPath spreads serial numbers over 256 shards by their last byte.
func serialPath(serial string) string {
	plain := strings.ReplaceAll(serial, ":", "")
	return plain[max(0, len(plain)-2):] + "/" + plain
}

func activePath(o *order.Order) string { return o.Role + "/" + string(o.ID) }

// createOrder stores a new order. The marks come first: a mark without an
// order is removed by whoever finds it, an order without a mark would never be
// worked on.
func createOrder(ctx context.Context, s logical.Storage, o *order.Order) error {
	if err := markHour(ctx, s, o.ID); err != nil {
		return err
	}
	err := active.Put(ctx, s, activePath(o), &struct{}{})
	if err == nil {
		err = orders.Put(ctx, s, orderPath(o.ID), o)
	}
	if err != nil {
		// A storage that fails may have written, and the caller is told that
		// there is no order. What fails here too is found at the next start.
		ctx = context.WithoutCancel(ctx)
		if orders.Delete(ctx, s, orderPath(o.ID)) == nil {
			_ = active.Delete(ctx, s, activePath(o))
		}
	}
	return err
}

func markHour(ctx context.Context, s logical.Storage, id order.ID) error {
	_, err := orderHours.Get(ctx, s, id.Hour())
	if errors.Is(err, store.ErrNotFound) {
		return orderHours.Put(ctx, s, id.Hour(), &hourMark{})
	}
	return err
}

// absent passes over a record that is not there, or that nobody can read: it
// leads nowhere, and another may take its place.
func absent(err error) error {
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrUnreadable) {
		return nil
	}
	return err
}

// hoursBack lists the names of the hours from now back to a moment, newest first.
func hoursBack(now time.Time, since time.Time) []string {
	var out []string
	for t := now; !t.Before(since.Truncate(time.Hour)); t = t.Add(-time.Hour) {
		out = append(out, order.HourOf(t))
	}
	return out
}
