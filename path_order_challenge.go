package pkiexternalca

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/identifier"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// presented is a challenge as it is shown to whoever puts it in place.
type presented struct {
	order         *order.Order
	authorization *order.Authorization
	challenge     *acme.Challenge
	keyAuth       string
}

var challengeFields = field.Set[presented]{
	field.Shown("challenge_token", "ACME challenge token", framework.TypeString, func(p *presented) any { return p.challenge.Token }),
	field.Shown("challenge_auth", "Challenge authorization value to be used for validation", framework.TypeString,
		func(p *presented) any { return p.keyAuth }),
	field.Shown("challenge_status", "Current status of the challenge", framework.TypeString,
		func(p *presented) any { return string(p.challenge.Status) }),
	field.Shown("expires", "Challenge expiration timestamp (RFC3339)", framework.TypeString,
		func(p *presented) any { return field.FormatTime(p.authorization.Expires) }),
}

// dnsFields are added to a dns-01 challenge, whose value people get wrong by hand.
var dnsFields = field.Set[presented]{
	field.Shown("dns_record_name", "Only for dns-01: the name of the TXT record", framework.TypeString,
		func(p *presented) any {
			return "_acme-challenge." + strings.TrimPrefix(p.authorization.Identifier.Value, "*.")
		}),
	field.Shown("dns_record_value", "Only for dns-01: the value of the TXT record, digested already (RFC 8555 §8.4)", framework.TypeString,
		func(p *presented) any { return acmeclient.DNS01Value(p.keyAuth) }),
}

// challengeSelectors are the fields that choose a challenge of an order.
func challengeSelectors(query bool) map[string]*framework.FieldSchema {
	return orderRequestFields(map[string]*framework.FieldSchema{
		"identifier":     {Type: framework.TypeString, Query: query, Required: true, Description: "Identifier being challenged"},
		"challenge_type": {Type: framework.TypeString, Query: query, Required: true, Description: "Challenge type, one of dns-01 or http-01 or tls-alpn-01"},
	})
}

// pathChallenge is served under two names: documents differ.
func (b *backend) pathChallenge(name string) *framework.Path {
	answers := challengeFields.Shown()
	for field, schema := range dnsFields.Shown() {
		answers[field] = schema
	}
	return b.path(endpoint{
		pattern: orderPattern(name), suffix: "role-order-" + name,
		synopsis: "Get challenge for one of order's identifiers",
		help: `Shows what to put in place for an identifier: for http-01 a file
/.well-known/acme-challenge/<challenge_token> with the contents challenge_auth; for dns-01 a TXT record
dns_record_name with the value dns_record_value; for tls-alpn-01 a certificate with the SHA-256 of
challenge_auth (RFC 8737).`,
		fields: challengeSelectors(true),
		operations: map[logical.Operation]operation{
			logical.ReadOperation: {summary: "Read a challenge of an order.", do: b.readChallenge, answers: answers},
		},
	})
}

func (b *backend) readChallenge(ctx context.Context, req *request) (*logical.Response, error) {
	o, value, t, err := b.selected(ctx, req)
	if err != nil {
		return nil, err
	}
	if o.Authorization(value) == nil && !allShown(o) {
		return nil, conflict("order %s is %s: the CA has not shown this challenge yet; %s", o.ID, o.State.Status(), waiting(o, b.now()))
	}
	a, c, err := o.Find(value, t)
	if err != nil {
		return nil, badRequest("%s %w", blamed(err), err)
	}
	ca, err := b.clientOf(ctx, req.Storage, o.Account)
	if err != nil {
		return nil, fromCA(err, "reading the account of the order")
	}
	p := &presented{o, a, c, ca.KeyAuthorization(c.Token)}
	data := challengeFields.Show(p)
	if t == acme.DNS01 {
		for name, value := range dnsFields.Show(p) {
			data[name] = value
		}
	}
	return &logical.Response{Data: data}, nil
}

// allShown tells whether the CA has shown every authorization of the order.
func allShown(o *order.Order) bool {
	return len(o.Authorizations) > 0 && !slices.ContainsFunc(o.Authorizations, func(a order.Authorization) bool {
		return a.Identifier.Value == ""
	})
}

// selected reads which challenge of which order a request means, for a caller who
// may see the order.
func (b *backend) selected(ctx context.Context, req *request) (o *order.Order, value string, t acme.ChallengeType, err error) {
	if o, err = b.orderOf(ctx, req); err != nil {
		return nil, "", "", err
	}
	value, t, err = challengeOf(o, req)
	return o, value, t, err
}

// challengeOf reads which challenge of an order a request means: the identifier
// as it was requested, or any other spelling of the same name.
func challengeOf(o *order.Order, req *request) (value string, t acme.ChallengeType, err error) {
	text := req.text("identifier")
	if text == "" {
		return "", "", badRequest("identifier is required: one of %s", strings.Join(o.Requested(), ", "))
	}
	if req.text("challenge_type") == "" {
		return "", "", badRequest("challenge_type is required: one of %v", o.Allowed)
	}
	if t, err = parseChallengeType(req.text("challenge_type")); err != nil {
		return "", "", badRequest("challenge_type %w", err)
	}
	id, err := identifier.Parse(text)
	if err != nil {
		return "", "", badRequest("identifier: %w", err)
	}
	return id.String(), t, nil
}

func (b *backend) pathFulfilledChallenge() *framework.Path {
	return b.path(endpoint{
		pattern: orderPattern("fulfilled-challenge"), suffix: "role-order-fulfilled-challenge",
		synopsis: "Report ready challenge for one of order's identifiers",
		help: `Reports that a challenge is in place. When every identifier has one, the CA is told to look. A
challenge that fails spoils the whole order, so report only what the CA can see already.`,
		fields: challengeSelectors(false),
		operations: map[logical.Operation]operation{
			logical.UpdateOperation: {summary: "Report a challenge as fulfilled.", do: b.fulfilledChallenge, empty: true},
		},
	})
}

func (b *backend) fulfilledChallenge(ctx context.Context, req *request) (*logical.Response, error) {
	o, value, t, err := b.selected(ctx, req)
	if err != nil {
		return nil, err
	}
	return nil, b.changeOrder(ctx, req.Storage, o.ID, func(o *order.Order) error { return b.fulfill(o, value, t) })
}

// blamed names the field of a request that an error of [order.Order.Find] is about.
func blamed(err error) string {
	if errors.Is(err, order.ErrUnknownIdentifier) {
		return "identifier"
	}
	return "challenge_type"
}

// fulfill notes a report. One that says nothing new must not touch the record:
// a step that is being taken would be taken again.
func (b *backend) fulfill(o *order.Order, value string, t acme.ChallengeType) error {
	var before acme.ChallengeType
	if a := o.Authorization(value); a != nil {
		before = a.Fulfilled
	}
	switch {
	case o.State == order.StateCompleted && before == t:
		return errUnchanged // said again by somebody who did not hear the first answer
	case o.Final():
		return conflict("order %s is %s; there is nothing to be proven any more", o.ID, o.State.Status())
	}
	err := o.Fulfill(value, t, b.now())
	switch {
	case errors.Is(err, order.ErrNotAwaiting), errors.Is(err, order.ErrNotPending):
		return conflict("order %s: %w", o.ID, err)
	case err != nil:
		return badRequest("order %s: %s %w", o.ID, blamed(err), err)
	case before == t:
		return errUnchanged
	}
	return nil
}
