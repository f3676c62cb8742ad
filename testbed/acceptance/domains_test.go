package acceptance

import (
	"net/http"
	"testing"
)

// TestWhoMayAskForWhichName is the table of the documentation, asked of the running engine.
func TestWhoMayAskForWhichName(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		domains string
		options string
		allowed []string
		refused []string
	}{
		{"*.example.com", "", nil, []string{"example.com", "foo.example.com", "*.example.com"}},
		{"foo.example.com", "", []string{"foo.example.com"}, []string{"example.com", "a.foo.example.com"}},
		{"*.example.com", "bare_domains", nil, []string{"example.com", "foo.example.com", "*.example.com"}},
		{"example.com", "bare_domains", []string{"example.com"}, []string{"foo.example.com", "badexample.com"}},
		{"example.com", "", nil, []string{"example.com"}},
		{"foo.example.com", "bare_domains", []string{"foo.example.com"}, []string{"example.com"}},
		{"*.example.com", "wildcards", []string{"*.example.com"}, []string{"foo.example.com", "*.foo.example.com"}},
		{"example.com", "bare_domains,subdomains", []string{"example.com", "foo.example.com", "a.b.example.com"}, []string{"*.example.com"}},
		{"example.com", "subdomains", []string{"foo.example.com"}, []string{"example.com", "fooexample.com"}},
		{"*.example.com", "globs", []string{"foo.example.com", "baz.foo.example.com"}, []string{"example.com", "*.example.com"}},
		{
			"*.example.com", "globs,wildcards",
			[]string{"foo.example.com", "baz.foo.example.com", "*.example.com", "*.foo.example.com"},
			[]string{"example.com"},
		},
		{"xn--rksmrgs-5wao1o.se", "bare_domains", []string{"räksmörgås.se", "xn--rksmrgs-5wao1o.se"}, []string{"raksmorgas.se"}},
		{"räksmörgås.se", "bare_domains", []string{"RÄKSMÖRGÅS.se", "xn--rksmrgs-5wao1o.se"}, []string{"www.räksmörgås.se"}},
	} {
		role := "role/" + unique()
		shared.write(t, role, fields{
			"acme_account_name": "pebble", "allowed_domains": row.domains, "allowed_domain_options": row.options,
		})
		for _, name := range row.allowed {
			if a := shared.call(t, "POST", role+"/new-order", fields{"identifiers": []string{name}}); a.Status != http.StatusOK {
				t.Errorf("%s with %q should allow %s: %d: %s", row.domains, row.options, name, a.Status, a.Body)
			}
		}
		for _, name := range row.refused {
			if a := shared.call(t, "POST", role+"/new-order", fields{"identifiers": []string{name}}); a.Status != http.StatusBadRequest {
				t.Errorf("%s with %q should refuse %s: %d: %s", row.domains, row.options, name, a.Status, a.Body)
			}
		}
	}
}
