package pkiexternalca

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

// format is how a certificate is written in an answer.
type format string

const (
	formatPEM    format = "pem"
	formatDER    format = "der"
	formatBundle format = "pem_bundle"
)

var formats = []format{formatPEM, formatDER, formatBundle}

// delivery is a certificate on its way to a client.
type delivery struct {
	*order.Certificate
	format format
	key    secret.Text // empty in the CSR workflow
}

// certificateFields are what an answer with a certificate shows. Stock Vault
// Agent reads such answers: it schedules by expiration, which must be a number,
// and takes every text with a PEM block for part of the certificate.
var certificateFields = field.Set[delivery]{
	field.Shown("certificate", "The certificate in the requested format", framework.TypeString, (*delivery).leaf),
	field.Shown("ca_chain", "CA certificate chain", framework.TypeStringSlice, func(d *delivery) any { return d.chain() }),
	field.Shown("issuing_ca", "The certificate of the CA that issued", framework.TypeString, (*delivery).issuer),
	field.Shown("certificate_format", "Format of the returned certificate", framework.TypeString, func(d *delivery) any { return string(d.format) }),
	field.Shown("serial_number", "Certificate serial number", framework.TypeString, func(d *delivery) any { return d.Serial }),
	field.Shown("authority_key_id", "Authority key identifier", framework.TypeString, func(d *delivery) any { return d.AuthorityKeyID }),
	field.Shown("not_before", "Certificate validity start time (RFC3339)", framework.TypeString, func(d *delivery) any { return field.FormatTime(d.NotBefore) }),
	field.Shown("not_after", "Certificate validity end time (RFC3339)", framework.TypeString, func(d *delivery) any { return field.FormatTime(d.NotAfter) }),
	field.Shown("expiration", "Certificate validity end time in seconds since 1970", framework.TypeInt64, func(d *delivery) any { return d.NotAfter.Unix() }),
}

// keyFields are added where Vault made the key.
var keyFields = field.Set[delivery]{
	field.Shown("private_key", "Private key (only for identifier-based workflows)", framework.TypeString, func(d *delivery) any { return d.key.Reveal() }),
	field.Shown("private_key_type", "Private key type (only for identifier-based workflows)", framework.TypeString, (*delivery).keyType),
}

func (d *delivery) leaf() any {
	switch d.format {
	case formatDER:
		return toDER(d.Leaf)
	case formatBundle:
		return d.Leaf + strings.Join(d.Chain, "")
	}
	return d.Leaf
}

func (d *delivery) chain() []string {
	out := make([]string, len(d.Chain))
	for i, issuer := range d.Chain {
		out[i] = issuer
		if d.format == formatDER {
			out[i] = toDER(issuer)
		}
	}
	return out
}

func (d *delivery) issuer() any {
	if chain := d.chain(); len(chain) > 0 {
		return chain[0]
	}
	return ""
}

func (d *delivery) keyType() any { return keys.TypeName(d.key.Reveal()) }

// toDER writes a PEM certificate as base64 of its DER.
func toDER(text string) string {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(block.Bytes)
}

func (d *delivery) response() *logical.Response {
	data := certificateFields.Show(d)
	if d.key != "" {
		for name, value := range keyFields.Show(d) {
			data[name] = value
		}
	}
	return &logical.Response{Data: data}
}

// deliveredFields describes an answer with a certificate.
func deliveredFields() map[string]*framework.FieldSchema {
	out := certificateFields.Shown()
	for name, schema := range keyFields.Shown() {
		out[name] = schema
	}
	return out
}

// formatField lets a request choose the format.
var formatField = &framework.FieldSchema{
	Type: framework.TypeString, Default: string(formatPEM), AllowedValues: oneOf(formats), Query: true,
	Description: "Format of the certificate: pem; der, in base64; or pem_bundle, the certificate with its chain",
}

func parseFormat(text string) (format, error) {
	if f := format(text); slices.Contains(formats, f) {
		return f, nil
	}
	return "", badRequest("certificate_format %.64q is not one of %v", text, formats)
}

func (b *backend) certificatePaths() []*framework.Path {
	return []*framework.Path{b.pathFetchCert(), b.pathCached(), b.pathIssue(), b.pathRevoke()}
}

func (b *backend) pathFetchCert() *framework.Path {
	return b.path(endpoint{
		pattern: orderPattern("fetch-cert"), suffix: "role-order-fetch-cert",
		synopsis: "Fetch the certificate for a completed order",
		help:     `Gives the certificate of a completed order, and its private key if Vault made it.`,
		fields:   orderRequestFields(map[string]*framework.FieldSchema{"certificate_format": formatField}),
		operations: map[logical.Operation]operation{
			logical.ReadOperation: {summary: "Fetch the certificate of an order.", do: b.fetchCert, answers: deliveredFields()},
		},
	})
}

func (b *backend) fetchCert(ctx context.Context, req *request) (*logical.Response, error) {
	f, err := parseFormat(req.text("certificate_format"))
	if err != nil {
		return nil, err
	}
	o, err := b.orderOf(ctx, req)
	if err != nil {
		return nil, err
	}
	if o.State != order.StateCompleted {
		return nil, b.notCompleted(o)
	}
	d, err := deliver(ctx, req.Storage, o, f)
	if err != nil {
		return nil, err
	}
	c, err := chargeOfOrder(ctx, req.Storage, o)
	if err != nil {
		return nil, err
	}
	return d.response(), b.fetched(ctx, req.Storage, c)
}

func (b *backend) notCompleted(o *order.Order) error {
	why := ""
	if o.LastError != "" {
		why = " (" + o.LastError + ")"
	}
	return conflict("order %s is %s, not completed%s; %s", o.ID, o.State.Status(), why, waiting(o, b.now()))
}

