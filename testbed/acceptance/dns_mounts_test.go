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

// twoMounts holds that two mounts can work on one name of one zone at the same time. They know nothing of each other.
func (s dnsSite) twoMounts(t *testing.T) {
	t.Run("at a server of single records", func(t *testing.T) {
		t.Parallel()
		domain := newDomain(lateZone)
		s.updater(t, s.late, domain, nil)
		own, others := s.inBothMounts(t, domain, "rfc2136", signedBy(s.late, s.late.Keys["hmac-sha256"]))
		awaitProofs(t, s.late.Addr, lateZone, domain, 2*len(own)) // all at the same time: the stale server sees to that
		s.catchUp(t, domain)
		s.awaitBoth(t, own, others)
		noProofs(t, s.late.Addr, lateZone, domain)
	})
	// Here each writer replaces what the others have written.
	t.Run("at a server of record sets", func(t *testing.T) {
		t.Parallel()
		domain := newDomain(powerZone)
		s.powered(t, domain, nil)
		own, others := s.inBothMounts(t, domain, "powerdns", fields{"base_url": s.power.URL, "api_key": s.power.Key})
		s.awaitBoth(t, own, others)
		noProofs(t, s.power.Addr, powerZone, domain)
	})
}

// inBothMounts makes orders for a domain in the usual mount, and as many in another, which has the provider too.
func (s dnsSite) inBothMounts(t *testing.T, domain, kind string, provider fields) (own []order, others []string) {
	t.Helper()
	mount := s.otherMount(t, domain, kind, provider)
	for _, role := range []string{"a", "b", "c"} {
		own = append(own, s.orderFor(t, s.roleFor(t, domain, nil), domain))
		path := mount + "/role/" + role
		s.vault(t, "write", path, "acme_account_name=pebble", "allowed_domains="+domain, "allowed_domain_options=bare_domains")
		others = append(others, path+"/order/"+s.vault(t, "write", "-field=order_id", path+"/new-order", "identifiers="+domain))
	}
	return own, others
}

// otherMount enables the plugin once more, with an account and a provider for a domain.
func (s dnsSite) otherMount(t *testing.T, domain, kind string, provider fields) (path string) {
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
		{"config/dns/" + kind + "/internal", withIdentifiers(provider, domain)},
	} {
		args := []string{"write", path + "/" + what.path}
		for _, name := range slices.Sorted(maps.Keys(what.body)) {
			args = append(args, fmt.Sprintf("%s=%v", name, what.body[name]))
		}
		s.vault(t, args...)
	}
	return path
}

func (s dnsSite) awaitBoth(t *testing.T, own []order, others []string) {
	t.Helper()
	for _, o := range own {
		o.await(t, stateCompleted)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, path := range others {
		err := testbed.Until(ctx, func(ctx context.Context) error {
			state, err := s.Vault.Run(ctx, "read", "-field=order_status", path+"/status")
			if err == nil && strings.TrimSpace(state) != stateCompleted {
				err = fmt.Errorf("%s is %s", path, state)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func withIdentifiers(body fields, identifiers any) fields {
	body["identifiers"] = identifiers
	return body
}
