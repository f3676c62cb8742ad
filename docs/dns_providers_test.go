package docs_test

import (
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

const dnsDocument = "dns-providers.md"

// TestDNSProvidersAreDescribed compares the kinds and their fields with what the
// code has, and what is said to be required and hidden with what is.
func TestDNSProvidersAreDescribed(t *testing.T) {
	t.Parallel()
	described := map[string][][]string{}
	for _, s := range sections(t, dnsDocument) {
		for _, table := range s.tables {
			described[s.heading] = append(described[s.heading], table[1:]...)
		}
	}
	common := described["Fields of every kind"]
	for _, kind := range dnsprovider.Types {
		said, is := map[string]string{}, map[string]string{}
		for _, row := range append(common, described[kind.Name()]...) {
			said[strings.Trim(row[0], "`")] = hiding(!strings.Contains(row[1], "Never shown"))
		}
		shown := kind.Shown()
		for name := range kind.Schema(nil) {
			is[name] = hiding(shown[name] != nil)
		}
		compare(t, dnsDocument, kind.Name(), said, is)
		delete(described, kind.Name())
	}
	delete(described, "Fields of every kind")
	for heading := range described {
		t.Errorf("%s: %q is no kind of DNS provider", dnsDocument, heading)
	}
}

func hiding(shown bool) string {
	if shown {
		return "is shown"
	}
	return "is never shown"
}
