package acceptance

import (
	"encoding/base64"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestExternalAccountBinding uses a CA that wants a key of its own for a new account, and that trusts what it
// validated before.
func TestExternalAccountBinding(t *testing.T) {
	t.Parallel()
	const kid = "kid-of-the-test"
	mac := base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef-mac-of-the-test"))
	s := newSite(t, testbed.PebbleOptions{
		ExternalAccounts: map[string]string{kid: mac}, ReuseAuthorizations: 100, Blocked: []string{"blocked.example.com"},
	})
	if err := s.Vault.EnablePlugin(t.Context(), s.Binaries.Plugin); err != nil {
		t.Fatal(err)
	}
	path := "config/acme-account/pebble"
	s.call(t, "POST", path, accountBody(s, nil)).expect(t, 400, "externalAccountRequired")
	s.call(t, "GET", path, nil).expect(t, 404)
	bound := accountBody(s, fields{"eab_kid": kid, "eab_key": mac})
	s.write(t, path, bound)
	s.write(t, path, bound) // as Terraform does
	if shown := asJSON(t, s.read(t, path)); strings.Contains(shown, mac) || strings.Contains(shown, "eab_key") {
		t.Errorf("the account shows its binding key: %s", shown)
	}
	cert := s.checkReuse(t)
	s.checkOutage(t, path)
	s.checkLog(t, mac, cert.text(t, "private_key"))
}

// checkOutage ends the CA. What needs it says so, and changes nothing.
func (s site) checkOutage(t *testing.T, account string) {
	t.Helper()
	before := asJSON(t, s.read(t, account))
	s.Pebble.Stop()
	s.call(t, "POST", account+"/rotate-key", fields{"force": true}).expect(t, 502)
	s.call(t, "POST", account, fields{"email_contacts": "new@example.com"}).expect(t, 502)
	if after := asJSON(t, s.read(t, account)); after != before {
		t.Errorf("what failed changed the account from %s to %s", before, after)
	}
}

// checkReuse orders a certificate twice over; the second time the CA asks for no validation.
func (s site) checkReuse(t *testing.T) fields {
	t.Helper()
	role, domain := s.newRole(t, nil)
	_, first := s.issue(t, role, domain)
	s.checkKeyed(t, first, domain)
	request := newCSR(t, newKey(t), csrFor(domain))
	again := s.newOrder(t, role, fields{"csr": request})
	again.await(t, stateCompleted)
	s.verified(t, again.read(t, again.path()+"/fetch-cert"), domain)
	s.checkBlocked(t)
	return first
}

// checkBlocked orders a name that the CA refuses by policy.
func (s site) checkBlocked(t *testing.T) {
	t.Helper()
	role, _ := s.newRole(t, fields{"allowed_domains": "blocked.example.com"})
	o := s.newOrder(t, role, fields{"identifiers": "blocked.example.com"})
	said := o.await(t, stateError).text(t, "last_error")
	for _, want := range []string{"rejectedIdentifier", "blocked.example.com"} {
		if !strings.Contains(said, want) {
			t.Errorf("last_error lacks %q: %s", want, said)
		}
	}
}

// checkLog looks for secrets in Vault's log, which has everything that the plugin logs at any level.
func (s site) checkLog(t *testing.T, mac, privateKey string) {
	t.Helper()
	log, err := os.ReadFile(s.Vault.LogPath())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), testbed.CatalogName) {
		t.Error("the log says nothing of the plugin, so this proves nothing")
	}
	block, _ := pem.Decode([]byte(privateKey))
	if block == nil {
		t.Fatal("the answer holds no private key")
	}
	for _, secret := range []string{mac, "PRIVATE KEY", base64.StdEncoding.EncodeToString(block.Bytes)[:40], s.Vault.Token} {
		if strings.Contains(string(log), secret) {
			t.Errorf("the log holds the secret %.12q...", secret)
		}
	}
}
