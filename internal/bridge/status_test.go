package bridge

import (
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestStatusesSurvive: an error crosses the protocol as one of a few types or as
// text, and what is only wrapped in the right type arrives as a 500.
func TestStatusesSurvive(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := startProcess(t).mount(t)
	m.configure(ca.DirectoryURL, ca.TrustedCA)
	m.write("role/people", map[string]any{
		"acme_account_name": "ca", "allowed_domains": "{{identity.entity.name}}.users.example.com",
	})
	silent := acmetest.Script(t)
	m.write("config/acme-account/silent", map[string]any{
		"directory_url": silent.DirectoryURL, "trusted_ca": string(silent.TrustedCA), "email_contacts": "admin@example.com",
	})
	silent.OnAll(acmetest.Cut())
	waiting := m.order("www.example.com")
	m.await(waiting, "awaiting-challenge-fulfillment")
	const hers = "alice.users.example.com"
	alices := m.ok(request{
		op: logical.UpdateOperation, path: "role/people/new-order", entity: "alice", data: map[string]any{"identifiers": hers},
	})["order_id"].(string)
	for _, row := range []struct {
		why string
		request
		want  int
		words []string
	}{
		{"a field that is wrong", request{op: logical.UpdateOperation, path: "role/web", data: map[string]any{"allowed_domain_options": "all"}}, 400, []string{"all"}},
		{"a name that the role does not allow", request{op: logical.UpdateOperation, path: "role/web/new-order", data: map[string]any{"identifiers": "www.example.org"}}, 400, []string{"www.example.org"}},
		{"an order that is somebody else's", request{path: "role/people/order/" + alices + "/status", entity: "bob"}, 403, nil},
		{"an order of one's own", request{path: "role/people/order/" + alices + "/status", entity: "alice"}, 200, nil},
		{"a read of what does not exist", request{path: "role/none"}, 404, nil},
		{"an action on what does not exist", request{op: logical.UpdateOperation, path: "role/none/new-order", data: map[string]any{"identifiers": hers}}, 404, []string{"none"}},
		{"a list of nothing", request{op: logical.ListOperation, path: "role/none/active-orders/"}, 404, nil},
		{"a list", request{op: logical.ListOperation, path: "role/"}, 200, nil},
		{"a certificate that is not there yet", request{path: waiting + "/fetch-cert"}, 409, []string{"not completed"}},
		{"an account in use", request{op: logical.DeleteOperation, path: "config/acme-account/ca"}, 409, []string{"ca"}},
		{"a CA that is silent", request{op: logical.UpdateOperation, path: "config/acme-account/silent", data: map[string]any{
			"directory_url": silent.DirectoryURL, "email_contacts": "somebody@example.com",
		}}, 502, []string{"127.0.0.1"}},
		{"a path that does not exist", request{path: "nothing/here"}, 404, nil},
		{"an operation that does not exist", request{op: logical.UpdateOperation, path: waiting + "/status"}, 405, nil},
	} {
		t.Run(row.why, func(t *testing.T) {
			a := m.send(t.Context(), row.request)
			if a.status != row.want || !contains(a.problem, row.words) {
				t.Errorf("status %d (%s), want %d with %q", a.status, a.problem, row.want, row.words)
			}
		})
	}
}

// TestUpstreamProblemsAreQuoted: a CA's refusal is the caller's to read.
func TestUpstreamProblemsAreQuoted(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	ca.On(acmetest.NewAccount, acmetest.Problem(http.StatusForbidden, "urn:ietf:params:acme:error:unauthorized", "not without an appointment"))
	m := startProcess(t).mount(t)
	a := m.send(t.Context(), request{op: logical.UpdateOperation, path: "config/acme-account/ca", data: map[string]any{
		"directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA), "email_contacts": "admin@example.com",
	}})
	if a.status != http.StatusBadRequest || !contains(a.problem, []string{"unauthorized", "not without an appointment"}) {
		t.Errorf("status %d: %s", a.status, a.problem)
	}
}
