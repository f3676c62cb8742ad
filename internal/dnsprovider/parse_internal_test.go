package dnsprovider

import (
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/secret"
)

func TestCandidatesAreTheLongestFirst(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"_acme-challenge.www.example.com": {"_acme-challenge.www.example.com", "www.example.com", "example.com"},
		"example.com":                     {"example.com"},
		"com":                             nil,
	} {
		if got := candidates(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestNamesWithinAZone(t *testing.T) {
	t.Parallel()
	z := zone{name: "example.com"}
	for _, test := range []struct {
		name, want string
		ok         bool
	}{
		{"_acme-challenge.example.com", "_acme-challenge", true},
		{"_acme-challenge.www.example.com", "_acme-challenge.www", true},
		{"example.com", "", true},
		{"badexample.com", "", false}, // ends alike, but not at a dot
		{"example.com.evil.net", "", false},
	} {
		got, err := z.relative(test.name)
		if got != test.want && err == nil || (err == nil) != test.ok {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

// FuzzParseServiceAccount: whatever is accepted is the key of a service account
// that asks Google alone for tokens.
func FuzzParseServiceAccount(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", `{"type":"service_account"}`, `{"type":"external_account","credential_source":{"executable":{"command":"id"}}}`,
		`{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}`,
		`{"type":"service_account","client_email":"a@b","private_key":"x","token_uri":"http://169.254.169.254/"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		accepted, err := parseServiceAccount(text)
		if err != nil || accepted == "" {
			return
		}
		a, err := (&googleSettings{Credentials: accepted}).account()
		if err != nil || a.Type != "service_account" || !slices.Contains(googleTokenURIs, a.TokenURI) || accepted != secret.Text(text) {
			t.Errorf("%q was accepted: %v", text, err)
		}
	})
}

// FuzzParseZoneName: what is accepted can be sent in a path, and reads the same
// when it is sent again.
func FuzzParseZoneName(f *testing.F) {
	for _, seed := range []string{"", "example.com", "Example.COM.", "_acme-challenge.example.com", "..", "a/b", "a..b", "-a.com", "xn--rksmrgs-5wao1o.se"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := parseZoneName(text)
		if err != nil {
			return
		}
		again, err := parseZoneName(name)
		if err != nil || again != name || strings.ContainsAny(name, "/?#% \\") || strings.Contains(name, "..") {
			t.Errorf("%q became %q, then %q, %v", text, name, again, err)
		}
	})
}
