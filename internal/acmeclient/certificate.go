package acmeclient

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	lego "github.com/go-acme/lego/v4/acme"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

const (
	// maxChain bounds how many certificates a chain may have.
	maxChain = 10
	pemChain = "application/pem-certificate-chain"
)

// Certificate downloads a certificate, by its own URL or that of an alternate
// chain (RFC 8555 §7.4.2). There is at least the leaf. It can be repeated at will.
func (c *Client) Certificate(ctx context.Context, url string) (acme.Chain, error) {
	a, err := c.read(ctx, request{doing: "downloading the certificate", url: url, accept: pemChain})
	if err != nil {
		return acme.Chain{}, err
	}
	certificates, err := parseChain(a.body)
	if err != nil {
		return acme.Chain{}, a.unreachable(fmt.Errorf("the answer (HTTP status %d) is not a certificate chain: %w", a.status, err))
	}
	chain := acme.Chain{Certificates: certificates}
	for _, ref := range links(a.header.Values("Link"), "alternate") {
		if u, err := resolve(a.url, ref); err == nil {
			chain.Alternates = append(chain.Alternates, u)
		}
	}
	return chain, nil
}

// parseChain accepts certificates only: whoever could slip in another kind of
// block would reach every program that is given the chain (RFC 8555 §9.1).
func parseChain(text []byte) ([][]byte, error) {
	var chain [][]byte
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("there is a %q in it", upstream.Clean(block.Type, maxExcerpt))
		case len(chain) == maxChain:
			return nil, fmt.Errorf("it has more than %d certificates", maxChain)
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, errors.New("there is no PEM certificate in it")
	}
	return chain, nil
}

// Revoke revokes a certificate of the account (RFC 8555 §7.6). The reason is
// one of RFC 5280 §5.3.1. Where it has been revoked before, the problem is of
// type alreadyRevoked.
func (c *Client) Revoke(ctx context.Context, certificateDER []byte, reason int) error {
	d, err := c.server.endpoints(ctx)
	if err != nil {
		return err
	}
	if d.revokeCert == "" {
		return missing("revokeCert")
	}
	message := lego.RevokeCertMessage{Certificate: base64.RawURLEncoding.EncodeToString(certificateDER)}
	if reason > 0 { // RFC 5280 §5.3.1: "unspecified" is said by saying nothing
		code := uint(reason)
		message.Reason = &code
	}
	_, err = c.send(ctx, request{doing: "revoking a certificate at", url: d.revokeCert}, message)
	return err
}
