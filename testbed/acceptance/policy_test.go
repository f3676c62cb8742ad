package acceptance

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// newToken writes a policy of docs/policies into Vault and returns a token that has only that.
func newToken(t *testing.T, policy string) string {
	t.Helper()
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	shared.vault(t, "policy", "write", policy, filepath.Join(root, "docs", "policies", policy+".hcl"))
	return shared.vault(t, "token", "create", "-field=token", "-no-default-policy", "-policy="+policy)
}

// permission is a request, and whether a token may make it.
type permission struct {
	allowed bool
	method  string
	path    string
	body    fields
}

// checkPermissions makes each request. One that is allowed must succeed; one that is not must be refused by
// Vault, before the plugin sees it.
func checkPermissions(t *testing.T, token string, rows []permission) {
	t.Helper()
	for _, row := range rows {
		a := shared.callAs(t, token, row.method, row.path, row.body)
		switch {
		case row.allowed && a.Status >= 300:
			t.Errorf("%s %s should be allowed: %d: %s", row.method, row.path, a.Status, a.Body)
		case !row.allowed && (a.Status != http.StatusForbidden || !strings.Contains(a.Body, "permission denied")):
			t.Errorf("%s %s should be forbidden: %d: %s", row.method, row.path, a.Status, a.Body)
		}
	}
}

func TestOperatorPolicy(t *testing.T) {
	t.Parallel()
	token := newToken(t, "operator")
	other, domain := shared.newRole(t, nil)
	o, cert := shared.issue(t, other, domain)
	pending := shared.newOrder(t, other, fields{"identifiers": []string{"pending." + domain}})
	pending.await(t, stateAwaiting)
	account, role := "config/acme-account/"+unique(), "role/"+unique()
	checkPermissions(t, token, []permission{
		{true, "POST", account, accountBody(shared, nil)},
		{true, "GET", account, nil},
		{true, "LIST", "config/acme-account", nil},
		{true, "POST", account + "/rotate-key", nil},
		{true, "POST", role, fields{"acme_account_name": "pebble"}},
		{true, "GET", role, nil},
		{true, "LIST", "role", nil},
		{true, "LIST", "role/" + other + "/active-orders", nil},
		{true, "LIST", "lookup/orders", nil},
		{true, "LIST", "lookup/orders/recent", nil},
		{true, "GET", "lookup/order/" + o.id, nil},
		{true, "GET", "lookup/cert/" + cert.text(t, "serial_number"), nil},
		{true, "GET", o.path() + "/status", nil},
		{false, "POST", "role/" + other + "/new-order", fields{"identifiers": domain}},
		{false, "GET", o.path() + "/challenge?identifier=" + domain + "&challenge_type=http-01", nil},
		{false, "POST", pending.path() + "/fulfilled-challenge", fields{"identifier": domain, "challenge_type": "http-01"}},
		{false, "GET", o.path() + "/fetch-cert", nil},
		{false, "GET", "role/" + other + "/cached?identifiers=" + domain, nil},
		{false, "POST", "role/" + other + "/issue", fields{"identifiers": domain}},
		{true, "POST", "role/" + other + "/renew", fields{"identifiers": domain, "force": true}},
		{true, "POST", o.path() + "/revoke", fields{"reason": "superseded"}},
		{true, "DELETE", role, nil},
		{true, "DELETE", account, nil},
	})
}

