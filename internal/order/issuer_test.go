package order

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// leafRules are what may be wrong with a certificate.
type leafRules struct {
	otherKey bool
	omit     string // this name is left out
	expired  bool
	empty    bool // the answer holds no certificate
}

// newKey makes a key; only tests about other kinds need other kinds.
func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issuer is the CA's certificate in DER, with its key.
type issuer struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

var theIssuer = sync.OnceValues(func() (issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issuer{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Fake CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: start.Add(-time.Hour), NotAfter: start.AddDate(10, 0, 0), SubjectKeyId: []byte{0x0a, 0xca},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return issuer{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return issuer{key, cert}, err
})

// namedIssuer makes the certificate of another CA.
func namedIssuer(t testing.TB, name string) []byte {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: start, NotAfter: start.AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// sign makes a certificate from a template, in DER.
func sign(t testing.TB, template *x509.Certificate, public crypto.PublicKey) []byte {
	t.Helper()
	by, err := theIssuer()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, public, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// issue certifies a CSR for identifiers, for ninety days, and gives the chain.
func (r leafRules) issue(t testing.TB, request *x509.CertificateRequest, ids []acme.Identifier, now time.Time) [][]byte {
	t.Helper()
	if r.empty {
		return nil
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(0x8a17), NotBefore: now, NotAfter: now.AddDate(0, 0, 90)}
	for _, id := range ids {
		switch {
		case id.Value == r.omit:
		case id.Type == acme.IP:
			template.IPAddresses = append(template.IPAddresses, net.ParseIP(id.Value))
		default:
			template.DNSNames = append(template.DNSNames, id.Value)
		}
	}
	if r.expired {
		template.NotBefore, template.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
	}
	public := request.PublicKey
	if r.otherKey {
		public = newKey(t).Public()
	}
	leaf := sign(t, template, public)
	by, err := theIssuer()
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{leaf, by.cert.Raw}
}
