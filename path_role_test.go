package pkiexternalca

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// withFakeCA mounts the engine with the account "ca" at a fake CA.
func withFakeCA(t testing.TB, options ...option) (*mount, *acmetest.ScriptServer) {
	t.Helper()
	ca := acmetest.Script(t)
	m := newMount(t, options...)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	return m, ca
}

func TestRoleDefaults(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	written := m.write("role/web", fields{"acme_account_name": "ca"})
	if read := m.read("role/web", nil); !sameJSON(t, written, read) {
		t.Errorf("a write answers %v, a read %v", written, read)
	}
	for _, name := range []string{"creation_date", "last_updated_date"} {
		if _, err := time.Parse(time.RFC3339, written[name].(string)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		delete(written, name)
	}
	want := fields{
		"name": "web", "acme_account_name": "ca", "fallback_acme_accounts": []string{}, "allowed_domains": []string{}, "allowed_domain_options": []string{},
		"allowed_challenge_types": []string{"http-01", "dns-01", "tls-alpn-01"},
		"csr_generate_key_type":   "ec-256", "csr_identifier_population": "cn_first",
		"dns_provider_type": "", "dns_provider_name": "", "profile": "", "preferred_chain": "", "allowed_ip_ranges": []string{}, "http_01_relay": false,
		"auto_renew": false, "renew_before": 0, "renew_before_percentage": 0, "renew_unused_for": 0, "reuse_key": false,
	}
	if !sameJSON(t, written, want) {
		t.Errorf("a role with defaults is %s, want %s", asJSON(t, written), asJSON(t, want))
	}
}

// TestRoleUpdate: a field that is not sent keeps its value, and lists keep the
// order in which they were sent.
func TestRoleUpdate(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.write("config/acme-account/other", accountAt(ca.DirectoryURL, ca.TrustedCA))
	made := fields{
		"acme_account_name": "ca", "allowed_domains": []string{"b.example.com", "räksmörgås.se", "{{identity.entity.name}}.example.com"},
		"allowed_domain_options": []string{"wildcards", "bare_domains"}, "allowed_challenge_types": []string{"tls-alpn-01", "dns-01"},
		"csr_generate_key_type": "rsa-4096", "csr_identifier_population": "sans_only",
	}
	before := m.write("role/web", made)
	for name, value := range made {
		if asJSON(t, before[name]) != asJSON(t, value) {
			t.Errorf("%s was sent as %v and is shown as %v", name, value, before[name])
		}
	}
	for _, row := range []struct {
		reason string
		body   fields
		want   fields
	}{
		{"nothing sent, nothing changed", nil, nil},
		{"null is not sent", fields{"allowed_domains": nil, "csr_generate_key_type": nil}, nil},
		{"one field", fields{"csr_generate_key_type": "ec-384"}, fields{"csr_generate_key_type": "ec-384"}},
		{"a list as one text", fields{"allowed_domains": "c.example.com, a.example.com"}, fields{"allowed_domains": []string{"c.example.com", "a.example.com"}}},
		{"an empty list empties", fields{"allowed_domain_options": []string{}}, fields{"allowed_domain_options": []string{}}},
		{"the same account again", fields{"acme_account_name": "ca"}, nil},
	} {
		t.Run(row.reason, func(t *testing.T) {
			want := with(with(before, row.want), fields{"last_updated_date": nil})
			before = m.in(t).write("role/web", row.body)
			if got := with(before, fields{"last_updated_date": nil}); !sameJSON(t, got, want) {
				t.Errorf("the role is %s, want %s", asJSON(t, got), asJSON(t, want))
			}
		})
	}
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web", fields{"acme_account_name": "other"}, "acme_account_name", "fixed")
	if after := m.read("role/web", nil); !sameJSON(t, before, after) {
		t.Errorf("a refused update made %v of %v", after, before)
	}
}

func TestRoleIsChecked(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	for _, row := range []struct {
		reason string
		change fields
		names  []string
	}{
		{"required", fields{"acme_account_name": nil}, []string{"acme_account_name", "required"}},
		{"an account that is not there", fields{"acme_account_name": "none"}, []string{"acme_account_name", "none", "config/acme-account/none"}},
		{"no option", fields{"allowed_domain_options": "subdomain"}, []string{"allowed_domain_options", "subdomain", "bare_domains", "subdomains", "wildcards", "globs"}},
		{"no challenge type", fields{"allowed_challenge_types": "dns"}, []string{"allowed_challenge_types", "dns", "http-01", "dns-01", "tls-alpn-01"}},
		{"a role that can prove nothing", fields{"allowed_challenge_types": []string{}}, []string{"allowed_challenge_types", "at least one"}},
		{"no key type", fields{"csr_generate_key_type": "rsa-1024"}, []string{"csr_generate_key_type", "rsa-1024", "ec-256", "rsa-4096"}},
		{"no public CA certifies one", fields{"csr_generate_key_type": "rsa-8192"}, []string{"csr_generate_key_type"}},
		{"no population", fields{"csr_identifier_population": "cn"}, []string{"csr_identifier_population", "cn_first", "sans_only"}},
		{"no name that a CA gives", fields{"profile": "short\nlived"}, []string{"profile", "line breaks"}},
		{"white space is a mistake of copying", fields{"preferred_chain": "Root X1 "}, []string{"preferred_chain", "spaces"}},
		{"longer than any name", fields{"preferred_chain": strings.Repeat("x", 201)}, []string{"preferred_chain", "200"}},
		{"a provider that is not there", fields{"dns_provider_name": "dns", "dns_provider_type": "rfc2136"}, []string{"dns_provider_name", "dns"}},
		{"two mistakes, one answer", fields{"csr_generate_key_type": "x", "allowed_challenge_types": "y"}, []string{"csr_generate_key_type", "allowed_challenge_types"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, "role/web", with(fields{"acme_account_name": "ca"}, row.change), row.names...)
		})
	}
	if left := storedBelow(t, m.storage, roles.Prefix); len(left) > 0 {
		t.Errorf("refused roles left %q", left)
	}
}

