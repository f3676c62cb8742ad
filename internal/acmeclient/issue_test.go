package acmeclient_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"net"
	"os"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// dial makes a server for a CA under test.
func dial(t testing.TB, directoryURL string, trustedCA []byte) *acmeclient.Server {
	t.Helper()
	s, err := acmeclient.New(acmeclient.Config{DirectoryURL: directoryURL, TrustedCA: trustedCA})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func key(t testing.TB, kind keys.Kind) crypto.Signer {
	t.Helper()
	if kind == keys.RSA8192 { // takes too long to make each time
		text, err := os.ReadFile("testdata/account-rsa-8192.pem")
		if err != nil {
			t.Fatal(err)
		}
		k, err := keys.Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k, err := keys.Generate(kind)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// register makes an account and gives its client.
func register(t testing.TB, s *acmeclient.Server, k crypto.Signer) *acmeclient.Client {
	t.Helper()
	account, err := s.Register(t.Context(), k, acmeclient.Registration{Contacts: []string{"admin@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return s.Account(account.URL, k)
}

func dnsNames(names ...string) acme.NewOrder {
	var o acme.NewOrder
	for _, name := range names {
		o.Identifiers = append(o.Identifiers, acme.Identifier{Type: acme.DNS, Value: name})
	}
	return o
}

// csr makes a certificate request for an order's identifiers.
func csr(t testing.TB, k crypto.Signer, wish acme.NewOrder) []byte {
	t.Helper()
	template := &x509.CertificateRequest{}
	for _, i := range wish.Identifiers {
		if i.Type == acme.IP {
			template.IPAddresses = append(template.IPAddresses, net.ParseIP(i.Value))
			continue
		}
		template.DNSNames = append(template.DNSNames, i.Value)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// await reads an order until it has a status, or the test has no more patience.
func await(t testing.TB, c *acmeclient.Client, url string, want acme.Status) acme.Order {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		order, err := c.Order(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		switch order.Status {
		case want:
			return order
		case acme.StatusInvalid:
			t.Fatalf("the order is invalid: %v", order.Error)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the order is still %s, not %s", order.Status, want)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// fulfil does what the authorizations of an order ask for, by one type of challenge.
func fulfil(t testing.TB, ca *acmetest.TestCA, c *acmeclient.Client, order acme.Order, kind acme.ChallengeType) {
	t.Helper()
	for _, url := range order.Authorizations {
		authorization, err := c.Authorization(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		for _, challenge := range authorization.Challenges {
			if challenge.Type != kind || authorization.Status != acme.StatusPending {
				continue
			}
			keyAuth := c.KeyAuthorization(challenge.Token)
			if err := ca.Fulfil(authorization, challenge, keyAuth, acmeclient.DNS01Value(keyAuth)); err != nil {
				t.Fatal(err)
			}
			if err := c.Answer(t.Context(), challenge.URL); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// issue gets a certificate, from newOrder to download.
func issue(t testing.TB, ca *acmetest.TestCA, c *acmeclient.Client, wish acme.NewOrder, kind acme.ChallengeType) acme.Chain {
	t.Helper()
	placed, err := c.NewOrder(t.Context(), wish)
	if err != nil {
		t.Fatal(err)
	}
	fulfil(t, ca, c, placed, kind)
	ready := await(t, c, placed.URL, acme.StatusReady)
	if _, err := c.Finalize(t.Context(), ready.Finalize, csr(t, key(t, keys.EC256), wish)); err != nil {
		t.Fatal(err)
	}
	chain, err := c.Certificate(t.Context(), await(t, c, placed.URL, acme.StatusValid).Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

// verify parses a chain and checks that it leads to the CA's root and is for
// the names.
func verify(t testing.TB, roots *x509.CertPool, chain [][]byte, names ...string) *x509.Certificate {
	t.Helper()
	var certificates []*x509.Certificate
	intermediates := x509.NewCertPool()
	for _, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, c)
		intermediates.AddCert(c)
	}
	for _, name := range names {
		if _, err := certificates[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	return certificates[0]
}

// p224 makes a key for which ACME has no algorithm.
func p224(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// fixedThumbprint is that of fixedKey, computed with other means.
const fixedThumbprint = "Yw1HzuyszkYuG4SyA7moBFsbMuJGURJO4kCYPwBIzzo"

// fixedKey is a key that never changes.
func fixedKey(t testing.TB) crypto.Signer {
	t.Helper()
	return key(t, keys.RSA8192)
}
