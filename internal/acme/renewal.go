package acme

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// RenewalInfo is what a server says about the renewal of a certificate
// (RFC 9773 §4.2).
type RenewalInfo struct {
	// Start and End are the window in which the server would have the
	// certificate replaced. The window is not checked: an End that is not after
	// the Start means no window at all (§4.2).
	Start, End time.Time
	// ExplanationURL is a page for a human that says why, "" without one.
	ExplanationURL string
	// RetryAfter is when the server wants to be asked again; 0 when it did not say.
	RetryAfter time.Duration
}

// ErrNoCertID is wrapped by every error about a certificate that renewal
// information cannot be asked for.
var ErrNoCertID = errors.New("the certificate has no ARI identifier")

// CertID is the name of a certificate in renewal information and in the
// replaces of an order (RFC 9773 §4.1): the key identifier of its issuer's key
// and its serial number, the latter as the bytes of its DER, which have a
// leading zero where the number would be negative otherwise.
func CertID(leaf *x509.Certificate) (string, error) {
	if len(leaf.AuthorityKeyId) == 0 {
		return "", fmt.Errorf("%w: it does not name its issuer's key (authorityKeyIdentifier)", ErrNoCertID)
	}
	serial, err := integer(leaf.SerialNumber)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoCertID, err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode(leaf.AuthorityKeyId) + "." + encode(serial), nil
}

// integer gives the content bytes of an integer's DER.
func integer(n *big.Int) ([]byte, error) {
	der, err := asn1.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("encoding its serial number: %w", err)
	}
	var raw asn1.RawValue
	if _, err := asn1.Unmarshal(der, &raw); err != nil {
		return nil, fmt.Errorf("encoding its serial number: %w", err)
	}
	return raw.Bytes, nil
}
