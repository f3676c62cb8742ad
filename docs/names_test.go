package docs_test

import (
	"testing"

	"vault-plugin-secrets-pki-external-ca/domainmatch"
)

// TestTableOfNamesIsTrue tries every row of the table of who may have which name.
// Several entries in a row are alternatives, and each is a name of the row itself.
func TestTableOfNamesIsTrue(t *testing.T) {
	t.Parallel()
	for _, row := range rows(t, apiDocument, "`allowed_domains`") {
		var options []domainmatch.Option
		for _, option := range ticked(row[1]) {
			options = append(options, domainmatch.Option(option))
		}
		for _, text := range ticked(row[0]) {
			entry, err := domainmatch.ParseEntry(text)
			if err != nil {
				t.Fatal(err)
			}
			policy := domainmatch.NewPolicy([]domainmatch.Entry{entry}, options)
			allowed, refused := ticked(row[2]), ticked(row[3])
			switch {
			case row[3] == "everything":
				refused = append(refused, text, "example.com", "foo.example.com")
			case len(allowed) == 0 && row[2] != "nothing":
				allowed = ticked(row[0])
			}
			expect(t, policy, row, true, allowed)
			expect(t, policy, row, false, refused)
		}
	}
}

func expect(t *testing.T, policy *domainmatch.Policy, row []string, allowed bool, names []string) {
	t.Helper()
	for _, text := range names {
		name, err := domainmatch.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := policy.Check([]domainmatch.Name{name}); (err == nil) != allowed {
			t.Errorf("%s: the row %q is wrong about %s: %v", apiDocument, row, text, err)
		}
	}
}
