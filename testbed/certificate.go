package testbed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// serverCertificate is a certificate with its key, from a CA that was made for it alone and whose key is
// forgotten.
type serverCertificate struct {
	ca   []byte // PEM
	cert []byte // PEM
	key  []byte // PEM, PKCS #8
}

// newServerCertificate makes a TLS certificate for 127.0.0.1 and localhost.
func newServerCertificate() (serverCertificate, error) {
	leaf := template(2, "Test bed server")
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames, leaf.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	return newCertificate(leaf)
}

// newIssuingCA makes a CA that issues certificates below a root that was made for it alone.
func newIssuingCA() (serverCertificate, error) {
	issuer := template(2, "Test bed issuer")
	issuer.IsCA, issuer.BasicConstraintsValid, issuer.KeyUsage = true, true, x509.KeyUsageCertSign
	return newCertificate(issuer)
}

// newCertificate makes what a template describes, below a CA of its own.
func newCertificate(wish *x509.Certificate) (serverCertificate, error) {
	caKey, key, err := twoKeys()
	if err != nil {
		return serverCertificate{}, err
	}
	ca := template(1, "Test bed CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return serverCertificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, wish, ca, key.Public(), caKey)
	if err != nil {
		return serverCertificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return serverCertificate{}, err
	}
	return serverCertificate{
		ca:   toPEM("CERTIFICATE", caDER),
		cert: toPEM("CERTIFICATE", der),
		key:  toPEM("PRIVATE KEY", keyDER),
	}, nil
}

func twoKeys() (a, b *ecdsa.PrivateKey, err error) {
	if a, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	b, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return a, b, err
}

// template is what CA and leaf have in common. They are valid from an hour ago, for clocks that differ.
func template(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(30 * 24 * time.Hour),
	}
}

func toPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// ParseCertificate reads the first certificate of a PEM text.
func ParseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("no certificate in PEM form, but %.60q", text)
	}
	return x509.ParseCertificate(block.Bytes)
}
