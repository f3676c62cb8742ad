package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// issued is the answer of fetch-cert and cached.
type issued struct {
	Certificate    string   `json:"certificate"`
	CAChain        []string `json:"ca_chain"`
	PrivateKey     string   `json:"private_key"`
	PrivateKeyType string   `json:"private_key_type"`
	SerialNumber   string   `json:"serial_number"`

	path string // of the order
}

// parseIssued reads what "vault read -format=json" printed.
func parseIssued(text string) (issued, error) {
	var answer struct {
		Data issued `json:"data"`
	}
	err := json.Unmarshal([]byte(text), &answer)
	if err == nil && answer.Data.Certificate == "" {
		err = errors.New("the answer holds no certificate")
	}
	return answer.Data, err
}

func (c issued) keyMatches() error {
	_, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.PrivateKey))
	return err
}

// inspect shows what is in a certificate, and verifies it against the root that the CA itself shows.
func (d *demo) inspect(ctx context.Context, order, text string) (issued, error) {
	c, err := parseIssued(text)
	if err != nil {
		return issued{}, err
	}
	c.path = order
	leaf, err := testbed.ParseCertificate(c.Certificate)
	if err != nil {
		return issued{}, err
	}
	root, err := d.bed.Pebble.Root(ctx)
	if err != nil {
		return issued{}, err
	}
	chain, err := verify(leaf, c.CAChain, root)
	if err != nil {
		return issued{}, fmt.Errorf("the certificate does not verify against the CA's root: %w", err)
	}
	subject := leaf.Subject.String()
	if subject == "" {
		subject = "none: the names below are what counts"
	}
	d.say("\n  subject     %s\n  names       %s\n  issuer      %s\n  validity    %s to %s\n  serial      %s\n  verified    %s",
		subject, strings.Join(leaf.DNSNames, ", "), leaf.Issuer,
		leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339), c.SerialNumber,
		"for each name, up to the CA's root "+chain[len(chain)-1].Subject.String())
	return c, nil
}

// verify builds the chain of leaf up to root, for each of its names.
func verify(leaf *x509.Certificate, caChain []string, root string) (chain []*x509.Certificate, err error) {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(root))
	for _, ca := range caChain {
		intermediates.AppendCertsFromPEM([]byte(ca))
	}
	for _, name := range leaf.DNSNames {
		chains, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates})
		if err != nil {
			return nil, err
		}
		chain = chains[0]
	}
	if chain == nil {
		return nil, errors.New("it holds no name")
	}
	return chain, nil
}

// newCSR makes a key, and a request for a certificate for name that is signed by it. The demo needs the key
// for nothing else.
func newCSR(name string) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}
