package pkiexternalca

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// follow waits for an order, and answers with its certificate or with why there
// is none.
func (b *backend) follow(ctx context.Context, req *request, id order.ID, t terms) (*logical.Response, error) {
	o, why, err := b.await(ctx, req.Storage, id, t.wait)
	switch {
	case err != nil:
		return nil, err
	case o.State == order.StateCompleted:
		return b.handOver(ctx, req, o, t)
	case o.State == order.StateRevoked:
		return nil, conflict("the certificate was revoked as soon as it was there; ask again for another %s", tags(o))
	case o.Final():
		return nil, badRequest("the order for the certificate ended in %s: %s %s", o.State.Status(), o.LastError, tags(o))
	case needsHands(o):
		return nil, conflict("the order for the certificate waits for somebody to put challenges in place: %s; %s %s", handsNeeded(o), howToHelp(o), tags(o))
	}
	return nil, b.pending(o, why)
}

// handOver delivers the certificate of an order that was waited for. The caller's
// identity may have changed meanwhile.
func (b *backend) handOver(ctx context.Context, req *request, o *order.Order, t terms) (*logical.Response, error) {
	if err := b.mayRead(ctx, req.Storage, req.EntityID, o); err != nil {
		return nil, err
	}
	d, err := deliver(ctx, req.Storage, o, t.format)
	if err != nil {
		return nil, err
	}
	if life := lifeOf(o, d.Certificate); !t.demand.Possible(life) {
		return nil, tooMuch(o, life)
	}
	c, err := chargeOfOrder(ctx, req.Storage, o)
	if err != nil {
		return nil, err
	}
	return b.withOutlook(d.issued(o, false), c), b.fetched(ctx, req.Storage, c)
}

// pending says that a certificate is not there yet, and when to ask again.
func (b *backend) pending(o *order.Order, why string) error {
	var reasons []string
	for _, reason := range []string{o.LastError, why} {
		if reason != "" {
			reasons = append(reasons, reason)
		}
	}
	text := strings.Join(reasons, "; ")
	if text != "" {
		text = " (" + text + ")"
	}
	now := b.now()
	again := max(o.Due.Sub(now), soonest)
	return status(http.StatusServiceUnavailable, "the certificate is not ready: its order is %s%s; ask again at %s %s",
		o.State.Status(), text, field.FormatTime(now.Add(again)), tags(o, retryAfter(again)))
}

// soonest is the least time after which to ask again: an order that is being
// worked on needs some seconds for each of its steps.
const soonest = 2 * time.Second

// retryAfter writes a time to wait in whole seconds, not less.
func retryAfter(wait time.Duration) string {
	return fmt.Sprintf("retry_after=%d", (wait+time.Second-1)/time.Second)
}

// tags end every refusal of issue that is about an order: what a program needs
// of it, in a form that does not change.
func tags(o *order.Order, more ...string) string {
	return "(" + strings.Join(append([]string{"order_id=" + string(o.ID), "order_status=" + o.State.Status()}, more...), " ") + ")"
}

// mostNeeded bounds how many identifiers the refusal names.
const mostNeeded = 5

// handsNeeded names the identifiers that somebody has to prove, each with the
// types of challenge there are for it.
func handsNeeded(o *order.Order) string {
	names := o.Unreported()
	rest := len(names) - mostNeeded
	var out []string
	for _, name := range names[:min(len(names), mostNeeded)] {
		out = append(out, fmt.Sprintf("%s (%s)", name, strings.Join(typesFor(o, name), " or ")))
	}
	if rest > 0 {
		out = append(out, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(out, ", ")
}

// typesFor lists the types of challenge that prove an identifier, as the role has
// them: a CA has no order of its own.
func typesFor(o *order.Order, label string) []string {
	var out []string
	for _, wanted := range o.Allowed {
		offered := func(a order.Authorization) bool { return o.Label(&a) == label && a.Challenge(wanted) != nil }
		if slices.ContainsFunc(o.Authorizations, offered) {
			out = append(out, string(wanted))
		}
	}
	return out
}

func howToHelp(o *order.Order) string {
	path := "role/" + o.Role + "/order/" + string(o.ID)
	return "read them at " + path + "/challenge and report them at " + path + "/fulfilled-challenge, or have a DNS provider prove the names"
}
