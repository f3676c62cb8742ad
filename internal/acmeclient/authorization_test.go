package acmeclient_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// authorize places an order for a name and reads its authorization.
func authorize(t testing.TB, client *acmeclient.Client, name string) (acme.Authorization, error) {
	t.Helper()
	order, err := client.NewOrder(t.Context(), dnsNames(name))
	if err != nil {
		t.Fatal(err)
	}
	return client.Authorization(t.Context(), order.Authorizations[0])
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	authorization, err := authorize(t, client, "x.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if a := authorization; a.Status != acme.StatusPending || a.Expires.IsZero() || a.Wildcard || len(a.Challenges) != 3 {
		t.Fatalf("got %+v", a)
	}
	if err := client.Answer(t.Context(), authorization.Challenges[0].URL); err != nil {
		t.Fatal(err)
	}
	if got := string(ca.Requests(acmetest.Challenge)[0].Payload); got != "{}" {
		t.Errorf("the answer was %s, want {} (RFC 8555 §7.5.1)", got)
	}
	if err := client.Answer(t.Context(), authorization.Challenges[0].URL); !acme.IsProblem(err, acme.Malformed) {
		t.Errorf("a second answer: %v", err)
	}
	after, err := client.Authorization(t.Context(), authorization.URL)
	if err != nil || after.Status != acme.StatusValid || len(after.Challenges) != 1 {
		t.Errorf("%+v, %v", after, err)
	}
}

// A wildcard is known by its mark; a CA that leaves the star in place instead
// means the same.
func TestWildcardAuthorization(t *testing.T) {
	t.Parallel()
	for name, star := range map[string]bool{"as RFC 8555 §7.1.4 has it": false, "with the star": true} {
		ca, client := scripted(t)
		ca.On(acmetest.Authorization, ca.Edit(func(d map[string]any, _ http.Header) {
			if star {
				d["identifier"] = acme.Identifier{Type: acme.DNS, Value: "*.example.com"}
				delete(d, "wildcard")
			}
		}))
		got, err := authorize(t, client, "*.example.com")
		if err != nil || !got.Wildcard || got.Identifier.Value != "example.com" || got.Requested().Value != "*.example.com" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Challenges of unknown types are kept, unreadable ones are not, and neither
// hides the others. A valid authorization need not have any.
func TestForeignChallenges(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	ca.On(acmetest.Authorization, acmetest.With("Retry-After", "9", acmetest.JSON(200, map[string]any{
		"status": "pending", "expires": 7, "identifier": map[string]any{"type": "dns", "value": "x.example.com"},
	})))
	if _, err := authorize(t, client, "x.example.com"); err == nil {
		t.Error("a time that is a number was read")
	}
	ca.On(acmetest.Authorization, acmetest.With("Retry-After", "9", acmetest.JSON(200, map[string]any{
		"status": "valid", "expires": "", "identifier": map[string]any{"type": "dns", "value": "x.example.com"},
		"challenges": []any{
			map[string]any{"type": "dns-persist-01", "url": "/challenge/1", "issuer-domain-names": []string{"ca.example"}},
			map[string]any{"type": "vendor-02", "token": map[string]any{"a": 1}},
			map[string]any{"token": "typeless"},
			"challenge",
			map[string]any{"type": "http-01", "token": "good-Token_1", "url": "http://ca.example/", "validated": "today", "status": "processing"},
			nil,
		},
	})))
	got, err := authorize(t, client, "x.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if got.RetryAfter != 9*time.Second || len(got.Challenges) != 2 {
		t.Fatalf("got %+v", got)
	}
	if c := got.Challenges[0]; c.Type != "dns-persist-01" || c.URL == "" {
		t.Errorf("got %+v", c)
	}
	if c := got.Challenges[1]; c.Token != "good-Token_1" || c.URL != "" || c.Status != acme.StatusProcessing {
		t.Errorf("got %+v, want it without the URL that cannot be followed", c)
	}
}

// A token becomes part of a path, of a DNS record and of a certificate.
func TestTokens(t *testing.T) {
	t.Parallel()
	for token, good := range map[string]bool{
		"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA": true,
		"short":            true, // its entropy is the CA's affair
		"":                 false,
		"../../etc/passwd": false,
		"with=padding":     false,
		"a+b/c":            false,
		"line\nbreak":      false,
		"$(reboot)":        false,
		"ünicode":          false,
	} {
		ca, client := scripted(t)
		ca.On(acmetest.Authorization, ca.Edit(func(d map[string]any, _ http.Header) {
			d["challenges"] = []any{map[string]any{"type": "http-01", "url": "/c/1", "token": token}}
		}))
		want := ""
		if good {
			want = token
		}
		got, err := authorize(t, client, "x.example.com")
		if err != nil || len(got.Challenges) != 1 || got.Challenges[0].Token != want {
			t.Errorf("%q: %+v, %v", token, got.Challenges, err)
		}
	}
}

// RFC 8555 §8.1 and §8.4.
func TestKeyAuthorization(t *testing.T) {
	t.Parallel()
	server, err := acmeclient.New(acmeclient.Config{DirectoryURL: "https://ca.example/"})
	if err != nil {
		t.Fatal(err)
	}
	k := fixedKey(t)
	client := server.Account("https://ca.example/acct/1", k)
	const want = "token." + fixedThumbprint
	if got := client.KeyAuthorization("token"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := client.KeyAuthorization(""); got != "" {
		t.Errorf("got %q for no token", got)
	}
	// printf %s abc | openssl dgst -sha256 -binary | basenc --base64url
	if got := acmeclient.DNS01Value("abc"); got != "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0" {
		t.Errorf("got %q", got)
	}
}

func TestDeactivateAuthorization(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	authorization, err := authorize(t, client, "x.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.DeactivateAuthorization(t.Context(), authorization.URL); err != nil {
		t.Fatal(err)
	}
	if after, err := client.Authorization(t.Context(), authorization.URL); err != nil || after.Status != acme.StatusDeactivated {
		t.Errorf("%s, %v", after.Status, err)
	}
}

func TestFailedChallengeTellsWhy(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	ca.Judge(func(acme.Identifier, acme.ChallengeType) *acme.Problem {
		return &acme.Problem{Type: acme.Namespace + "dns", Detail: "no such name"}
	})
	authorization, err := authorize(t, client, "x.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Answer(t.Context(), authorization.Challenges[0].URL); err != nil {
		t.Fatal(err)
	}
	after, err := client.Authorization(t.Context(), authorization.URL)
	if err != nil || after.Status != acme.StatusInvalid {
		t.Fatalf("%s, %v", after.Status, err)
	}
	if p, ok := errors.AsType[*acme.Problem](error(after.Challenges[0].Error)); !ok || p.Detail != "no such name" {
		t.Errorf("got %v", p)
	}
}
