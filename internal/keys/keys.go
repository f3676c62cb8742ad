// Package keys makes, stores and reads the private keys of accounts and
// certificates.
//
// A kind of key has one name on the wire ("ec-256", "rsa-4096"); this package
// is the only place that knows what each name means. Keys are written in the
// traditional PEM forms that clients of Vault's PKI engines expect: SEC 1 for
// elliptic curves, PKCS #1 for RSA; they are read in those and in PKCS #8.
package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind is a kind of key by its name on the wire.
type Kind string

// The kinds of key. RSA8192 is for accounts only: no public CA certifies one.
const (
	EC256   Kind = "ec-256"
	EC384   Kind = "ec-384"
	EC521   Kind = "ec-521"
	RSA2048 Kind = "rsa-2048"
	RSA4096 Kind = "rsa-4096"
	RSA8192 Kind = "rsa-8192"
)

var (
	// AccountKinds are those an account key may have.
	AccountKinds = []Kind{EC256, EC384, EC521, RSA2048, RSA4096, RSA8192}
	// CertificateKinds are those a certificate's key may have.
	CertificateKinds = []Kind{EC256, EC384, EC521, RSA2048, RSA4096}
)

var curves = map[Kind]elliptic.Curve{EC256: elliptic.P256(), EC384: elliptic.P384(), EC521: elliptic.P521()}

var sizes = map[Kind]int{RSA2048: 2048, RSA4096: 4096, RSA8192: 8192} // bits

// ParseKind accepts a name that is one of allowed; the error lists them.
func ParseKind(name string, allowed []Kind) (Kind, error) {
	if k := Kind(name); slices.Contains(allowed, k) {
		return k, nil
	}
	names := make([]string, len(allowed))
	for i, k := range allowed {
		names[i] = string(k)
	}
	return "", fmt.Errorf("%q is not one of %s", name, strings.Join(names, ", "))
}

// Generate makes a key of the kind. RSA8192 can take many seconds.
func Generate(kind Kind) (crypto.Signer, error) {
	if curve, ok := curves[kind]; ok {
		return ecdsa.GenerateKey(curve, rand.Reader)
	}
	if bits, ok := sizes[kind]; ok {
		return rsa.GenerateKey(rand.Reader, bits)
	}
	return nil, fmt.Errorf("no such kind of key: %q", kind)
}

// KindOf names the kind of a key. A key of a size or curve without a name is
// described ("rsa-3072"), which makes it readable but not one of the kinds.
func KindOf(public crypto.PublicKey) Kind {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		return Kind(fmt.Sprintf("ec-%d", k.Curve.Params().BitSize))
	case *rsa.PublicKey:
		return Kind(fmt.Sprintf("rsa-%d", k.N.BitLen()))
	}
	return Kind(fmt.Sprintf("%T", public))
}

const (
	sec1Block  = "EC PRIVATE KEY"
	pkcs1Block = "RSA PRIVATE KEY"
	pkcs8Block = "PRIVATE KEY"
)

// Encode writes a key as PEM: SEC 1 or PKCS #1.
func Encode(key crypto.Signer) (string, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return "", fmt.Errorf("encoding an EC key: %w", err)
		}
		return encodeBlock(sec1Block, der), nil
	case *rsa.PrivateKey:
		return encodeBlock(pkcs1Block, x509.MarshalPKCS1PrivateKey(k)), nil
	}
	return "", fmt.Errorf("cannot encode a key of type %T", key)
}

func encodeBlock(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// TypeName is what clients call the family of a key that [Encode] has written: "EC"
// or "RSA". It goes by the label alone: to read a key takes longer than all else
// that is done when it is delivered.
func TypeName(text string) string {
	if strings.HasPrefix(text, "-----BEGIN "+sec1Block) {
		return "EC"
	}
	return "RSA"
}

// Parse reads the first private key of a PEM text: SEC 1, PKCS #1 or PKCS #8.
// EC PARAMETERS blocks, as openssl writes them before a key, are passed over.
// The error never repeats any part of the text.
func Parse(text string) (crypto.Signer, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("there is no PEM private key in it; expected a block EC PRIVATE KEY, RSA PRIVATE KEY or PRIVATE KEY")
		}
		switch block.Type {
		case sec1Block, pkcs1Block, pkcs8Block:
			return parseBlock(block)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the key is encrypted; it must be given without a passphrase")
		}
	}
}

func parseBlock(block *pem.Block) (crypto.Signer, error) {
	if _, encrypted := block.Headers["DEK-Info"]; encrypted {
		return nil, errors.New("the key is encrypted; it must be given without a passphrase")
	}
	var key any
	var err error
	switch block.Type {
	case sec1Block:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case pkcs1Block:
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("the %s block cannot be read: %w", block.Type, err)
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("the key is of type %T; it must be EC or RSA", key)
}

// Same tells whether two public keys are the same key.
func Same(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}
