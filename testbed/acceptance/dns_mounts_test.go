package acceptance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// twoMounts holds that two mounts can work on one name of one zone. They know nothing of each other.
func (s dnsSite) twoMounts(t *testing.T) {
	domain := newDomain(lateZone)
	s.updater(t, s.late, domain, nil)
	other := s.otherMount(t, domain)
	first := s.orderFor(t, s.roleFor(t, domain, nil), domain)
	order := other + "/role/web/order/" + s.vault(t, "write", "-field=order_id", other+"/role/web/new-order", "identifiers="+domain)
	awaitProofs(t, s.late.Addr, lateZone, domain, 2)
	s.catchUp(t, domain)
	first.await(t, stateCompleted)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := testbed.Until(ctx, func(ctx context.Context) error {
		state, err := s.Vault.Run(ctx, "read", "-field=order_status", order+"/status")
		if err == nil && strings.TrimSpace(state) != stateCompleted {
			err = fmt.Errorf("the order of the other mount is %s", state)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	noProofs(t, s.late.Addr, lateZone, domain)
}

// otherMount enables the plugin once more, with a role "web" and a provider for a domain.
func (s dnsSite) otherMount(t *testing.T, domain string) (path string) {
	t.Helper()
	path = unique()
	s.vault(t, "secrets", "enable", "-path="+path, testbed.CatalogName)
	for _, what := range []struct {
		path string
		body fields
	}{
		{"config", fields{"nameservers": s.resolver.Addr, "propagation_interval": "1s"}},
		{"config/acme-account/pebble", fields{
			"directory_url": s.Pebble.DirectoryURL, "email_contacts": "admin@example.com", "trusted_ca": s.Pebble.TrustedCA,
		}},
		{"config/dns/rfc2136/internal", withIdentifiers(signedBy(s.late, s.late.Keys["hmac-sha256"]), domain)},
		{"role/web", fields{"acme_account_name": "pebble", "allowed_domains": domain, "allowed_domain_options": "bare_domains"}},
	} {
		args := []string{"write", path + "/" + what.path}
		for _, name := range slices.Sorted(maps.Keys(what.body)) {
			args = append(args, fmt.Sprintf("%s=%v", name, what.body[name]))
		}
		s.vault(t, args...)
	}
	return path
}

func withIdentifiers(body fields, identifiers any) fields {
	body["identifiers"] = identifiers
	return body
}
