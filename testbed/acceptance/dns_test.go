package acceptance

import (
	"maps"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestDNS proves names by DNS without anybody's help. All of its parts share one Vault, one CA and the name
// servers; each uses names of its own.
func TestDNS(t *testing.T) {
	t.Parallel()
	s := newDNSSite(t, nil)
	for _, part := range []struct {
		what string
		test func(*testing.T)
	}{
		{"a wildcard and its apex, by RFC 2136", s.wildcardAndApex},
		{"names in any script", s.otherScripts},
		{"every TSIG algorithm", s.everyAlgorithm},
		{"orders that share a name keep each other's values", s.sharedName},
		{"updates that are refused", s.refusedUpdates},
		{"requests that are refused", s.refusedRequests},
		{"a name server that fails and comes back", s.outages},
		{"delegation over aliases", s.delegation},
		{"aliases that lead astray", s.strayAliases},
		{"challenge_alias", s.challengeAlias},
		{"which provider writes", s.choices},
		{"orders that are partly somebody's work", s.hybrid},
		{"a provider that is deleted too early", s.vanished},
		{"a role without dns-01", s.withoutDNS},
		{"two mounts and one zone", s.twoMounts},
		{"a name server that lags", s.laggard},
		{"whom to ask whether a record is there", s.checks},
		{"changes while records are in place", s.changesMidway},
		{"a Vault that is interrupted while records are in place", s.interruptions},
		{"trials of a provider", s.trials},
		{"trials that fail", s.failedTrials},
		{"settings of the mount", s.mountSettings},
		{"settings that make no sense", s.badSettings},
		{"credentials are shown to nobody", s.credentials},
	} {
		t.Run(part.what, func(t *testing.T) {
			t.Parallel()
			part.test(t)
		})
	}
}

// newDomain returns a name in a zone that no other test uses.
func newDomain(zone string) string { return unique() + "." + zone }

// roleFor makes a role for a domain, everything below it and wildcards.
func (s dnsSite) roleFor(t *testing.T, domain string, more fields) string {
	t.Helper()
	body := fields{"allowed_domains": domain, "allowed_domain_options": "bare_domains,subdomains,wildcards"}
	maps.Copy(body, more)
	role, _ := s.newRole(t, body)
	return role
}

// signedBy are the fields of a provider that writes at a BIND with a key.
func signedBy(b *testbed.BIND, key testbed.TSIGKey) fields {
	return fields{
		"nameserver": b.Addr, "tsig_key_name": key.Name, "tsig_secret": key.Secret, "tsig_algorithm": key.Algorithm,
	}
}

// updater configures a provider that writes at a BIND for a domain and everything below it.
func (s dnsSite) updater(t *testing.T, b *testbed.BIND, domain string, more fields) (name string) {
	t.Helper()
	name = unique()
	body := signedBy(b, b.Keys["hmac-sha256"])
	body["identifiers"] = []string{domain, "*." + domain}
	maps.Copy(body, more)
	s.write(t, "config/dns/rfc2136/"+name, body)
	return name
}

// powered configures a provider that writes at PowerDNS for a domain and everything below it.
func (s dnsSite) powered(t *testing.T, domain string, more fields) (name string) {
	t.Helper()
	name = unique()
	body := fields{"identifiers": []string{domain, "*." + domain}, "base_url": s.power.URL, "api_key": s.power.Key}
	maps.Copy(body, more)
	s.write(t, "config/dns/powerdns/"+name, body)
	return name
}

// orderFor orders a certificate for names.
func (s dnsSite) orderFor(t *testing.T, role string, names ...string) order {
	t.Helper()
	return s.newOrder(t, role, fields{"identifiers": names})
}

// checkNoSecret looks for the credentials of the name servers in a text.
func (n nameServers) checkNoSecret(t *testing.T, text string) {
	t.Helper()
	secrets := []string{n.power.Key}
	for _, b := range []*testbed.BIND{n.primary, n.late, n.fragile} {
		for _, key := range b.Keys {
			secrets = append(secrets, key.Secret)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("the secret %.8q... is in a text of %d bytes", secret, len(text))
		}
	}
}
