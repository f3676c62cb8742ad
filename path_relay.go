package pkiexternalca

import (
	"context"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/http01"
)

// relayPath is below the mount what CAs ask for below a host (RFC 8555 §8.3).
const relayPath = ".well-known/acme-challenge/"

// relayFields are the settings of the mount that concern the relay.
var relayFields = field.Set[mountConfig]{
	field.Bool("http_01_relay_disabled", "Answer no CA at .well-known/acme-challenge; challenges of roles with http_01_relay are left to callers.",
		func(c *mountConfig) *bool { return &c.RelayDisabled }).Label("HTTP-01 relay disabled"),
}

func (b *backend) relayPaths() []*framework.Path {
	return []*framework.Path{b.path(endpoint{
		pattern: `\.well-known/acme-challenge/(?P<token>[^/]+)`, suffix: "acme-challenge",
		synopsis: "Answer a CA that validates http-01",
		help: `Answers without authentication, in plain text, what a CA looks for at
http://<host>/.well-known/acme-challenge/<token>, for orders of roles with http_01_relay. Web servers pass
such requests on to here. http_01_relay_disabled at config switches it off.`,
		fields: map[string]*framework.FieldSchema{"token": nameField("Token of a challenge")},
		operations: map[logical.Operation]operation{
			logical.ReadOperation: {
				summary: "Answer a CA that validates http-01.", do: b.answerCA,
				answers: map[string]*framework.FieldSchema{}, // it is no JSON
			},
		},
	})}
}

// answerCA touches neither storage nor log: anybody may ask, as often as they like.
func (b *backend) answerCA(_ context.Context, req *request) (*logical.Response, error) {
	keyAuth, err := b.relay.Answer(req.text("token"))
	if err != nil {
		return plain(relayStatus[err], err.Error()+"\n"), nil
	}
	return plain(http.StatusOK, keyAuth), nil
}

var relayStatus = map[error]int{
	http01.ErrToken:    http.StatusBadRequest,
	http01.ErrUnknown:  http.StatusNotFound,
	http01.ErrBusy:     http.StatusTooManyRequests,
	http01.ErrStarting: http.StatusServiceUnavailable,
}

// plain is an answer for somebody who does not speak to Vault. Its body must be
// bytes: of a string Vault would decode what happens to be base64.
func plain(status int, body string) *logical.Response {
	return &logical.Response{Data: map[string]any{
		logical.HTTPStatusCode:         status,
		logical.HTTPContentType:        "text/plain; charset=utf-8",
		logical.HTTPCacheControlHeader: "no-store",
		logical.HTTPRawBody:            []byte(body),
	}}
}

// relayReady has the relay know what it does not know, unless the work has been
// stopped meanwhile.
func (b *backend) relayReady(ctx context.Context) {
	b.lifecycle.mu.Lock()
	defer b.lifecycle.mu.Unlock()
	if ctx.Err() == nil {
		b.relay.Ready()
	}
}
