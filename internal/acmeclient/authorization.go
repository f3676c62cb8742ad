package acmeclient

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	lego "github.com/go-acme/lego/v4/acme"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// maxChallenges bounds what is kept; there are a handful of types.
const maxChallenges = 100

// wireAuthorization is the library's authorization, read leniently: a date or
// a challenge of an unknown kind that cannot be read must not hide the others.
type wireAuthorization struct {
	lego.Authorization
	Expires    string            `json:"expires"`
	Challenges []json.RawMessage `json:"challenges"`
}

type wireChallenge struct {
	lego.Challenge
	Validated json.RawMessage `json:"validated"`
	Error     *wireProblem    `json:"error"`
}

// Authorization reads an authorization (RFC 8555 §7.5).
func (c *Client) Authorization(ctx context.Context, url string) (acme.Authorization, error) {
	a, err := c.read(ctx, request{doing: "reading the authorization", url: url})
	if err != nil {
		return acme.Authorization{}, err
	}
	return a.authorization()
}

// Answer tells the CA that a challenge is fulfilled (RFC 8555 §7.5.1). It must
// be called once: a second answer asks for a retry, which CAs refuse. What
// becomes of it is seen in the authorization.
func (c *Client) Answer(ctx context.Context, challengeURL string) error {
	_, err := c.send(ctx, request{doing: "answering the challenge", url: challengeURL}, struct{}{})
	return err
}

// DeactivateAuthorization gives an authorization up (RFC 8555 §7.5.2), and
// with it every order that needs it.
func (c *Client) DeactivateAuthorization(ctx context.Context, url string) error {
	_, err := c.send(ctx, request{doing: "deactivating the authorization", url: url}, deactivation)
	return err
}

// authorization reads an authorization object (RFC 8555 §7.1.4).
func (a *answer) authorization() (acme.Authorization, error) {
	var wire wireAuthorization
	if err := a.decode(&wire); err != nil {
		return acme.Authorization{}, err
	}
	if wire.Status == "" || wire.Identifier.Value == "" {
		return acme.Authorization{}, a.unreachable(fmt.Errorf("the answer is not an authorization, it has no status or no identifier: %q", a.excerpt()))
	}
	authorization := acme.Authorization{
		URL: a.url, Status: statusOf(wire.Status), Expires: timeOf(wire.Expires),
		Identifier: cleanIdentifier(wire.Identifier.Type, wire.Identifier.Value),
		Wildcard:   wire.Wildcard, RetryAfter: a.retryAfter(),
	}
	// A CA that leaves the star in the identifier means the same thing.
	if base, star := strings.CutPrefix(authorization.Identifier.Value, "*."); star {
		authorization.Identifier.Value, authorization.Wildcard = base, true
	}
	for _, raw := range wire.Challenges[:min(len(wire.Challenges), maxChallenges)] {
		if challenge, ok := a.challenge(raw); ok {
			authorization.Challenges = append(authorization.Challenges, challenge)
		}
	}
	return authorization, nil
}

// challenge reads a challenge object (RFC 8555 §7.1.5). A token that is not
// base64url is left out: it becomes part of a path and of a DNS record.
func (a *answer) challenge(raw json.RawMessage) (acme.Challenge, bool) {
	var wire wireChallenge
	if err := json.Unmarshal(raw, &wire); err != nil || wire.Type == "" {
		return acme.Challenge{}, false
	}
	challenge := acme.Challenge{
		Type:   acme.ChallengeType(upstream.Clean(wire.Type, maxWord)),
		Status: statusOf(wire.Status), Error: wire.Error.problem(),
	}
	if isBase64URL(wire.Token) && len(wire.Token) <= maxURL {
		challenge.Token = wire.Token
	}
	if u, err := resolve(a.url, wire.URL); err == nil {
		challenge.URL = u
	}
	return challenge, true
}
