package acceptance

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/acme"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestMigratingDocument does what the document says, with an account and certificates that another client has got.
func TestMigratingDocument(t *testing.T) {
	t.Parallel()
	s := newSite(t, testbed.PebbleOptions{ReuseAuthorizations: 100, Env: []string{"PEBBLE_VA_ALWAYS_VALID=1"}})
	if err := s.Vault.EnablePlugin(t.Context(), s.Binaries.Plugin); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "certificates"), 0o700); err != nil {
		t.Fatal(err)
	}
	before := newPredecessor(t, s)
	writeFile(t, dir, "private_key.json", asJWK(t, before.Key.(*rsa.PrivateKey)))
	writeFile(t, dir, "trusted_ca.pem", s.Pebble.TrustedCA)
	writeFile(t, dir, "certificates/shop.pem", issueBy(t, before, "shop.example.com", "www.example.com"))
	writeFile(t, dir, "certificates/api.pem", issueBy(t, before, "api.example.com"))
	run := func(commands string) string {
		return s.shell(t, "cd "+dir+"\n"+commands, "DIRECTORY_URL="+s.Pebble.DirectoryURL)
	}
	for _, block := range shellBlocks(t, "migrating.md") {
		run(block)
	}
	if names := run("cat names.txt"); names != "api.example.com\nshop.example.com,www.example.com" {
		t.Errorf("the names are %q", names)
	}
	if left := run("ls"); strings.Contains(left, "account.") {
		t.Errorf("a copy of the key is left: %s", left)
	}
	for _, names := range []string{"api.example.com", "www.example.com,shop.example.com"} {
		s.verified(t, s.read(t, "role/migrated/cached?identifiers="+names), strings.Split(names, ",")...)
	}
}

// newPredecessor is another client, with an account at the CA and a key of the kind that certbot makes.
func newPredecessor(t *testing.T, s site) *acme.Client {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &acme.Client{Key: key, DirectoryURL: s.Pebble.DirectoryURL, HTTPClient: trusting(s.Pebble.TrustedCA)}
	if _, err := c.Register(t.Context(), &acme.Account{Contact: []string{"mailto:x@example.com"}}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	return c
}

// issueBy has a certificate issued, and gives it in PEM with its chain.
func issueBy(t *testing.T, c *acme.Client, names ...string) string {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	o, err := c.AuthorizeOrder(ctx, acme.DomainIDs(names...))
	must(err)
	for _, url := range o.AuthzURLs {
		a, err := c.GetAuthorization(ctx, url)
		must(err)
		_, err = c.Accept(ctx, a.Challenges[0])
		must(err)
	}
	ready, err := c.WaitOrder(ctx, o.URI)
	must(err)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, newKey(t))
	must(err)
	// This client looks for the order's URL in the answer, where Pebble does not repeat it.
	if _, _, err := c.CreateOrderCert(ctx, ready.FinalizeURL, csr, true); err != nil {
		t.Log(err)
	}
	issued, err := c.WaitOrder(ctx, o.URI)
	must(err)
	chain, err := c.FetchCert(ctx, issued.CertURL, true)
	must(err)
	var out strings.Builder
	for _, der := range chain {
		must(pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return out.String()
}

// asJWK writes a key as certbot keeps it (RFC 7517).
func asJWK(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	key.Precompute()
	text, err := json.Marshal(map[string]string{
		"kty": "RSA", "n": number(key.N), "e": number(big.NewInt(int64(key.E))), "d": number(key.D),
		"p": number(key.Primes[0]), "q": number(key.Primes[1]),
		"dp": number(key.Precomputed.Dp), "dq": number(key.Precomputed.Dq), "qi": number(key.Precomputed.Qinv),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
