package order

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

// KeyID names the key of a PEM certificate request, whatever else the request
// says: the SHA-256 of the key in its one DER form, in hex.
func KeyID(text string) (string, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "", ErrNoCSR
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("reading a certificate request: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(req.PublicKey)
	if err != nil {
		return "", fmt.Errorf("encoding the key of a certificate request: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}
