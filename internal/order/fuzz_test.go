package order

import (
	"crypto/x509"
	"encoding/json"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// FuzzCheckCertificate holds that nothing a CA sends for a certificate breaks the
// check, and that what passes can be stored, found by its serial number, and read
// again.
func FuzzCheckCertificate(f *testing.F) {
	key := newKey(f)
	www := acme.Identifier{Type: acme.DNS, Value: "www.example.com"}
	csr, err := MakeCSR(key, []acme.Identifier{www}, SANsOnly)
	if err != nil {
		f.Fatal(err)
	}
	for _, serial := range []int64{0, 1, 0x8a17, 1 << 62} {
		der := sign(f, &x509.Certificate{
			SerialNumber: big.NewInt(serial), DNSNames: []string{"www.example.com"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
			NotBefore: start.Add(-time.Hour), NotAfter: start.Add(time.Hour),
		}, key.Public())
		f.Add(der, []byte(nil))
		f.Add(der, der)
		f.Add(der[:len(der)/2], der[len(der)/2:])
	}
	f.Add([]byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, leaf, issuer []byte) {
		chain := [][]byte{leaf, issuer}
		if len(issuer) == 0 {
			chain = chain[:1]
		}
		cert, err := CheckCertificate(chain, csr, []acme.Identifier{www}, start)
		if (err == nil) != (cert != nil) {
			t.Fatalf("%+v, %v", cert, err)
		}
		if err != nil {
			return
		}
		if serial, err := ParseSerial(cert.Serial); err != nil || serial != cert.Serial {
			t.Errorf("the serial number %q is read as %q, %v", cert.Serial, serial, err)
		}
		if !slices.Equal(cert.DER(), leaf) || len(cert.Chain) != len(chain)-1 || !cert.NotAfter.After(start) {
			t.Errorf("what is kept of the certificate is %+v", cert)
		}
		if _, err := json.Marshal(cert); err != nil {
			t.Errorf("it cannot be stored: %v", err)
		}
	})
}

// FuzzParseHour holds that a bucket is named in one way.
func FuzzParseHour(f *testing.F) {
	for _, seed := range []string{"", "2026112309", "2026112324", "2026023000", "0000010100", "99991231230", "all", "+026112309", "20261123 9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bucket string) {
		if at, err := ParseHour(bucket); err == nil && HourOf(at) != bucket {
			t.Errorf("%q is %s, whose name is %q", bucket, at, HourOf(at))
		}
	})
}
