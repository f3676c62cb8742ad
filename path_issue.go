package pkiexternalca

import (
	"context"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

func (b *backend) pathIssue() *framework.Path {
	return b.path(endpoint{
		pattern: "role/" + framework.GenericNameRegex("name") + "/issue", suffix: "role-issue",
		synopsis: "Get a certificate, ordering one if need be",
		help: `Gives the current certificate for identifiers, with its key, or for a CSR. If there is none that is
good enough, an order is made, or joined if one is under way, and waited for. However many ask for the same at once,
there is one order and one certificate. 503 means: not ready yet, ask again.`,
		fields: wishFields(map[string]*framework.FieldSchema{
			"min_validity_duration": {
				Type:        framework.TypeDurationSecond,
				Description: "How long a certificate that is there already must be valid from now on; otherwise it must not be due for renewal",
			},
			"min_validity_percentage": {
				Type:        framework.TypeInt,
				Description: "How much of its lifetime a certificate that is there already must have left, from 0 to 90",
			},
			"wait": {
				Type: framework.TypeDurationSecond, Default: int(defaultWait / time.Second),
				Description: "How long to wait for the order, at most 30 seconds",
			},
			"certificate_format": inBody(formatField),
		}),
		operations: map[logical.Operation]operation{
			logical.UpdateOperation: {summary: "Get a certificate, ordering one if need be.", do: b.issue, answers: issuedFields(), verb: "write", anywhere: true},
			logical.ReadOperation:   {do: refuseRead, unpublished: true},
		},
	})
}

// inBody describes a field of a query for a request that has a body.
func inBody(field *framework.FieldSchema) *framework.FieldSchema {
	out := *field
	out.Query = false
	return &out
}

// issuedFields describes the answer of issue.
func issuedFields() map[string]*framework.FieldSchema {
	out := withOutlookFields(deliveredFields())
	out["order_id"] = &framework.FieldSchema{Type: framework.TypeString, Description: "ID of the order that led to the certificate"}
	out["cached"] = &framework.FieldSchema{Type: framework.TypeBool, Description: "Whether the certificate was there already"}
	return out
}

// refuseRead answers a template of Vault Agent's that gives no fields, which
// makes it a read. It would read the same answer for all its identifiers.
func refuseRead(context.Context, *request) (*logical.Response, error) {
	return nil, status(http.StatusMethodNotAllowed, "issue may make an order, so it takes no GET; use POST or PUT (vault write, or a template with fields)")
}

// terms are what a request of issue says besides its wish, and what its role wants
// of renewals.
type terms struct {
	renewalWishes
	format format
	demand renewal.Demand
	wait   time.Duration
}

func termsOf(req *request) (t terms, err error) {
	if t.format, err = parseFormat(req.text("certificate_format")); err != nil {
		return t, err
	}
	seconds, _ := req.fields.Get("wait").(int)
	if t.wait = time.Duration(seconds) * time.Second; t.wait > longestWait {
		return t, badRequest("wait must be at most %s, not %s", longestWait, t.wait)
	}
	least, hasLeast := req.fields.GetOk("min_validity_duration")
	share, hasShare := req.fields.GetOk("min_validity_percentage")
	switch {
	case hasLeast && hasShare:
		return t, badRequest("min_validity_duration and min_validity_percentage were both sent; send one")
	case hasShare && (share.(int) < 0 || share.(int) > renewal.MostShare):
		return t, badRequest("min_validity_percentage must be from 0 to %d, not %d: a certificate is renewed no earlier than after a tenth of its life", renewal.MostShare, share)
	case hasShare:
		t.demand = renewal.Share(share.(int))
	case hasLeast:
		t.demand = renewal.Least(time.Duration(least.(int)) * time.Second)
	}
	return t, nil
}

// issue gives the current certificate for a wish, or has one made.
func (b *backend) issue(ctx context.Context, req *request) (*logical.Response, error) {
	t, err := termsOf(req)
	if err != nil {
		return nil, err
	}
	w, err := wishOf(ctx, req)
	if err != nil {
		return nil, err
	}
	t.renewalWishes = w.role.renewalWishes
	draft, ids, err := b.draft(ctx, req.Storage, w)
	if err != nil {
		return nil, err
	}
	resp, err := b.answer(ctx, req, draft, t)
	if err != nil {
		resp, err = b.makeDo(ctx, req.Storage, draft, t, err)
	}
	if err != nil {
		return nil, err
	}
	warnOfRedundant(resp, ids)
	return resp, nil
}

// answer gives the certificate that is there for a draft, or waits for another.
func (b *backend) answer(ctx context.Context, req *request, draft *order.Order, t terms) (*logical.Response, error) {
	found, o, err := b.obtain(ctx, req.Storage, draft, t)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return b.follow(ctx, req, o.ID, t)
	}
	return b.handOut(ctx, req.Storage, found)
}

// holding is a certificate that is there already.
type holding struct {
	*charge
	*delivery
}

