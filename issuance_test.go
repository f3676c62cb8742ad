package pkiexternalca

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// withAccount registers the account "ca" at a CA.
func (m *mount) withAccount(directoryURL string, trustedCA []byte) {
	m.t.Helper()
	m.write("config/acme-account/ca", map[string]any{
		"directory_url":  directoryURL,
		"email_contacts": []string{"admin@example.com"},
		"trusted_ca":     string(trustedCA),
	})
}

// withRole makes the role "web", which may order everything below example.com.
func (m *mount) withRole(more map[string]any) {
	m.t.Helper()
	data := map[string]any{
		"acme_account_name":      "ca",
		"allowed_domains":        "example.com",
		"allowed_domain_options": "bare_domains,subdomains,wildcards",
	}
	for name, value := range more {
		data[name] = value
	}
	m.write("role/web", data)
}

// order places an order with the role "web".
func (m *mount) order(data map[string]any) string {
	m.t.Helper()
	return m.write("role/web/new-order", data)["order_id"].(string)
}

// obtain orders a certificate with the role "web" at a CA that believes every
// challenge, and gives the answer with the certificate. The order's names are
// reported as fulfilled if the CA wants them proven.
func (m *mount) obtain(data map[string]any) (id string, certificate map[string]any) {
	m.t.Helper()
	id = m.order(data)
	m.report(id)
	m.awaitStatus("web", id, "completed")
	return id, m.read("role/web/order/"+id+"/fetch-cert", nil)
}

// report waits for the challenges of an order with the role "web" and reports
// one for each identifier, without putting any in place.
func (m *mount) report(id string) {
	m.t.Helper()
	path := "role/web/order/" + id
	var status map[string]any
	eventually(m.t, "challenges to be shown", func() bool {
		status = m.read(path+"/status", nil)
		return status["order_status"] != "new" && status["order_status"] != "submitted"
	})
	if status["order_status"] != "awaiting-challenge-fulfillment" {
		return
	}
	for name, offered := range status["challenges"].(map[string]any) {
		for _, c := range offered.([]any)[:1] {
			if c.(map[string]any)["challenge_status"] == "valid" {
				continue // proven for an order before, which Pebble remembers at times
			}
			m.write(path+"/fulfilled-challenge", map[string]any{"identifier": name, "challenge_type": c.(map[string]any)["challenge_type"]})
		}
	}
}

// fulfill puts a challenge in place and reports it.
func (m *mount) fulfill(ca *acmetest.TestCA, id, identifier, challengeType string) {
	m.t.Helper()
	which := map[string]any{"identifier": identifier, "challenge_type": challengeType}
	c := m.read("role/web/order/"+id+"/challenge", which)
	keyAuth := c["challenge_auth"].(string)
	switch challengeType {
	case "http-01":
		ca.Set(c["challenge_token"].(string), keyAuth)
	case "dns-01":
		ca.AddTXT(c["dns_record_name"].(string)+".", c["dns_record_value"].(string))
	case "tls-alpn-01":
		ca.SetALPN(identifier, keyAuth)
	}
	m.write("role/web/order/"+id+"/fulfilled-challenge", which)
}

// TestIdentifierWorkflow is the main job: names in, certificate and key out,
// each name proven in a way of its own.
func TestIdentifierWorkflow(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)

	id := m.order(map[string]any{"identifiers": "www.example.com,example.com,*.example.com,Alpn.example.com"})
	status := m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	if got := status["status"]; got != "awaiting_challenge_fulfillment" {
		t.Errorf("status is %v", got)
	}
	challenges := status["challenges"].(map[string]any)
	for _, name := range []string{"www.example.com", "example.com", "*.example.com", "Alpn.example.com"} {
		if challenges[name] == nil {
			t.Errorf("no challenges are shown for %q, exactly as requested", name)
		}
	}
	m.fulfill(ca, id, "www.example.com", "http-01")
	m.fulfill(ca, id, "example.com", "dns-01")
	m.fulfill(ca, id, "*.example.com", "dns-01")
	m.fulfill(ca, id, "alpn.example.com", "tls-alpn-01")
	m.awaitStatus("web", id, "completed")

	got := m.read("role/web/order/"+id+"/fetch-cert", nil)
	leaf := verified(t, ca, got)
	if leaf.Subject.CommonName != "" && leaf.Subject.CommonName != "www.example.com" {
		t.Errorf("the common name is %q", leaf.Subject.CommonName)
	}
	key, err := keys.Parse(got["private_key"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if !keys.Same(key.Public(), leaf.PublicKey) {
		t.Error("the private key is not that of the certificate")
	}
	if m.list("role/web/active-orders", nil) != nil {
		t.Error("a completed order is listed as active")
	}
}

// verified parses the certificate of an answer and verifies it against the
// roots of the CA, over the chain of the answer.
func verified(t testing.TB, ca *acmetest.TestCA, data map[string]any) *x509.Certificate {
	t.Helper()
	leaf := parseCertificate(t, data["certificate"].(string))
	intermediates := x509.NewCertPool()
	for _, issuer := range data["ca_chain"].([]string) {
		intermediates.AddCert(parseCertificate(t, issuer))
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: ca.Roots, Intermediates: intermediates}); err != nil {
		t.Fatalf("the certificate is not valid: %v", err)
	}
	return leaf
}

func parseCertificate(t testing.TB, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
