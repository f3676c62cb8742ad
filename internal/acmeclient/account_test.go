package acmeclient_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

func TestRegisterAndFind(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	k := key(t, keys.EC256)

	_, err := server.FindAccount(t.Context(), k)
	if !acme.IsProblem(err, acme.AccountDoesNotExist) {
		t.Fatalf("looking for an account that does not exist: %v", err)
	}
	made, err := server.Register(t.Context(), k, acmeclient.Registration{Contacts: []string{"a@example.com", "mailto:b@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"mailto:a@example.com", "mailto:b@example.com"}; made.Status != acme.StatusValid || !slices.Equal(made.Contacts, want) {
		t.Errorf("made %+v", made)
	}
	again, err := server.Register(t.Context(), k, acmeclient.Registration{})
	if err != nil || again.URL != made.URL {
		t.Errorf("registering twice: %+v, %v", again, err)
	}
	found, err := server.FindAccount(t.Context(), k)
	if err != nil || found.URL != made.URL {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestExternalAccount(t *testing.T) {
	t.Parallel()
	const text = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	ca := acmetest.Pebble(t, acmetest.RequireEAB(map[string]string{"kid-1": text}))
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	right, err := acmeclient.ParseEABKey(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		eab  *acmeclient.EAB
		want string // problem type, empty for success
	}{
		"none":            {nil, acme.Namespace + "externalAccountRequired"},
		"unknown kid":     {&acmeclient.EAB{KID: "kid-2", Key: right}, acme.Unauthorized},
		"wrong key":       {&acmeclient.EAB{KID: "kid-1", Key: make([]byte, 32)}, acme.Unauthorized},
		"as the CA wants": {&acmeclient.EAB{KID: "kid-1", Key: right}, ""},
	} {
		_, err := server.Register(t.Context(), key(t, keys.EC521), acmeclient.Registration{EAB: test.eab})
		if (test.want == "" && err != nil) || (test.want != "" && !acme.IsProblem(err, test.want)) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestParseEABKey(t *testing.T) {
	t.Parallel()
	raw := []byte(strings.Repeat("\xfb\xff", 20))
	unpadded := base64.RawURLEncoding.EncodeToString(raw)
	for _, good := range []string{unpadded, base64.URLEncoding.EncodeToString(raw), " " + unpadded + "\n"} {
		if got, err := acmeclient.ParseEABKey(good); err != nil || !slices.Equal(got, raw) {
			t.Errorf("%q: %x, %v", good, got, err)
		}
	}
	for bad, reason := range map[string]string{
		"":                                     "nothing",
		base64.StdEncoding.EncodeToString(raw): "another alphabet, with + and /",
		"c2hvcnQ":                              "too short for HMAC-SHA256",
		strings.Repeat("secret secret secret ", 3): "not base64 at all",
	} {
		_, err := acmeclient.ParseEABKey(bad)
		if err == nil {
			t.Errorf("accepted %q: %s", bad, reason)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestExternalAccountKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	eab := acmeclient.EAB{KID: "kid-1", Key: []byte("a very secret key")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{eab, &eab} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "secret") || strings.Contains(text, "115") {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
	}
}

func TestContacts(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	for _, contacts := range [][]string{{"new@example.com"}, {}, nil} {
		account, err := client.UpdateContacts(t.Context(), contacts)
		if err != nil || len(account.Contacts) != len(contacts) {
			t.Errorf("to %q: %+v, %v", contacts, account, err)
		}
	}
	if _, err := client.UpdateContacts(t.Context(), []string{"tel:+123"}); !acme.IsProblem(err, acme.Namespace+"unsupportedContact") {
		t.Errorf("a telephone: %v", err)
	}
}

// A contact goes into a URL, where some characters of addresses mean something.
func TestContactsAreEscaped(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	account, err := client.UpdateContacts(t.Context(), []string{"a?b%c/d+e@example.com"})
	if err != nil || account.Contacts[0] != "mailto:a%3Fb%25c%2Fd+e@example.com" {
		t.Errorf("%q, %v", account.Contacts, err)
	}
}

func TestDeactivate(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	k := key(t, keys.EC256)
	client := register(t, server, k)
	account, err := client.Deactivate(t.Context())
	if err != nil || account.Status != acme.StatusDeactivated {
		t.Errorf("%+v, %v", account, err)
	}
	if _, err := client.NewOrder(t.Context(), dnsNames("x.example.com")); !acme.IsProblem(err, acme.Unauthorized) {
		t.Errorf("ordering with it: %v", err)
	}
	if _, err := server.FindAccount(t.Context(), k); !acme.IsProblem(err, acme.Unauthorized) {
		t.Errorf("finding it: %v", err)
	}
}

// Every kind of key gives way to every other in turn.
func TestChangeKey(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.Strict())
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	old := key(t, keys.AccountKinds[len(keys.AccountKinds)-1])
	client := register(t, server, old)
	account, err := server.FindAccount(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range keys.AccountKinds[:len(keys.AccountKinds)-1] {
		next := key(t, kind)
		if err := client.ChangeKey(t.Context(), next); err != nil {
			t.Fatalf("to %s: %v", kind, err)
		}
		if _, err := client.NewOrder(t.Context(), dnsNames("x.example.com")); err == nil {
			t.Errorf("the key before %s is still good", kind)
		}
		client = server.Account(account.URL, next)
		if _, err := client.NewOrder(t.Context(), dnsNames("x.example.com")); err != nil {
			t.Errorf("with %s: %v", kind, err)
		}
	}
}

// RFC 8555 §7.3.5: a CA that knows the new key names its account. Pebble is of
// no use here, since it answers 200 and changes nothing.
func TestChangeKeyToOneThatIsTaken(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	client, taken := register(t, server, key(t, keys.EC256)), key(t, keys.EC384)
	holder, err := server.Register(t.Context(), taken, acmeclient.Registration{})
	if err != nil {
		t.Fatal(err)
	}
	err = client.ChangeKey(t.Context(), taken)
	p, ok := errors.AsType[*acme.Problem](err)
	if !ok || p.Status != http.StatusConflict || p.Location != holder.URL {
		t.Errorf("got %#v, want 409 that names %s", p, holder.URL)
	}
}

// What a CA need not offer is missed only by whoever needs it.
func TestOptionalResources(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	ca.On(acmetest.Directory, ca.Edit(func(d map[string]any, _ http.Header) {
		delete(d, "keyChange")
		delete(d, "revokeCert")
	}))
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	if err := client.ChangeKey(t.Context(), key(t, keys.EC256)); err == nil || !strings.Contains(err.Error(), "does not offer keyChange") {
		t.Errorf("changing the key: %v", err)
	}
	if err := client.Revoke(t.Context(), []byte("der"), 0); err == nil || !strings.Contains(err.Error(), "does not offer revokeCert") {
		t.Errorf("revoking: %v", err)
	}
}

// A key that cannot sign is refused before anything is sent.
func TestUnusableAccountKey(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	_, err := dial(t, ca.DirectoryURL, ca.TrustedCA).Register(t.Context(), p224(t), acmeclient.Registration{})
	if err == nil || acme.Temporary(err) || !strings.Contains(err.Error(), "P-224") {
		t.Errorf("got %v", err)
	}
	if n := ca.Count(acmetest.NewAccount); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// RFC 8555 §6.2: the CA says which algorithms it would have taken.
func TestBadSignatureAlgorithm(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	ca.On(acmetest.NewAccount, acmetest.JSON(http.StatusBadRequest, map[string]any{
		"type": acme.BadSignatureAlgorithm, "detail": "not this one", "algorithms": []string{"RS256", "ES256"},
	}))
	_, err := dial(t, ca.DirectoryURL, ca.TrustedCA).Register(t.Context(), key(t, keys.EC521), acmeclient.Registration{})
	p, ok := errors.AsType[*acme.Problem](err)
	if !ok || !slices.Equal(p.Algorithms, []string{"RS256", "ES256"}) {
		t.Errorf("got %v", err)
	}
}
