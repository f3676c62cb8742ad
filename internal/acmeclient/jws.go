package acmeclient

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// signer is who signs a request: an account by its URL, or, when kid is empty,
// a key that the request itself carries (RFC 8555 §6.2).
type signer struct {
	key crypto.Signer
	kid string
}

type singleNonce string

func (n singleNonce) Nonce() (string, error) { return string(n), nil }

// sign makes the JWS for one request to one URL. A nil payload is that of
// POST-as-GET; an empty nonce leaves the nonce out, as an inner JWS must.
func (s signer) sign(url, nonce string, payload []byte) ([]byte, error) {
	algorithm, err := algorithmOf(s.key)
	if err != nil {
		return nil, err
	}
	return sign(jose.SigningKey{Algorithm: algorithm, Key: s.key}, s.kid, url, nonce, payload)
}

// sign is also for keys that are not those of accounts. Without a kid the
// public key is embedded.
func sign(key jose.SigningKey, kid, url, nonce string, payload []byte) ([]byte, error) {
	options := &jose.SignerOptions{EmbedJWK: kid == ""}
	options.WithHeader("url", url)
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	if nonce != "" {
		options.NonceSource = singleNonce(nonce)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return nil, fmt.Errorf("preparing to sign a request: %w", err)
	}
	if payload == nil {
		payload = []byte{} // go-jose leaves the member out otherwise
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("signing a request: %w", err)
	}
	return []byte(jws.FullSerialize()), nil
}

// algorithmOf is the one signature algorithm that goes with a key (RFC 7518 §3.1).
func algorithmOf(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256, nil
	case *ecdsa.PrivateKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return jose.ES256, nil
		case 384:
			return jose.ES384, nil
		case 521:
			return jose.ES512, nil
		}
		return "", fmt.Errorf("ACME requests cannot be signed with a key on the curve %s", k.Curve.Params().Name)
	}
	return "", fmt.Errorf("ACME requests cannot be signed with a key of type %T", key)
}

// keyAuthorization joins a challenge's token to the key (RFC 8555 §8.1). It is
// empty for a key that cannot have a thumbprint; none of those can sign either.
func keyAuthorization(key crypto.Signer, token string) string {
	jwk := jose.JSONWebKey{Key: key.Public()}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil || token == "" {
		return ""
	}
	return token + "." + base64.RawURLEncoding.EncodeToString(thumbprint)
}

// DNS01Value is what the TXT record for dns-01 holds: the digest of the key
// authorization, not the authorization itself (RFC 8555 §8.4).
func DNS01Value(keyAuthorization string) string {
	digest := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}