// deliver reads an order's certificate, and its key if Vault made it.
func deliver(ctx context.Context, s logical.Storage, o *order.Order, f format) (*delivery, error) {
	cert, err := certificates.Get(ctx, s, orderPath(o.ID))
	if err != nil {
		return nil, err
	}
	d := &delivery{Certificate: cert, format: f}
	if o.RequestCSR != "" {
		return d, nil
	}
	stored, err := orderKeys.Get(ctx, s, orderPath(o.ID))
	if err != nil {
		return nil, err
	}
	d.key = stored.Key
	return d, nil
}

func (b *backend) pathCached() *framework.Path {
	return b.path(endpoint{
		pattern: "role/" + framework.GenericNameRegex("name") + "/cached", suffix: "role-cached",
		synopsis: "Retrieve a previously issued certificate from cache",
		help: `Gives the certificate, with its key, that was issued last for exactly these identifiers in the
identifier workflow, if it is valid long enough. No order is made.`,
		fields: map[string]*framework.FieldSchema{
			"name":        nameField("Name of the role"),
			"identifiers": {Type: framework.TypeCommaStringSlice, Query: true, Required: true, Description: "List of identifiers in the certificate, in any order"},
			"min_validity_duration": {
				Type: framework.TypeDurationSecond, Query: true,
				Description: "How long the certificate must be valid from now on",
			},
			"min_validity_percentage": {
				Type: framework.TypeInt, Query: true,
				Description: "How much of its lifetime the certificate must have left, from 0 to 100",
			},
			"certificate_format": formatField,
		},
		operations: map[logical.Operation]operation{
			logical.ReadOperation: {summary: "Read the certificate issued last for a set of identifiers.", do: b.readCached, answers: withOutlookFields(deliveredFields()), anywhere: true},
		},
	})
}

func (b *backend) readCached(ctx context.Context, req *request) (*logical.Response, error) {
	f, err := parseFormat(req.text("certificate_format"))
	if err != nil {
		return nil, err
	}
	enough, err := b.validity(req)
	if err != nil {
		return nil, err
	}
	c, err := b.currentCharge(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := b.fetched(ctx, req.Storage, c); err != nil {
		return nil, err
	}
	d, err := deliver(ctx, req.Storage, c.order, f)
	if err != nil {
		return nil, err
	}
	if err := enough(d.Certificate); err != nil {
		return nil, b.lateness(c, err)
	}
	return b.withOutlook(d.response(), c), nil
}

// currentCharge finds the certificate that is served for the identifiers of a
// request, if the caller may order them now.
func (b *backend) currentCharge(ctx context.Context, req *request) (*charge, error) {
	r, err := roles.Get(ctx, req.Storage, req.text("name"))
	if err != nil {
		return nil, err
	}
	named, err := parseIdentifiers(req.list("identifiers"))
	if err != nil {
		return nil, badRequest("identifiers: %w", err)
	}
	if err := notYours(r.Name, b.mayOrder(req.EntityID, r, named.ids)); err != nil {
		return nil, err
	}
	wanted := order.Order{Role: r.Name, Identifiers: named.list}
	path, err := currentPath(&wanted)
	if err != nil {
		return nil, err
	}
	at, err := readStanding(ctx, req.Storage, path)
	if err != nil {
		return nil, err
	}
	if at.Order == "" {
		return nil, notFound("no certificate was issued by role %q for exactly these identifiers: %s", r.Name, strings.Join(wanted.Values(), ", "))
	}
	o, err := orders.Get(ctx, req.Storage, orderPath(at.Order))
	if err != nil {
		return nil, err
	}
	if servable(o) {
		return &charge{path: path, standing: at, order: o, role: r}, nil
	}
	return nil, notFound("the certificate issued last for these identifiers (order %s) is not served: the order is %s", o.ID, o.State.Status())
}

// servable tells whether the certificate of the order that has it last may be
// given away. An order that is not final is about to be completed: its
// certificate was stored before it became the last one.
func servable(o *order.Order) bool { return o.State == order.StateCompleted || !o.Final() }

// validity reads how long a certificate must be good for.
func (b *backend) validity(req *request) (func(*order.Certificate) error, error) {
	seconds, hasDuration := req.fields.GetOk("min_validity_duration")
	percentage, hasPercentage := req.fields.GetOk("min_validity_percentage")
	now := b.now()
	switch {
	case hasDuration && hasPercentage:
		return nil, badRequest("min_validity_duration and min_validity_percentage were both sent; send one")
	case hasPercentage:
		p := percentage.(int)
		if p < 0 || p > 100 {
			return nil, badRequest("min_validity_percentage must be from 0 to 100, not %d", p)
		}
		return func(c *order.Certificate) error {
			life := c.NotAfter.Sub(c.NotBefore)
			return leaves(c, now, max(life/100*time.Duration(p), 1), fmt.Sprintf("%d%% of its lifetime", p))
		}, nil
	case hasDuration:
		d := time.Duration(seconds.(int)) * time.Second
		return func(c *order.Certificate) error { return leaves(c, now, max(d, 1), d.String()) }, nil
	}
	return func(c *order.Certificate) error { return leaves(c, now, 1, "any time") }, nil
}

// leaves answers 404 when a certificate is not valid for a time from now on.
func leaves(c *order.Certificate, now time.Time, least time.Duration, wanted string) error {
	if c.NotAfter.Sub(now) >= least {
		return nil
	}
	return notFound("the certificate issued last for these identifiers is valid until %s, which does not leave %s; order a new one", field.FormatTime(c.NotAfter), wanted)
}