// TestRoleEntriesAreChecked: an entry that can never match is a mistake that
// nobody would find later; so each one is named.
func TestRoleEntriesAreChecked(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	entries := []string{
		"https://example.com", "exa mple.com", "a..example.com", ".example.com", "-a.example.com", "under_score.example.com",
		"192.0.2.1", "xn--abc-.example.com", strings.Repeat("a", 64) + ".example.com", "täst*.example.com",
		"{{identity.entity.name.example.com", "{{}}.example.com", "{{identity.entity.nick}}.example.com", "{{request.path}}.example.com",
		"{{identity.groups.names.staff.members}}.example.com",
	}
	for _, entry := range entries {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web",
			fields{"acme_account_name": "ca", "allowed_domains": []string{"good.example.com", entry}}, "allowed_domains", entry)
	}
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web",
		fields{"acme_account_name": "ca", "allowed_domains": append([]string{"good.example.com"}, entries...)}, append(entries, "allowed_domains")...)
	m.write("role/web", fields{"acme_account_name": "ca", "allowed_domains": []string{
		"good.example.com", "*.example.com", "web-*.*.example.com", "EXAMPLE.com.", "localhost", "com", "日本語.jp", "xn--rksmrgs-5wao1o.se",
		"{{identity.entity.name}}.example.com", "{{ identity.entity.metadata.team }}-x.example.com", "{{identity.groups.names.staff}}.example.com",
		"{{identity.entity.aliases.auth_userpass_1234.name}}.example.com",
	}})
}

func TestRolesAreListed(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.refused(http.StatusNotFound, logical.ListOperation, "role", nil)
	m.refused(http.StatusNotFound, logical.ReadOperation, "role/web", nil, `"web"`)
	for _, name := range []string{"web", "Mail.2_x-y", "db"} {
		m.write("role/"+name, fields{"acme_account_name": "ca"})
	}
	if got := m.list("role/", nil); !slices.Equal(got, []string{"Mail.2_x-y", "db", "web"}) {
		t.Errorf("the roles are listed as %q", got)
	}
	m.delete("role/web", nil)
	m.delete("role/web", nil)
	m.refused(http.StatusNotFound, logical.ReadOperation, "role/web", nil)
}

// TestRoleDeletion: nobody's order is ended without somebody saying so.
func TestRoleDeletion(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	done, _ := m.obtain(fields{"identifiers": "done.example.com"})
	waiting := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", waiting, "awaiting-challenge-fulfillment")

	m.refused(http.StatusConflict, logical.DeleteOperation, "role/web", nil, "web", waiting, "force")
	m.awaitStatus("web", waiting, "awaiting-challenge-fulfillment")
	m.delete("role/web", fields{"force": true})

	m.refused(http.StatusNotFound, logical.ReadOperation, "role/web/order/"+waiting+"/status", nil, "web")
	ended := m.read("lookup/order/"+waiting, nil)
	if ended["order_status"] != "error" || !strings.Contains(ended["last_error"].(string), `role "web" was deleted`) {
		t.Errorf("the order of a deleted role is %v: %v", ended["order_status"], ended["last_error"])
	}
	if other := m.read("lookup/order/"+done, nil); other["order_status"] != "completed" {
		t.Errorf("an order that was completed is %v now", other["order_status"])
	}
	if left := storedBelow(t, m.storage, active.Prefix); len(left) > 0 {
		t.Errorf("the deletion left the marks %q", left)
	}
	m.delete("config/acme-account/ca", nil)
}

// TestRoleDeletionIsRepeatable: a storage that fails in between leaves nothing
// that a repetition does not end.
func TestRoleDeletionIsRepeatable(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 5; n++ {
		storage := &frail{Storage: &logical.InmemStorage{}, kind: refused}
		ca := acmetest.Script(t)
		m := mountOn(t, storage)
		m.withAccount(ca.DirectoryURL, ca.TrustedCA)
		m.withRole(nil)
		ids := []string{m.order(fields{"identifiers": "a.example.com"}), m.order(fields{"identifiers": "b.example.com"})}
		for _, id := range ids {
			m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
		}
		storage.arm(n)
		_, _, problem := m.send(logical.DeleteOperation, "role/web", fields{"force": true})
		m.delete("role/web", fields{"force": true})
		for _, id := range ids {
			if got := m.read("lookup/order/"+id, nil)["order_status"]; got != "error" {
				t.Errorf("after a failure at write %d (%s) and a repetition an order is %v", n, problem, got)
			}
		}
		eventually(t, "the marks to go", func() bool { return len(storedBelow(t, storage, active.Prefix)) == 0 })
	}
}