// handOut answers with a certificate that is there. It notes that, which takes the
// lock of the standing: nobody may have it who comes here.
func (b *backend) handOut(ctx context.Context, s logical.Storage, h *holding) (*logical.Response, error) {
	return b.withOutlook(h.issued(h.order, true), h.charge), b.fetched(ctx, s, h.charge)
}

// obtain finds a certificate that is good enough for a draft, or an order that
// will lead to one. The first look is taken without the lock and on any node,
// because most requests need no more.
func (b *backend) obtain(ctx context.Context, s logical.Storage, draft *order.Order, t terms) (found *holding, o *order.Order, err error) {
	path, err := currentPath(draft)
	if err != nil {
		return nil, nil, err
	}
	at, err := readStanding(ctx, s, path)
	if err != nil {
		return nil, nil, err
	}
	look := func(at *standing) (done bool, err error) {
		if found, err = b.goodEnough(ctx, s, path, at, draft, t); found == nil && err == nil {
			err = b.takeBreath(ctx, s, at.Live, draft)
		}
		return found != nil, err
	}
	if done, err := look(at); done || err != nil {
		return found, nil, err
	}
	if b.worksElsewhere() {
		return nil, nil, logical.ErrReadOnly
	}
	o, _, err = b.join(ctx, s, draft, joining{unless: look})
	return found, o, err
}

// inHand gives the certificate of a standing if it is one that a draft could lead
// to; nil otherwise. It is called with and without the lock of the standing.
func (b *backend) inHand(ctx context.Context, s logical.Storage, path string, at *standing, draft *order.Order, t terms) (*holding, error) {
	if at.Order == "" {
		return nil, nil
	}
	o, err := orders.Get(ctx, s, orderPath(at.Order))
	if err != nil {
		return nil, absent(err)
	}
	if !servable(o) || !alike(o, draft) {
		return nil, nil
	}
	d, err := deliver(ctx, s, o, t.format)
	if err != nil {
		return nil, absent(err)
	}
	return &holding{&charge{path: path, standing: at, order: o, role: &role{renewalWishes: t.renewalWishes}}, d}, nil
}

// goodEnough is [backend.inHand] if no other has to take its place.
func (b *backend) goodEnough(ctx context.Context, s logical.Storage, path string, at *standing, draft *order.Order, t terms) (*holding, error) {
	h, err := b.inHand(ctx, s, path, at, draft, t)
	if h == nil || err != nil {
		return nil, err
	}
	life := lifeOf(h.order, h.Certificate)
	switch {
	case !t.demand.Possible(life):
		return nil, tooMuch(h.order, life)
	case !h.meets(t.demand, life, b.now()):
		return nil, nil
	}
	return h, nil
}

// meets tells whether a certificate is handed out once more. One that Vault renews
// in time needs no order of anybody else's, however little of its life is left.
func (c *charge) meets(d renewal.Demand, l renewal.Life, now time.Time) bool {
	care := c.standing.Care
	switch {
	case care == nil:
		return d.Met(l, renewal.Due(l.NotBefore, l.NotAfter), now)
	case !c.role.AutoRenew:
		return d.Met(l, c.renewAt(), now)
	case !d.Said() && !care.Overdue(c.role.renewal(), now):
		return l.Left(now) > 0
	}
	return d.Met(l, l.NotAfter, now)
}

// breath is how long issue makes no other order after one that failed. Whoever
// asks meanwhile is told, and the CA is not: ten thousand instances that ask
// again would otherwise make an order each as soon as the last has failed.
const breath = time.Minute

// takeBreath refuses to go on where the order that was begun last, for the same
// wish as a draft, has failed just now.
func (b *backend) takeBreath(ctx context.Context, s logical.Storage, id order.ID, draft *order.Order) error {
	if id == "" {
		return nil
	}
	o, err := orders.Get(ctx, s, orderPath(id))
	if err != nil {
		return absent(err)
	}
	failed := o.State == order.StateError || o.State == order.StateExpired
	now := b.now()
	again := o.Updated.Add(breath)
	if !failed || !alike(o, draft) || !again.After(now) || o.Updated.After(now) {
		return nil
	}
	return status(http.StatusTooManyRequests, "the order before ended in %s: %s; another is made from %s on %s",
		o.State.Status(), o.LastError, field.FormatTime(again), tags(o, retryAfter(again.Sub(now))))
}

func tooMuch(o *order.Order, l renewal.Life) error {
	return badRequest("min_validity_duration is more than certificates of this CA can have: that of order %s was valid for %s when it was new; send at most %s",
		o.ID, l.Length().Round(time.Second), l.Most().Round(time.Second))
}

// issued is the answer of issue.
func (d *delivery) issued(o *order.Order, cached bool) *logical.Response {
	resp := d.response()
	resp.Data["order_id"], resp.Data["cached"] = string(o.ID), cached
	return resp
}
