package pkiexternalca

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// example makes a path that a pattern matches, of things that exist.
func (m *mount) example(t *testing.T, p *framework.Path, order string) string {
	t.Helper()
	path := strings.NewReplacer("(?P<serial>[^/]+)", "12:34", "(?P<token>[^/]+)", "token", `\.`, ".", "^", "", "$", "", "/?", "").Replace(p.Pattern)
	name := "web"
	if strings.HasPrefix(path, "config/") {
		name = "ca"
	}
	path = strings.ReplaceAll(path, framework.GenericNameRegex("name"), name)
	path = strings.ReplaceAll(path, framework.GenericNameRegex("order_id"), order)
	if m.b.Route(path) == nil {
		t.Fatalf("%s is not of the pattern %s", path, p.Pattern)
	}
	return path
}

// TestNothingIsAFaultOfThePlugin sends to every field of every path what does not
// belong there: a request may be refused, but only with a reason.
func TestNothingIsAFaultOfThePlugin(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	good := fields{
		"directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA), "email_contacts": "a@example.com", "acme_account_name": "ca",
		"identifier": "www.example.com", "challenge_type": "http-01", "identifiers": "www.example.com",
	}
	hostile := []any{
		fields{"a": 1},
		[]any{},
		[]any{fields{}},
		[]any{[]any{}},
		0, -1, 1.5, 1e300, true, "", "\x00", strings.Repeat("a", 10_000),
		json.Number("9223372036854775808"),
		[]any{nil},
		"{{", "%s%d", "../..",
	}
	requests := 0
	for _, p := range m.b.Paths {
		path := m.example(t, p, id)
		for op := range p.Operations {
			if op == logical.DeleteOperation {
				continue // has only names and flags
			}
			for field := range p.Fields {
				for _, value := range hostile {
					requests++
					_, status, problem := m.send(op, path, with(good, fields{field: value}))
					if status == http.StatusInternalServerError || status >= http.StatusBadRequest && problem == "" && op != logical.ListOperation {
						t.Errorf("%s %s with %s=%.40v: status %d: %.300s", op, path, field, value, status, problem)
					}
				}
			}
		}
	}
	if requests < 1000 {
		t.Errorf("only %d requests were sent", requests)
	}
}

// TestEveryPathHasHelp: `vault path-help` is the manual that is always there.
func TestEveryPathHasHelp(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "www.example.com"})
	for _, p := range m.b.Paths {
		path := m.example(t, p, id)
		resp, err := m.b.HandleRequest(t.Context(), &logical.Request{Operation: logical.HelpOperation, Path: path, Storage: m.storage})
		if err != nil || len(p.HelpSynopsis) < 10 || len(p.HelpDescription) < 20 || !strings.Contains(asJSON(t, resp.Data), p.HelpSynopsis) {
			t.Errorf("%s has the help %q, %q (error %v)", path, p.HelpSynopsis, p.HelpDescription, err)
		}
	}
	resp, err := m.b.HandleRequest(t.Context(), &logical.Request{Operation: logical.HelpOperation, Path: "", Storage: m.storage})
	if err != nil || !strings.Contains(asJSON(t, resp.Data), "ACME") {
		t.Errorf("the help of the mount is %v (error %v)", resp, err)
	}
}
