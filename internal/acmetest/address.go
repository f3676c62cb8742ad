package acmetest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/letsencrypt/challtestsrv"
)

// The library's answer to tls-alpn-01 is for names only. An address is asked for
// by its name in the reverse tree of DNS, and proven by a certificate that holds
// the address itself (RFC 8738 §6).

// reversed reads a name below in-addr.arpa or ip6.arpa (RFC 1035 §3.5,
// RFC 3596 §2.5).
func reversed(name string) (netip.Addr, bool) {
	name = strings.TrimSuffix(name, ".")
	if labels, ok := strings.CutSuffix(name, ".in-addr.arpa"); ok {
		return parsed(labels, ".", 1)
	}
	if labels, ok := strings.CutSuffix(name, ".ip6.arpa"); ok {
		return parsed(labels, ":", 4)
	}
	return netip.Addr{}, false
}

// parsed turns labels around and joins so many of them to each part of an address.
func parsed(labels, separator string, each int) (netip.Addr, bool) {
	digits := strings.Split(labels, ".")
	slices.Reverse(digits)
	var parts []string
	for part := range slices.Chunk(digits, each) {
		parts = append(parts, strings.Join(part, ""))
	}
	address, err := netip.ParseAddr(strings.Join(parts, separator))
	return address, err == nil
}

// certifyAddress makes the certificate that proves an address (RFC 8737 §3).
func certifyAddress(key crypto.Signer, address netip.Addr, keyAuth string) (*tls.Certificate, error) {
	digest := sha256.Sum256([]byte(keyAuth))
	proof, err := asn1.Marshal(digest[:])
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{address.AsSlice()},
		ExtraExtensions: []pkix.Extension{{Id: challtestsrv.IDPeAcmeIdentifier, Critical: true, Value: proof}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
