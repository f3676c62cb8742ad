package order

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Population says how the identifiers get into a CSR that is made here.
type Population string

// The ways to populate a CSR.
const (
	// CNFirst puts the first identifier into the common name too, if it can be one.
	CNFirst Population = "cn_first"
	// SANsOnly leaves the subject empty.
	SANsOnly Population = "sans_only"
)

// longestCN is ub-common-name of RFC 5280, in characters.
const longestCN = 64

// MakeCSR makes the CSR for identifiers: exactly these, all as subject
// alternative names (RFC 8555 §7.4). A name that cannot be a common name (too
// long, an IP address) is left out there instead of failing the order.
func MakeCSR(key crypto.Signer, identifiers []acme.Identifier, p Population) ([]byte, error) {
	if len(identifiers) == 0 {
		return nil, errors.New("making the CSR: there is no identifier to name in it")
	}
	var template x509.CertificateRequest
	for _, id := range identifiers {
		if id.Type != acme.IP {
			template.DNSNames = append(template.DNSNames, id.Value)
			continue
		}
		address := net.ParseIP(id.Value)
		if address == nil {
			return nil, fmt.Errorf("making the CSR: %q is not an IP address", id.Value)
		}
		template.IPAddresses = append(template.IPAddresses, address)
	}
	if first := identifiers[0]; p == CNFirst && first.Type == acme.DNS && len(first.Value) <= longestCN {
		template.Subject = pkix.Name{CommonName: first.Value}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		return nil, fmt.Errorf("making the CSR: %w", err)
	}
	return der, nil
}

// CSR is a certificate signing request that has been found fit to be sent.
type CSR struct {
	DER       []byte
	PublicKey crypto.PublicKey
	// Names holds the DNS names as written: the subject alternative names, then
	// each common name that is none of them.
	Names []string
	// Addresses holds the IP addresses among the subject alternative names. Four
	// bytes are an IPv4 address, sixteen an IPv6 address.
	Addresses []netip.Addr
}

// Reasons to refuse a CSR.
var (
	ErrNoCSR     = errors.New("is not a PEM certificate request; expected a block CERTIFICATE REQUEST")
	ErrLongCSR   = errors.New("is longer than 64 KiB, which a hundred names do not take")
	ErrSignature = errors.New("is signed with a weak algorithm; use SHA-256 or better")
	ErrRSASize   = errors.New("has an RSA key of fewer than 2048 or more than 8192 bits")
	ErrSANType   = errors.New("holds a subject alternative name that is neither a DNS name nor an IP address")
	ErrLongCN    = errors.New("has a common name of more than 64 characters (RFC 5280); leave it out, the subject alternative names are enough")
	ErrAddressCN = errors.New("has an IP address for a common name that is not among its subject alternative names; make it one of them, as an IP address")
	ErrTextCN    = errors.New("has a common name that is not a text")
	ErrNoNames   = errors.New("names no identifier")
	ErrExtraText = errors.New("is followed by other text; send one certificate request alone")
)

const (
	// longestCSR is in bytes. Without a bound a caller could fill the storage.
	longestCSR = 64 << 10
	// The sizes of RSA keys in bits. The upper bound is for us: the time to check
	// a signature grows with the square.
	shortestRSA, longestRSA = 2048, 8192
)

// ParseCSR reads a PEM certificate request and refuses what no CA could certify
// for identifiers: weak keys and signatures, and names of other types. Text
// before the request is passed over, because openssl writes some.
func ParseCSR(text string) (*CSR, error) {
	if len(text) > longestCSR {
		return nil, ErrLongCSR
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || (block.Type != "CERTIFICATE REQUEST" && block.Type != "NEW CERTIFICATE REQUEST") {
		return nil, ErrNoCSR
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, ErrExtraText
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if err := strong(req); err != nil {
		return nil, err
	}
	if err := onlyIdentifiers(req); err != nil {
		return nil, err
	}
	csr := &CSR{DER: block.Bytes, PublicKey: req.PublicKey, Names: slices.Clone(req.DNSNames), Addresses: addressesOf(req)}
	if err := csr.addCommonNames(req); err != nil {
		return nil, err
	}
	if len(csr.Names)+len(csr.Addresses) == 0 {
		return nil, ErrNoNames
	}
	return csr, nil
}

func strong(req *x509.CertificateRequest) error {
	switch req.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return ErrSignature
	}
	if key, ok := req.PublicKey.(*rsa.PublicKey); ok && (key.N.BitLen() < shortestRSA || key.N.BitLen() > longestRSA) {
		return ErrRSASize
	}
	if err := req.CheckSignature(); err != nil {
		return fmt.Errorf("is not signed by its own key: %w", err)
	}
	return nil
}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidCommonName     = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// Tags of a GeneralName (RFC 5280 §4.2.1.6).
const (
	tagDNSName   = 2
	tagIPAddress = 7
)

// onlyIdentifiers looks at the raw extension, because crypto/x509 passes over the types
// of names that it has no field for.
func onlyIdentifiers(req *x509.CertificateRequest) error {
	for _, ext := range req.Extensions {
		if !ext.Id.Equal(oidSubjectAltName) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return errors.New("has subject alternative names that cannot be read")
		}
		for _, name := range names {
			if name.Class != asn1.ClassContextSpecific || name.Tag != tagDNSName && name.Tag != tagIPAddress {
				return fmt.Errorf("%w: type %s", ErrSANType, sanType(name.Tag))
			}
		}
	}
	return nil
}

func sanType(tag int) string {
	types := []string{"otherName", "rfc822Name (e-mail)", "dNSName", "x400Address", "directoryName", "ediPartyName", "URI", "iPAddress", "registeredID"}
	if tag >= 0 && tag < len(types) {
		return types[tag]
	}
	return fmt.Sprintf("%d", tag)
}

// addressesOf takes the addresses as they are: an IPv4 address in sixteen bytes is
// not made one of four, because the CA would see what was sent.
func addressesOf(req *x509.CertificateRequest) []netip.Addr {
	var out []netip.Addr
	for _, ip := range req.IPAddresses {
		if address, ok := netip.AddrFromSlice(ip); ok { // crypto/x509 has refused other lengths
			out = append(out, address)
		}
	}
	return out
}

// addCommonNames adds every name that a CA might certify besides the subject
// alternative names. A subject may hold any number of common names, of which
// crypto/x509 shows the last.
func (c *CSR) addCommonNames(req *x509.CertificateRequest) error {
	for _, attribute := range req.Subject.Names {
		if !attribute.Type.Equal(oidCommonName) {
			continue
		}
		cn, ok := attribute.Value.(string)
		switch {
		case !ok:
			return ErrTextCN
		case utf8.RuneCountInString(cn) > longestCN:
			return ErrLongCN
		}
		if err := c.addCommonName(cn); err != nil {
			return err
		}
	}
	return nil
}

func (c *CSR) addCommonName(cn string) error {
	if address, err := netip.ParseAddr(cn); err == nil {
		if !slices.Contains(c.Addresses, address) {
			return ErrAddressCN
		}
		return nil
	}
	if cn != "" && !slices.ContainsFunc(c.Names, func(n string) bool { return strings.EqualFold(n, cn) }) {
		c.Names = append(c.Names, cn)
	}
	return nil
}
