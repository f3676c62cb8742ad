package order

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
)

// generalName is a subject alternative name of any type (RFC 5280 §4.2.1.6).
type generalName struct {
	tag      int
	compound bool
	bytes    []byte
}

func dnsName(name string) generalName { return generalName{tag: tagDNSName, bytes: []byte(name)} }

// sanExtension builds by hand what crypto/x509 has no fields for.
func sanExtension(t testing.TB, names ...generalName) pkix.Extension {
	t.Helper()
	var raw []asn1.RawValue
	for _, n := range names {
		raw = append(raw, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: n.tag, IsCompound: n.compound, Bytes: n.bytes})
	}
	return pkix.Extension{Id: oidSubjectAltName, Value: marshal(t, raw)}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// subject builds a distinguished name of common names, each in a type of its own.
func subject(t testing.TB, commonNames ...any) []byte {
	t.Helper()
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value any
	}
	var rdns []asn1.RawValue
	for _, cn := range commonNames {
		set := asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagSet, IsCompound: true, Bytes: marshal(t, attribute{oidCommonName, cn})}
		rdns = append(rdns, asn1.RawValue{FullBytes: marshal(t, set)})
	}
	return marshal(t, rdns)
}

// request makes a PEM request from a template with a P-256 key.
func request(t testing.TB, template *x509.CertificateRequest) string {
	t.Helper()
	return requestWith(t, template, newKey(t))
}

func requestWith(t testing.TB, template *x509.CertificateRequest, key crypto.Signer) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pemRequest(der)
}

func pemRequest(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// broken changes the last byte of a request, which belongs to its signature.
func broken(text string) string {
	block, _ := pem.Decode([]byte(text))
	block.Bytes[len(block.Bytes)-1] ^= 1
	return pemRequest(block.Bytes)
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newRSAKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// anyRSA is a request whose key has a modulus of so many bits. Nobody has the
// private key of it, so that the signature is wrong.
func anyRSA(t testing.TB, bits uint) string {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), bits-1)
	public, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus.SetBit(modulus, 0, 1), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	type info struct {
		Version    int
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Attributes []asn1.RawValue `asn1:"tag:0"`
	}
	type envelope struct {
		Info      info
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	return pemRequest(marshal(t, envelope{
		Info:      info{Subject: asn1.RawValue{FullBytes: subject(t, "www.example.com")}, PublicKey: asn1.RawValue{FullBytes: public}},
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue},
		Signature: asn1.BitString{Bytes: make([]byte, bits/8), BitLength: int(bits)},
	}))
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}
