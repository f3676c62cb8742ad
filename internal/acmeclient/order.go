package acmeclient

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	lego "github.com/go-acme/lego/v4/acme"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// ErrIdentifiersChanged is a CA's answer to newOrder for other identifiers than
// those that were asked for. The certificate could not be for the right ones.
var ErrIdentifiersChanged = fmt.Errorf("%w (§7.4): it changed the set of identifiers", acme.ErrViolation)

// maxItems bounds the lists of an order. Each authorization costs a request.
const maxItems = 1000

// wireOrder is the library's order with all of its problem.
type wireOrder struct {
	lego.Order
	Error *wireProblem `json:"error"`
}

// NewOrder asks for an order (RFC 8555 §7.4). The CA may answer with one that
// the account has for the same identifiers already, in any status.
func (c *Client) NewOrder(ctx context.Context, wish acme.NewOrder) (acme.Order, error) {
	d, err := c.server.endpoints(ctx)
	if err != nil {
		return acme.Order{}, err
	}
	message := lego.Order{Profile: wish.Profile, Replaces: wish.Replaces}
	for _, i := range wish.Identifiers {
		message.Identifiers = append(message.Identifiers, lego.Identifier{Type: string(i.Type), Value: i.Value})
	}
	a, err := c.send(ctx, request{doing: "placing an order at", url: d.newOrder}, message)
	if err != nil {
		return acme.Order{}, err
	}
	order, err := a.order()
	if err != nil {
		return acme.Order{}, err
	}
	if order.URL, err = a.location("order"); err != nil {
		return acme.Order{}, fmt.Errorf("%w (§7.4): %w", acme.ErrViolation, err)
	}
	if !sameIdentifiers(wish.Identifiers, order.Identifiers) {
		return acme.Order{}, fmt.Errorf("%w of the order %s from %v to %s", ErrIdentifiersChanged, order.URL,
			wish.Identifiers, upstream.Clean(fmt.Sprint(order.Identifiers), maxDetail))
	}
	return order, nil
}

// Order reads an order (RFC 8555 §7.4).
func (c *Client) Order(ctx context.Context, url string) (acme.Order, error) {
	a, err := c.read(ctx, request{doing: "reading the order", url: url})
	if err != nil {
		return acme.Order{}, err
	}
	order, err := a.order()
	order.URL = url
	return order, err
}

// Finalize sends the CSR (RFC 8555 §7.4). The URL is the order's Finalize; that
// of the order itself is not in the answer, so that URL is empty there. After
// an error that is no problem the CSR may have arrived all the same: read the
// order before sending it again.
func (c *Client) Finalize(ctx context.Context, url string, csrDER []byte) (acme.Order, error) {
	r := request{doing: "finalizing the order at", url: url, patience: finalizePatience}
	a, err := c.send(ctx, r, lego.CSRMessage{Csr: base64.RawURLEncoding.EncodeToString(csrDER)})
	if err != nil {
		return acme.Order{}, err
	}
	return a.order()
}

// order reads an order object (RFC 8555 §7.1.3).
func (a *answer) order() (acme.Order, error) {
	var wire wireOrder
	if err := a.decode(&wire); err != nil {
		return acme.Order{}, err
	}
	switch {
	case wire.Status == "":
		return acme.Order{}, a.unreachable(fmt.Errorf("the answer is not an order, it has no status: %q", a.excerpt()))
	case len(wire.Identifiers) > maxItems || len(wire.Authorizations) > maxItems:
		return acme.Order{}, a.unreachable(fmt.Errorf("the order has %d identifiers and %d authorizations; at most %d of each are accepted",
			len(wire.Identifiers), len(wire.Authorizations), maxItems))
	}
	order := acme.Order{
		Status: statusOf(wire.Status), Expires: timeOf(wire.Expires),
		Error: wire.Error.problem(), RetryAfter: a.retryAfter(),
	}
	for _, i := range wire.Identifiers {
		order.Identifiers = append(order.Identifiers, cleanIdentifier(i.Type, i.Value))
	}
	return order, a.orderURLs(&order, wire)
}

func (a *answer) orderURLs(order *acme.Order, wire wireOrder) (err error) {
	for _, ref := range wire.Authorizations {
		u, err := a.resolve("authorization", ref)
		if err != nil {
			return err
		}
		order.Authorizations = append(order.Authorizations, u)
	}
	// What an order in this status has no use for, some CAs leave out.
	if wire.Finalize != "" {
		if order.Finalize, err = a.resolve("order's finalize", wire.Finalize); err != nil {
			return err
		}
	}
	if wire.Certificate != "" {
		order.Certificate, err = a.resolve("certificate", wire.Certificate)
	}
	return err
}

// timeOf reads an RFC 3339 time; zero when there is none that can be read.
func timeOf(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// sameIdentifiers compares sets: without regard to order, repetition, case, or
// the spelling of an address.
func sameIdentifiers(a, b []acme.Identifier) bool {
	return maps.Equal(identifierSet(a), identifierSet(b))
}

func identifierSet(identifiers []acme.Identifier) map[acme.Identifier]bool {
	set := map[acme.Identifier]bool{}
	for _, i := range identifiers {
		i.Value = strings.ToLower(i.Value)
		if address, err := netip.ParseAddr(i.Value); err == nil && i.Type == acme.IP {
			i.Value = address.String()
		}
		set[i] = true
	}
	return set
}
