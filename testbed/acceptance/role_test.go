package acceptance

import (
	"slices"
	"testing"
)

func TestRoleDefaults(t *testing.T) {
	t.Parallel()
	name := unique()
	shared.write(t, "role/"+name, fields{"acme_account_name": "pebble"})
	role := shared.read(t, "role/"+name)
	want := fields{
		"name": name, "acme_account_name": "pebble", "csr_generate_key_type": "ec-256", "csr_identifier_population": "cn_first",
	}
	for field, value := range want {
		if role[field] != value {
			t.Errorf("%s is %v, want %v", field, role[field], value)
		}
	}
	for field, want := range map[string][]string{
		"allowed_challenge_types": {"http-01", "dns-01", "tls-alpn-01"}, "allowed_domains": {}, "allowed_domain_options": {},
	} {
		if got := role.texts(t, field); !slices.Equal(got, want) {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
}

func TestRoleUpdateKeepsWhatIsNotSent(t *testing.T) {
	t.Parallel()
	name, domain := shared.newRole(t, fields{
		"csr_generate_key_type": "ec-384", "csr_identifier_population": "sans_only", "allowed_challenge_types": "http-01",
	})
	before := shared.read(t, "role/"+name)
	after := shared.write(t, "role/"+name, fields{"allowed_domains": []string{"z." + domain, "a." + domain}})
	if got := after.texts(t, "allowed_domains"); !slices.Equal(got, []string{"z." + domain, "a." + domain}) {
		t.Errorf("allowed_domains is %q", got)
	}
	if a, b := asJSON(t, after), asJSON(t, shared.read(t, "role/"+name)); a != b {
		t.Errorf("a write answers %s, a read %s", a, b)
	}
	for _, field := range []string{
		"acme_account_name", "allowed_domain_options", "allowed_challenge_types",
		"csr_generate_key_type", "csr_identifier_population", "creation_date",
	} {
		if a, b := asJSON(t, before[field]), asJSON(t, after[field]); a != b {
			t.Errorf("%s changed from %s to %s", field, a, b)
		}
	}
	shared.call(t, "POST", "role/"+name, fields{"acme_account_name": shared.newAccount(t, nil)}).expect(t, 400, "acme_account_name")
}

func TestRoleDeleteWaitsForOrders(t *testing.T) {
	t.Parallel()
	role, domain := shared.newRole(t, nil)
	o := shared.newOrder(t, role, fields{"identifiers": []string{domain}})
	o.await(t, stateAwaiting)
	shared.call(t, "DELETE", "role/"+role, nil).expect(t, 409, "force")
	shared.read(t, "role/"+role)
	shared.must(t, "DELETE", "role/"+role+"?force=true", nil)
	shared.call(t, "GET", "role/"+role, nil).expect(t, 404)
	shared.call(t, "GET", o.path()+"/status", nil).expect(t, 404)
}

func TestEmptyListsAreNotFound(t *testing.T) {
	t.Parallel()
	role, _ := shared.newRole(t, nil)
	shared.call(t, "LIST", "role/"+role+"/active-orders", nil).expect(t, 404)
}
