package acmeclient

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Client speaks for one account. It is safe for concurrent use, and costs
// nothing to make: what is worth keeping belongs to the [Server].
type Client struct {
	server *Server
	who    signer
	limit  Limit // nil for none
}

// Limit bounds the requests that are under way at once.
type Limit interface {
	// Enter waits for a place, and fails when ctx ends before. Whoever has one
	// calls leave when done.
	Enter(ctx context.Context) (leave func(), err error)
}

// Account gives a client for an account, by the URL that the CA gave it and
// its current key.
func (s *Server) Account(url string, key crypto.Signer) *Client {
	return &Client{server: s, who: signer{key: key, kid: url}}
}

// Directory tells what the account's CA says about itself, see
// [Server.Directory].
func (c *Client) Directory(ctx context.Context) (acme.Directory, error) {
	return c.server.Directory(ctx)
}

// Within gives the same client with a bound: every verb holds a place from its
// first nonce to its answer, and its time begins when it has one.
func (c *Client) Within(limit Limit) *Client {
	return &Client{server: c.server, who: c.who, limit: limit}
}

// KeyAuthorization is what proves control of the account key in a challenge
// (RFC 8555 §8.1): the file's content for http-01, and what [DNS01Value]
// digests for dns-01. It changes with the key. It is empty for an empty token,
// which is that of a challenge nobody can fulfil.
func (c *Client) KeyAuthorization(token string) string {
	return keyAuthorization(c.who.key, token)
}

// UpdateContacts replaces the account's contacts; none removes them all
// (RFC 8555 §7.3.2).
func (c *Client) UpdateContacts(ctx context.Context, contacts []string) (acme.Account, error) {
	message := struct {
		Contact []string `json:"contact"` // must appear even when empty
	}{contactURLs(contacts)}
	return c.updateAccount(ctx, "updating the contacts of the account", message)
}

// Deactivate ends the account for ever (RFC 8555 §7.3.6). Its key cannot
// register again.
func (c *Client) Deactivate(ctx context.Context) (acme.Account, error) {
	return c.updateAccount(ctx, "deactivating the account", deactivation)
}

// deactivation is the message that ends an account or an authorization.
var deactivation = struct {
	Status acme.Status `json:"status"`
}{acme.StatusDeactivated}

func (c *Client) updateAccount(ctx context.Context, doing string, message any) (acme.Account, error) {
	a, err := c.send(ctx, request{doing: doing, url: c.who.kid}, message)
	if err != nil {
		return acme.Account{}, err
	}
	return a.account(c.who.kid)
}

// ChangeKey replaces the account's key (RFC 8555 §7.3.5). From then on the
// account is used through a client made with the new key. A problem with
// status 409 names in Location the account that has the new key already.
func (c *Client) ChangeKey(ctx context.Context, newKey crypto.Signer) error {
	d, err := c.server.endpoints(ctx)
	if err != nil {
		return err
	}
	if d.keyChange == "" {
		return missing("keyChange")
	}
	message, err := json.Marshal(struct {
		Account string          `json:"account"`
		OldKey  jose.JSONWebKey `json:"oldKey"`
	}{c.who.kid, jose.JSONWebKey{Key: c.who.key.Public()}})
	if err != nil {
		return fmt.Errorf("encoding the key change: %w", err)
	}
	inner, err := signer{key: newKey}.sign(d.keyChange, "", message)
	if err != nil {
		return fmt.Errorf("signing with the new key: %w", err)
	}
	r := request{doing: "changing the account key at", url: d.keyChange, payload: inner}
	_, err = c.post(ctx, r)
	return err
}

// send posts a message as JSON.
func (c *Client) send(ctx context.Context, r request, message any) (*answer, error) {
	payload, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encoding a message to the CA: %w", err)
	}
	r.payload = payload
	return c.post(ctx, r)
}

// read posts nothing: POST-as-GET (RFC 8555 §6.3).
func (c *Client) read(ctx context.Context, r request) (*answer, error) {
	return c.post(ctx, r)
}

func (c *Client) post(ctx context.Context, r request) (*answer, error) {
	if c.limit != nil {
		leave, err := c.limit.Enter(ctx)
		if err != nil {
			return nil, r.unreachable(fmt.Errorf("waiting until fewer requests are under way: %w", err))
		}
		defer leave()
	}
	return c.server.post(ctx, c.who, r)
}