func TestApplicationPolicy(t *testing.T) {
	t.Parallel()
	token := newToken(t, "application")
	domain := unique() + ".example.com"
	shared.write(t, "role/web-servers", fields{
		"acme_account_name": "pebble", "allowed_domains": domain, "allowed_domain_options": "bare_domains",
	})
	o := order{shared, "web-servers", ""}
	a := shared.callAs(t, token, "POST", "role/web-servers/new-order", fields{"identifiers": domain})
	a.expect(t, http.StatusOK)
	o.id = a.Data.text(t, "order_id")
	o.await(t, stateAwaiting)
	which := fields{"identifier": domain, "challenge_type": "http-01"}
	query := "?identifier=" + domain + "&challenge_type=http-01"
	c := o.challenge(t, domain, "http-01")
	if err := shared.Web.Publish(c.text(t, "challenge_token"), c.text(t, "challenge_auth")); err != nil {
		t.Fatal(err)
	}
	checkPermissions(t, token, []permission{
		{true, "GET", o.path() + "/status", nil},
		{true, "GET", o.path() + "/challenge" + query, nil},
		{true, "GET", o.path() + "/challenges" + query, nil},
		{true, "POST", o.path() + "/fulfilled-challenge", which},
	})
	o.await(t, stateCompleted)
	other, elsewhere := shared.newRole(t, nil)
	checkPermissions(t, token, []permission{
		{true, "GET", o.path() + "/fetch-cert", nil},
		{true, "GET", "role/web-servers/cached?identifiers=" + domain, nil},
		{true, "POST", "role/web-servers/issue", fields{"identifiers": domain}},
		{false, "POST", o.path() + "/revoke", fields{"reason": "superseded"}},
		{false, "POST", "role/" + other + "/new-order", fields{"identifiers": elsewhere}},
		{false, "GET", "role/" + other + "/cached?identifiers=" + elsewhere, nil},
		{false, "POST", "role/" + other + "/issue", fields{"identifiers": elsewhere}},
		{false, "GET", "role/web-servers", nil},
		{false, "POST", "role/web-servers", fields{"allowed_domains": "example.org"}},
		{false, "DELETE", "role/web-servers", nil},
		{false, "LIST", "role", nil},
		{false, "LIST", "role/web-servers/active-orders", nil},
		{false, "GET", "config/acme-account/pebble", nil},
		{false, "POST", "config/acme-account/pebble/rotate-key", nil},
		{false, "LIST", "lookup/orders", nil},
		{false, "GET", "lookup/order/" + o.id, nil},
	})
}

func TestAuditorPolicy(t *testing.T) {
	t.Parallel()
	token := newToken(t, "auditor")
	role, domain := shared.newRole(t, nil)
	o, cert := shared.issue(t, role, domain)
	pending := shared.newOrder(t, role, fields{"identifiers": []string{"pending." + domain}})
	pending.await(t, stateAwaiting)
	checkPermissions(t, token, []permission{
		{true, "LIST", "config/acme-account", nil},
		{true, "GET", "config/acme-account/pebble", nil},
		{true, "LIST", "role", nil},
		{true, "GET", "role/" + role, nil},
		{true, "LIST", "role/" + role + "/active-orders", nil},
		{true, "GET", o.path() + "/status", nil},
		{true, "LIST", "lookup/orders", nil},
		{true, "LIST", "lookup/orders/recent", nil},
		{true, "GET", "lookup/order/" + o.id, nil},
		{true, "GET", "lookup/cert/" + cert.text(t, "serial_number"), nil},
		{false, "POST", "config/acme-account/pebble", fields{"email_contacts": "x@example.com"}},
		{false, "DELETE", "config/acme-account/pebble", nil},
		{false, "POST", "config/acme-account/pebble/rotate-key", nil},
		{false, "POST", "config/acme-account/" + unique() + "/import", fields{"account_key": "x"}},
		{false, "POST", "role/" + role, fields{"allowed_domains": "example.org"}},
		{false, "DELETE", "role/" + role, nil},
		{false, "POST", "role/" + role + "/new-order", fields{"identifiers": domain}},
		{false, "GET", o.path() + "/fetch-cert", nil},
		{false, "GET", "role/" + role + "/cached?identifiers=" + domain, nil},
		{false, "POST", "role/" + role + "/issue", fields{"identifiers": domain}},
		{false, "POST", o.path() + "/revoke", fields{"reason": "superseded"}},
		{false, "POST", pending.path() + "/fulfilled-challenge", fields{"identifier": domain, "challenge_type": "http-01"}},
	})
}
