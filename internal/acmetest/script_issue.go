package acmetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// issuer is the signing part of a [ScriptServer].
type issuer struct {
	key          crypto.Signer
	intermediate *x509.Certificate
	roots        *x509.CertPool
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	rootKey, key := newKey(t), newKey(t)
	root := authority("Script Root")
	root = sign(t, root, root, rootKey.Public(), rootKey)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return &issuer{key: key, intermediate: sign(t, authority("Script Intermediate"), root, key.Public(), rootKey), roots: roots}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making the fake CA's key: %v", err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		t.Fatalf("making the fake CA's certificate: %v", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("reading the fake CA's certificate: %v", err)
	}
	return c
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, SerialNumber: serial(),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // cannot fail
	return n.Add(n, big.NewInt(1))
}

// certify signs what the CSR asks for. The mutex is held.
func (s *ScriptServer) certify(o *fakeOrder, r *Request) *acme.Problem {
	refuse := func(detail string) *acme.Problem {
		return &acme.Problem{Type: acme.BadCSR, Status: http.StatusBadRequest, Detail: detail}
	}
	var wish struct {
		CSR string `json:"csr"`
	}
	if err := r.Decode(&wish); err != nil {
		return refuse(err.Error())
	}
	der, _ := decodeSegment(wish.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return refuse(err.Error())
	}
	if got, want := len(csr.DNSNames)+len(csr.IPAddresses), len(o.identifiers); got != want {
		return refuse("the CSR does not have as many names as the order has identifiers")
	}
	template := leafTemplate(csr)
	if s.ca.template != nil {
		s.ca.template(template)
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, s.issuer.intermediate, template.PublicKey, s.issuer.key)
	if err != nil {
		return refuse(err.Error())
	}
	s.ca.serials[template.SerialNumber.String()] = false
	o.chain = append(block(leaf), block(s.issuer.intermediate.Raw)...)
	return nil
}

func leafTemplate(csr *x509.CertificateRequest) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: serial(), PublicKey: csr.PublicKey, DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func block(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
