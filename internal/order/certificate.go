package order

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// Certificate is an issued certificate and what is said about it, as stored.
type Certificate struct {
	// Leaf and Chain are PEM; the chain is the issuers, nearest first, as the
	// CA sent them.
	Leaf  string   `json:"leaf"`
	Chain []string `json:"chain"`
	// Serial and AuthorityKeyID are lower-case hex with colons.
	Serial         string    `json:"serial"`
	AuthorityKeyID string    `json:"authority_key_id"`
	NotBefore      time.Time `json:"not_before"`
	NotAfter       time.Time `json:"not_after"`
	// CertID is its name in renewal information (RFC 9773 §4.1), empty when it
	// has none.
	CertID string `json:"cert_id,omitempty"`
}

// Reasons not to use a certificate, though a CA signed it.
var (
	ErrOtherKey     = errors.New("it certifies another key than the order's")
	ErrMissingName  = errors.New("it does not name every identifier of the order")
	ErrOtherLeaf    = errors.New("it is another certificate")
	ErrOver         = errors.New("it has expired already")
	ErrNoChain      = errors.New("there is no certificate in the answer")
	ErrUnreadableCA = errors.New("an issuer in its chain cannot be read")
)

// CheckCertificate proves that a chain (DER, leaf first) answers the CSR: the
// CSR's key, all identifiers, not over yet.
func CheckCertificate(chain [][]byte, csr []byte, identifiers []acme.Identifier, now time.Time) (*Certificate, error) {
	if len(chain) == 0 {
		return nil, ErrNoChain
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("reading the order's CSR: %w", err)
	}
	switch {
	case !keys.Same(leaf.PublicKey, request.PublicKey):
		return nil, ErrOtherKey
	case !namesAll(leaf, identifiers):
		return nil, ErrMissingName
	case !usable(leaf.NotAfter, now):
		return nil, fmt.Errorf("%w, on %s", ErrOver, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	cert := &Certificate{
		Leaf: pemCertificate(chain[0]), Chain: make([]string, 0, len(chain)-1),
		Serial: FormatSerial(leaf.SerialNumber), AuthorityKeyID: colons(leaf.AuthorityKeyId),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
	}
	if id, err := acme.CertID(leaf); err == nil {
		cert.CertID = id
	}
	for _, der := range chain[1:] {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreadableCA, err)
		}
		cert.Chain = append(cert.Chain, pemCertificate(der))
	}
	return cert, nil
}

// namesAll tells whether each identifier is a subject alternative name: a
// wildcard that covers a name does not name it.
func namesAll(leaf *x509.Certificate, identifiers []acme.Identifier) bool {
	for _, id := range identifiers {
		named := slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return strings.EqualFold(name, id.Value) })
		if id.Type == acme.IP {
			named = slices.ContainsFunc(leaf.IPAddresses, net.ParseIP(id.Value).Equal)
		}
		if !named {
			return false
		}
	}
	return true
}

// usable tells whether a certificate is of any use to anybody.
func usable(notAfter, now time.Time) bool { return now.Before(notAfter) }

func pemCertificate(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// DER gives the leaf's bytes.
func (c *Certificate) DER() []byte {
	block, _ := pem.Decode([]byte(c.Leaf))
	if block == nil {
		return nil
	}
	return block.Bytes
}

// FormatSerial writes a serial number as Vault does: its bytes, without a sign,
// in lower-case hex with colons.
func FormatSerial(serial *big.Int) string {
	if serial.Sign() == 0 {
		return "00" // has no bytes; RFC 5280 §4.1.2.2 wants it handled
	}
	return colons(serial.Bytes())
}

// ErrSerial is the error about a text that is no serial number.
var ErrSerial = errors.New("is not a serial number: expected hex digits, with colons, hyphens or nothing between the bytes")

// longestSerial is the bound of RFC 5280 §4.1.2.2 in bytes, with room for a
// CA that does not keep it.
const longestSerial = 40

// ParseSerial accepts a serial number in hex with colons, hyphens or nothing
// between the bytes, in either case, and gives the form of [FormatSerial].
// Zeros in front, which other programs write or leave out, make no difference.
func ParseSerial(text string) (string, error) {
	digits := text
	if strings.ContainsAny(text, ":-") {
		bytes := strings.FieldsFunc(text, func(r rune) bool { return r == ':' || r == '-' })
		digits = strings.Join(bytes, "")
		if len(text) != 3*len(bytes)-1 || slices.ContainsFunc(bytes, func(b string) bool { return len(b) != 2 }) {
			return "", fmt.Errorf("%.100q %w", text, ErrSerial)
		}
	}
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) == 0 || len(raw) > longestSerial {
		return "", fmt.Errorf("%.100q %w", text, ErrSerial)
	}
	return FormatSerial(new(big.Int).SetBytes(raw)), nil
}

func colons(raw []byte) string {
	parts := make([]string, len(raw))
	for i, b := range raw {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}
