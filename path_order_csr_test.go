package pkiexternalca

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// request509 is what a certificate request asks for.
type request509 = x509.CertificateRequest

// requestPEM makes a certificate request.
func requestPEM(t testing.TB, key crypto.Signer, wish request509) string {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &wish, key)
	return block(t, "CERTIFICATE REQUEST", der, err)
}

// otherName makes the extension of a subject alternative name that crypto/x509
// has no field for (RFC 5280 §4.2.1.6), next to a DNS name.
func otherName(t *testing.T) pkix.Extension {
	t.Helper()
	names, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("www.example.com")},
		{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: []byte{6, 3, 42, 3, 4}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}
}

// TestCSRIsChecked: what no CA could certify for the order's names is refused
// before there is an order.
func TestCSRIsChecked(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	key := newKey(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"www.example.com"}
	good := requestPEM(t, key, request509{DNSNames: names})
	spoilt := strings.Replace(good, "\n", "\nAAAA", 1)
	for _, row := range []struct {
		reason string
		csr    string
		words  []string
	}{
		{"no PEM", "garbage", []string{"CERTIFICATE REQUEST"}},
		{"another kind of PEM", string(ca.TrustedCA), []string{"CERTIFICATE REQUEST"}},
		{"PEM of nothing", block(t, "CERTIFICATE REQUEST", []byte("x"), nil), []string{"cannot be read"}},
		{"a damaged one", spoilt, []string{"csr"}},
		{"two of them", good + good, []string{"other text"}},
		{"no names", requestPEM(t, key, request509{}), []string{"no identifier"}},
		{"an e-mail address", requestPEM(t, key, request509{DNSNames: names, EmailAddresses: []string{"a@example.com"}}), []string{"e-mail"}},
		{"an IP address", requestPEM(t, key, request509{DNSNames: names, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}), []string{"192.0.2.1", "allowed_ip_ranges"}},
		{"a URI", requestPEM(t, key, request509{DNSNames: names, URIs: []*url.URL{{Scheme: "spiffe", Host: "example.com"}}}), []string{"URI"}},
		{"an otherName", requestPEM(t, key, request509{ExtraExtensions: []pkix.Extension{otherName(t)}}), []string{"otherName"}},
		{"a person", requestPEM(t, key, request509{DNSNames: names, Subject: pkix.Name{CommonName: "Jane Doe"}}), []string{"Jane Doe"}},
		{"a common name that is not allowed", requestPEM(t, key, request509{DNSNames: names, Subject: pkix.Name{CommonName: "evil.example"}}), []string{"evil.example"}},
		{"a name that is not allowed", requestPEM(t, key, request509{DNSNames: []string{"www.example.com", "evil.example"}}), []string{"evil.example"}},
		{"a small key", requestPEM(t, weak, request509{DNSNames: names}), []string{"2048"}},
		{"SHA-1", requestPEM(t, strong, request509{DNSNames: names, SignatureAlgorithm: x509.SHA1WithRSA}), []string{"SHA-256"}},
		{"the account's own key (RFC 8555 §11.1)", requestPEM(t, m.accountKey("ca"), request509{DNSNames: names}), []string{"ACME account"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, fields{"csr": row.csr}, row.words...)
		})
	}
	m.leavesNoOrder(ca)
}

// accountKey gives the stored key of an account.
func (m *mount) accountKey(name string) crypto.Signer {
	m.t.Helper()
	acct, err := accounts.Get(m.t.Context(), m.storage, name)
	if err != nil {
		m.t.Fatal(err)
	}
	key, err := acct.Signer()
	if err != nil {
		m.t.Fatal(err)
	}
	return key
}

// TestCSRWorkflow: the key stays with the caller, who gets no other one.
func TestCSRWorkflow(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(fields{"csr_generate_key_type": "rsa-2048"}) // which has no say here
	key := newKey(t)
	csr := requestPEM(t, key, request509{
		Subject: pkix.Name{CommonName: "CN.example.com"}, DNSNames: []string{"San.example.com", "cn.example.com"},
	})
	id := m.order(fields{"csr": csr})
	status := m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	if status["csr"] != csr {
		t.Errorf("csr is %v", status["csr"])
	}
	if got := status["identifiers"].([]string); !slices.Equal(got, []string{"San.example.com", "cn.example.com"}) {
		t.Errorf("the identifiers are %q, want each name of the request once", got)
	}
	m.fulfill(ca, id, "san.example.com", "http-01")
	m.fulfill(ca, id, "cn.example.com", "http-01")
	m.awaitStatus("web", id, "completed")

	got := m.read("role/web/order/"+id+"/fetch-cert", nil)
	if leaf := verified(t, ca, got); !keys.Same(leaf.PublicKey, key.Public()) {
		t.Error("the certificate is for another key")
	}
	for _, name := range []string{"private_key", "private_key_type"} {
		if _, shown := got[name]; shown {
			t.Errorf("the answer has %s", name)
		}
	}
	if left := storedBelow(t, m.storage, orderKeys.Prefix); len(left) > 0 {
		t.Errorf("keys were made: %q", left)
	}
	m.refused(http.StatusNotFound, logical.ReadOperation, "role/web/cached", fields{"identifiers": "san.example.com,cn.example.com"}, "no certificate")
}

// TestCSRWithManyNames: a common name that is among the others adds nothing to them.
func TestCSRWithManyNames(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	ca.PreAuthorize()
	m.withRole(nil)
	csr := requestPEM(t, newKey(t), request509{Subject: pkix.Name{CommonName: "n99.example.com"}, DNSNames: numbered(100)})
	id, _ := m.obtain(fields{"csr": csr})
	if got := m.read("lookup/order/"+id, nil)["identifiers"].([]string); len(got) != 100 {
		t.Errorf("the order has %d identifiers", len(got))
	}
}
