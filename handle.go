package pkiexternalca

import (
	"context"
	"regexp"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
)

// HandleRequest answers a request as the framework does, but for two answers of
// the framework's own: the OpenAPI description, which would reach clients
// without its bodies, and the refusal of a value of a wrong type, which would
// repeat the value.
//
// Whatever is asked of the storage of a request goes through the cache.
func (b *backend) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	inner := *req
	inner.Storage = b.records.Over(req.Storage)
	resp, err := b.Backend.HandleRequest(ctx, &inner)
	switch {
	case err != nil || resp == nil:
		return resp, err
	case req.Operation == logical.HelpOperation && req.Path == "":
		return resp, keepReferences(resp)
	case resp.IsError():
		return b.withoutValue(req, resp), nil
	}
	return resp, nil
}

// HandleExistenceCheck tells whether the object of a path exists, by the path
// alone. With the request's data the framework would check their types too, and
// Vault would answer 500 for a wrong one.
func (b *backend) HandleExistenceCheck(ctx context.Context, req *logical.Request) (checked, exists bool, err error) {
	if strings.Contains(req.Path, "..") {
		return true, false, nil // the handler says why it cannot be
	}
	bare := *req
	bare.Data, bare.Storage = nil, b.records.Over(req.Storage)
	return b.Backend.HandleExistenceCheck(ctx, &bare)
}

// misfit is how the framework refuses a value. What follows quotes the value,
// which may be a key, and audit logs hold the texts of errors in the clear.
var misfit = regexp.MustCompile(`^Field validation failed: error converting input for field "([a-z_]+)": `)

// withoutValue says which field is wrong, and what it has to be, instead.
func (b *backend) withoutValue(req *logical.Request, resp *logical.Response) *logical.Response {
	text, _ := resp.Data["error"].(string)
	found := misfit.FindStringSubmatch(text)
	if found == nil {
		return resp
	}
	form := "of another type"
	if schema := b.Route(req.Path).Fields[found[1]]; schema != nil {
		form = field.Form(schema.Type)
	}
	return logical.ErrorResponse("%s must be %s", found[1], form)
}
