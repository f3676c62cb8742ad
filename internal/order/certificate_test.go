package order

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

func TestCheckCertificate(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	www := acme.Identifier{Type: acme.DNS, Value: "www.example.com"}
	star := acme.Identifier{Type: acme.DNS, Value: "*.example.com"}
	v4 := acme.Identifier{Type: acme.IP, Value: "192.0.2.1"}
	v6 := acme.Identifier{Type: acme.IP, Value: "2001:db8::1"}
	csr, err := MakeCSR(key, []acme.Identifier{www}, SANsOnly)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(public crypto.PublicKey, until time.Duration, names []string, addresses ...net.IP) []byte {
		return sign(t, &x509.Certificate{
			SerialNumber: big.NewInt(0x8a17), DNSNames: names, IPAddresses: addresses,
			NotBefore: start.Add(-time.Hour), NotAfter: start.Add(until),
		}, public)
	}
	good := leaf(key.Public(), time.Hour, []string{"www.example.com"})
	by, err := theIssuer()
	if err != nil {
		t.Fatal(err)
	}
	ca := by.cert.Raw
	for _, test := range []struct {
		reason string
		chain  [][]byte
		ids    []acme.Identifier
		want   error
	}{
		{"leaf and issuer", [][]byte{good, ca}, []acme.Identifier{www}, nil},
		{"a leaf alone", [][]byte{good}, []acme.Identifier{www}, nil},
		{"a name in another case", [][]byte{leaf(key.Public(), time.Hour, []string{"WWW.Example.COM"})}, []acme.Identifier{www}, nil},
		{"more names than ordered", [][]byte{leaf(key.Public(), time.Hour, []string{"example.com", "www.example.com"})}, []acme.Identifier{www}, nil},
		{"addresses", [][]byte{leaf(key.Public(), time.Hour, nil, net.IP{192, 0, 2, 1}, net.ParseIP("2001:db8::1"))}, []acme.Identifier{v4, v6}, nil},
		{"no certificate", nil, []acme.Identifier{www}, ErrNoChain},
		{"another key", [][]byte{leaf(newKey(t).Public(), time.Hour, []string{"www.example.com"})}, []acme.Identifier{www}, ErrOtherKey},
		{"a key of another kind", [][]byte{leaf(newRSAKey(t).Public(), time.Hour, []string{"www.example.com"})}, []acme.Identifier{www}, ErrOtherKey},
		{"the issuer first", [][]byte{ca, good}, []acme.Identifier{www}, ErrOtherKey},
		{"a name is missing", [][]byte{good}, []acme.Identifier{www, star}, ErrMissingName},
		{"a wildcard covers the name, but does not name it", [][]byte{leaf(key.Public(), time.Hour, []string{"*.example.com"})}, []acme.Identifier{www}, ErrMissingName},
		{"an address is missing", [][]byte{good}, []acme.Identifier{www, v4}, ErrMissingName},
		{"an address written as a name", [][]byte{leaf(key.Public(), time.Hour, []string{"192.0.2.1"})}, []acme.Identifier{v4}, ErrMissingName},
		{"over a second ago", [][]byte{leaf(key.Public(), -time.Second, []string{"www.example.com"})}, []acme.Identifier{www}, ErrOver},
		{"over just now", [][]byte{leaf(key.Public(), 0, []string{"www.example.com"})}, []acme.Identifier{www}, ErrOver},
		{"an issuer that is no certificate", [][]byte{good, []byte("garbage")}, []acme.Identifier{www}, ErrUnreadableCA},
	} {
		cert, err := CheckCertificate(test.chain, csr, test.ids, start)
		if !errors.Is(err, test.want) || (err == nil) != (cert != nil) {
			t.Errorf("%s: %v, want %v", test.reason, err, test.want)
		}
	}
	for reason, chain := range map[string][][]byte{"garbage": {[]byte("garbage")}, "an empty leaf": {nil}} {
		if _, err := CheckCertificate(chain, csr, []acme.Identifier{www}, start); err == nil {
			t.Errorf("%s: accepted", reason)
		}
	}
	if _, err := CheckCertificate([][]byte{good}, nil, []acme.Identifier{www}, start); err == nil {
		t.Error("accepted without a CSR")
	}
}

func TestCheckCertificateSaysWhatIsStored(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	www := acme.Identifier{Type: acme.DNS, Value: "www.example.com"}
	csr, err := MakeCSR(key, []acme.Identifier{www}, SANsOnly)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	chain := leafRules{}.issue(t, request, []acme.Identifier{www}, start)
	cert, err := CheckCertificate(chain, csr, []acme.Identifier{www}, start)
	if err != nil {
		t.Fatal(err)
	}
	if cert.Serial != "8a:17" || cert.AuthorityKeyID != "0a:ca" || !cert.NotBefore.Equal(start) || !cert.NotAfter.Equal(start.AddDate(0, 0, 90)) {
		t.Errorf("%+v", cert)
	}
	if string(cert.DER()) != string(chain[0]) || len(cert.Chain) != 1 {
		t.Errorf("the leaf is %x, the chain %q", cert.DER(), cert.Chain)
	}
	if block, rest := pem.Decode([]byte(cert.Chain[0])); block == nil || string(block.Bytes) != string(chain[1]) || len(rest) > 0 {
		t.Errorf("the issuer is stored as %q", cert.Chain[0])
	}
	if der := (&Certificate{Leaf: "no PEM"}).DER(); der != nil {
		t.Errorf("the DER of no PEM is %x", der)
	}
	alone, err := CheckCertificate(chain[:1], csr, []acme.Identifier{www}, start)
	if err != nil || alone.Chain == nil {
		t.Errorf("the chain of a leaf alone must be an empty list, not null: %+v, %v", alone, err)
	}
}
