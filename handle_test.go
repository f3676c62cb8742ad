package pkiexternalca

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// TestWrongTypesAreRefusedWithoutTheirValues: whoever sends a key in the wrong
// shape must not find it in the log of errors.
func TestWrongTypesAreRefusedWithoutTheirValues(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	secret := map[string]any{"pem": "very secret"}
	for _, test := range []struct{ path, field, form string }{
		{"config/acme-account/a/import", "account_key", "a text"},
		{"config/acme-account/a", "eab_key", "a text"},
		{"config/dns/rfc2136/a", "tsig_secret", "a text"},
		{"config/acme-account/a/rotate-key", "force", "true or false"},
		{"role/a/new-order", "identifiers", "a list of texts"},
		{"config/dns/rfc2136/a", "ttl", "a duration"},
	} {
		_, status, problem := m.send(logical.UpdateOperation, test.path, map[string]any{test.field: secret})
		if status != http.StatusBadRequest || !strings.HasPrefix(problem, test.field+" must be "+test.form) || strings.Contains(problem, "secret\"") || strings.Contains(problem, "very") {
			t.Errorf("%s %s: %d %q", test.path, test.field, status, problem)
		}
	}
}
