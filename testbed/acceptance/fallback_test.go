package acceptance

import (
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestFallbackToVaultPKI: Pebble is down, and the order is served by Vault's own PKI engine, which is an ACME CA
// of another make; the order shows it. What operators type is what the document about several CAs says.
func TestFallbackToVaultPKI(t *testing.T) {
	t.Parallel()
	s := newSite(t, testbed.PebbleOptions{})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	pki := s.withVaultPKI(t)
	s.call(t, "POST", "config/acme-account/internal/rotate-key", nil).expect(t, 400, "internal", "unsupported path") // as documented
	role, domain := s.newRole(t, nil)
	s.vault(t, "write", mount+"/role/"+role, "fallback_acme_accounts=internal")
	s.call(t, "DELETE", "config/acme-account/internal", nil).expect(t, 409, role)
	_, cert := s.issue(t, role, "first."+domain)
	s.verified(t, cert, "first."+domain) // by Pebble

	s.Pebble.Stop()
	o := s.newOrder(t, role, fields{"identifiers": "second." + domain})
	s.proveByDNS(t, o, "second."+domain)
	status := o.await(t, stateCompleted)
	if got := status["acme_account_name"]; got != "internal" {
		t.Errorf("the order is served by %v", got)
	}
	shown := s.vault(t, "read", mount+"/role/"+role+"/order/"+o.id+"/status")
	if !strings.Contains(shown, "acme_account_name:pebble") || !strings.Contains(shown, "connection refused") {
		t.Errorf("the order shows %s", shown)
	}
	s.verifiedBy(t, pki.Root, o, "second."+domain)
	s.write(t, o.path()+"/revoke", nil)
	s.vault(t, "write", mount+"/role/"+role, "fallback_acme_accounts=")
	s.must(t, "DELETE", "config/acme-account/internal", nil)
}

// withVaultPKI makes the account "internal" at the PKI engine of the site's own Vault.
func (s site) withVaultPKI(t *testing.T) *testbed.VaultPKI {
	t.Helper()
	pki, err := testbed.StartVaultPKI(t.Context(), s.Vault, s.DNS.Resolver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pki.Stop)
	if err := os.WriteFile(s.file("internal-ca.pem"), []byte(pki.TrustedCA), 0o600); err != nil {
		t.Fatal(err)
	}
	s.vault(t, "write", mount+"/config/acme-account/internal", "directory_url="+pki.DirectoryURL,
		"email_contacts=admin@example.com", "trusted_ca=@internal-ca.pem")
	return pki
}

// proveByDNS puts the dns-01 challenge of a name in place by hand, and reports it.
func (s site) proveByDNS(t *testing.T, o order, name string) {
	t.Helper()
	o.await(t, stateAwaiting)
	c := o.challenge(t, name, "dns-01")
	if err := s.DNS.SetTXT(t.Context(), c.text(t, "dns_record_name")+".", c.text(t, "dns_record_value")); err != nil {
		t.Fatal(err)
	}
	o.write(t, o.path()+"/fulfilled-challenge", fields{"identifier": name, "challenge_type": "dns-01"})
}

// verifiedBy verifies the certificate of an order against a root.
func (s site) verifiedBy(t *testing.T, root string, o order, name string) {
	t.Helper()
	cert := o.read(t, o.path()+"/fetch-cert")
	leaf, err := testbed.ParseCertificate(cert.text(t, "certificate"))
	if err != nil {
		t.Fatal(err)
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(root))
	for _, ca := range cert.texts(t, "ca_chain") {
		intermediates.AppendCertsFromPEM([]byte(ca))
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
		t.Error(err)
	}
}

// TestFallbackToStepCA: both other CAs of the role cannot be asked, and the third, of a third make, serves the
// order.
func TestFallbackToStepCA(t *testing.T) {
	t.Parallel()
	binary, err := testbed.BuildStepCA(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, testbed.PebbleOptions{})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ca, err := testbed.StartStepCA(t.Context(), binary, t.TempDir(), s.DNS.Resolver)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ca.Stop)
	s.withVaultPKI(t).Stop()
	s.write(t, "config/acme-account/step", fields{
		"directory_url": ca.DirectoryURL, "email_contacts": "admin@example.com", "trusted_ca": ca.TrustedCA,
	})
	role, domain := s.newRole(t, fields{"fallback_acme_accounts": "internal,step"})
	s.Pebble.Stop()
	o := s.newOrder(t, role, fields{"identifiers": domain})
	s.proveByDNS(t, o, domain)
	status := o.await(t, stateCompleted)
	if shown := asJSON(t, status["fallback_from"]); status["acme_account_name"] != "step" || !strings.Contains(shown, "internal") {
		t.Errorf("the order is served by %v, and has turned away from %s", status["acme_account_name"], shown)
	}
	s.verifiedBy(t, ca.TrustedCA, o, domain)
	s.write(t, o.path()+"/revoke", nil)
}
