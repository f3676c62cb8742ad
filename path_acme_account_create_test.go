package pkiexternalca

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/account"
	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// accountAt is a request for an account at a CA.
func accountAt(directoryURL string, trustedCA []byte) fields {
	return fields{
		"directory_url":  directoryURL,
		"email_contacts": []string{"b@example.com", "a@example.com"},
		"trusted_ca":     string(trustedCA),
	}
}

// eabKey is an HMAC key as CAs hand them out.
const eabKey = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

func TestAccountIsCreated(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	m := newMount(t)
	asked := accountAt(ca.DirectoryURL, ca.TrustedCA)

	written := m.write("config/acme-account/main", asked)
	if read := m.read("config/acme-account/main", nil); !sameJSON(t, written, read) {
		t.Errorf("a write answers %v, a read %v", written, read)
	}
	want := fields{
		"name": "main", "directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA),
		"eab_kid": "", "active_key_version": 0,
	}
	for name, want := range want {
		if written[name] != want {
			t.Errorf("%s is %v, want %v", name, written[name], want)
		}
	}
	if got := written["email_contacts"]; !slices.Equal(got.([]string), []string{"b@example.com", "a@example.com"}) {
		t.Errorf("email_contacts are %q, not in the order they were sent", got)
	}
	for _, name := range []string{"creation_date", "last_updated_date"} {
		if _, err := time.Parse(time.RFC3339, written[name].(string)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"eab_key", "account_key", "key_type"} {
		if _, shown := written[name]; shown {
			t.Errorf("the answer shows %s", name)
		}
	}
	atCA := accountAtPebble(ca, written)
	if want := []string{"mailto:b@example.com", "mailto:a@example.com"}; atCA.Status != acme.StatusValid || !slices.Equal(atCA.Contacts, want) {
		t.Errorf("the CA has the account as %+v", atCA)
	}
	if got := m.list("config/acme-account", nil); !slices.Equal(got, []string{"main"}) {
		t.Errorf("the list of accounts is %q", got)
	}
}

func TestAccountKeyKinds(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	m := newMount(t)
	asked := accountAt(ca.DirectoryURL, ca.TrustedCA)
	for _, kind := range keys.AccountKinds {
		name := string(kind)
		if kind == keys.RSA8192 {
			m.beginRegistration(name, "testdata/rsa-8192.pem", asked)
		}
		got := m.write("config/acme-account/"+name, with(asked, fields{"key_type": name}))
		key := got["account_keys"].(fields)["0"].(fields)
		if key["key_type"] != name || key["key_version"] != 0 {
			t.Errorf("%s: account_keys are %v", kind, got["account_keys"])
		}
		if _, err := time.Parse(time.RFC3339, key["key_creation_date"].(string)); err != nil {
			t.Errorf("%s: key_creation_date: %v", kind, err)
		}
		if url := m.urlByStoredKey(name); url != got["account_url"] {
			t.Errorf("%s: the CA knows the stored key as that of %q, account_url is %q", kind, url, got["account_url"])
		}
	}
}

func TestAccountFieldsAreChecked(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	for _, row := range []struct {
		reason string
		change fields
		names  []string // what the error must name
	}{
		{"required", fields{"directory_url": nil}, []string{"directory_url", "required"}},
		{"required", fields{"email_contacts": nil}, []string{"email_contacts", "required"}},
		{"at least one", fields{"email_contacts": []string{}}, []string{"email_contacts", "at least one"}},
		{"no address", fields{"email_contacts": "admin"}, []string{"email_contacts", `"admin"`}},
		{"a display name is no bare address", fields{"email_contacts": []string{"A <a@example.com>"}}, []string{"email_contacts"}},
		{"RFC 8555 §7.3: no hfields in mailto", fields{"email_contacts": "a@example.com?cc=b@example.com"}, []string{"email_contacts"}},
		{"RFC 8555 §6.1: https only", fields{"directory_url": "http://ca.example/dir"}, []string{"directory_url", "https"}},
		{"no URL", fields{"directory_url": "ca.example"}, []string{"directory_url", "https"}},
		{"a secret in a URL would be shown", fields{"directory_url": "https://u:p@ca.example/dir"}, []string{"directory_url"}},
		{"unknown kind", fields{"key_type": "ed25519"}, []string{"key_type", "ec-256", "rsa-8192"}},
		{"no PEM", fields{"trusted_ca": "not a certificate"}, []string{"trusted_ca", "CERTIFICATE"}},
		{"every mistake at once", fields{"directory_url": "x", "key_type": "y", "trusted_ca": "z"}, []string{"directory_url", "key_type", "trusted_ca"}},
		{"half of a pair", fields{"eab_kid": "kid-1"}, []string{"eab_kid", "eab_key"}},
		{"the other half", fields{"eab_key": eabKey}, []string{"eab_key", "eab_kid"}},
		{"no base64url", fields{"eab_kid": "kid-1", "eab_key": "+++"}, []string{"eab_key", "base64url"}},
		{"RFC 7518 §3.2: too short for HS256", fields{"eab_kid": "kid-1", "eab_key": "c2hvcnQ"}, []string{"eab_key", "32"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/bad",
				with(accountAt(ca.DirectoryURL, ca.TrustedCA), row.change), row.names...)
		})
	}
	if stored := storedKeys(t, m.storage); len(stored) > 0 {
		t.Errorf("refused requests left %q", stored)
	}
	if n := ca.Count(acmetest.NewAccount); n > 0 {
		t.Errorf("the CA was asked for %d accounts", n)
	}
}

// TestAccountDirectory: a CA that cannot be used is told as such, by the name of
// the field, before anything is made or stored.
func TestAccountDirectory(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	good := acmetest.Script(t)
	html, jsonOnly := acmetest.Script(t), acmetest.Script(t)
	html.On(acmetest.Directory, acmetest.HTML(http.StatusOK, "<h1>Welcome</h1>"))
	jsonOnly.On(acmetest.Directory, acmetest.JSON(http.StatusOK, fields{"hello": "world"}))
	down := acmetest.Pebble(t)
	down.HTTP.Close()
	for _, row := range []struct {
		reason string
		body   fields
		names  string
	}{
		{"nobody listens", accountAt(down.DirectoryURL, down.TrustedCA), "refused"},
		{"a web page", accountAt(html.DirectoryURL, html.TrustedCA), "JSON"},
		{"JSON that is no directory (RFC 8555 §7.1.1)", accountAt(jsonOnly.DirectoryURL, jsonOnly.TrustedCA), "newNonce"},
		{"a path that is none", accountAt(good.DirectoryURL+"x", good.TrustedCA), "directory"},
		{"a certificate that nobody trusts", with(accountAt(good.DirectoryURL, nil), fields{"trusted_ca": nil}), "trusted CA"},
		{"another private CA's trust", accountAt(good.DirectoryURL, selfSigned(t)), "trusted CA"},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/bad", row.body, "directory_url", row.names)
		})
	}
	if stored := storedKeys(t, m.storage); len(stored) > 0 {
		t.Errorf("refused requests left %q", stored)
	}
	m.write("config/acme-account/good", accountAt(good.DirectoryURL, good.TrustedCA))
}

// TestAccountRefusedByTheCA: the CA's words reach the operator, and nothing stays.
func TestAccountRefusedByTheCA(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		answer acmetest.Handler
		status int
		words  []string
	}{
		{
			"RFC 8555 §6.2: with the algorithms it would take",
			acmetest.JSON(http.StatusBadRequest, fields{
				"type": acme.BadSignatureAlgorithm, "detail": "ES512 is not for us", "algorithms": []string{"ES256", "RS256"},
			}),
			http.StatusBadRequest,
			[]string{acme.BadSignatureAlgorithm, "ES512 is not for us", "ES256, RS256"},
		},
		{
			"RFC 8555 §6.7",
			acmetest.Problem(http.StatusBadRequest, acme.BadPublicKey, "curve P-521 is not allowed"),
			http.StatusBadRequest,
			[]string{acme.BadPublicKey, "curve P-521 is not allowed"},
		},
		{
			"RFC 8555 §7.3: a contact that the CA does not take",
			acmetest.Problem(http.StatusBadRequest, acme.Namespace+"invalidContact", "example.com does not take mail"),
			http.StatusBadRequest,
			[]string{"invalidContact", "example.com does not take mail"},
		},
		{
			"RFC 8555 §6.6: a limit ends by itself",
			acmetest.With("Retry-After", "120", acmetest.Problem(http.StatusTooManyRequests, acme.RateLimited, "too many accounts")),
			http.StatusServiceUnavailable,
			[]string{"too many accounts", "2m0s"},
		},
		{"no answer at all", acmetest.Cut(), http.StatusBadGateway, []string{"registering"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			ca.On(acmetest.NewAccount, row.answer)
			m := newMount(t)
			body := with(accountAt(ca.DirectoryURL, ca.TrustedCA), fields{"key_type": "ec-521"})
			m.refused(row.status, logical.UpdateOperation, "config/acme-account/main", body, row.words...)
			m.refused(http.StatusNotFound, logical.ReadOperation, "config/acme-account/main", nil)
			if row.status == http.StatusBadRequest && len(storedKeys(t, m.storage)) > 0 {
				t.Errorf("a refused account left %q", storedKeys(t, m.storage))
			}
			ca.On(acmetest.NewAccount, nil)
			m.write("config/acme-account/main", body)
		})
	}
}

// TestAccountRegistrationIsRepeatable: when the answer is lost the CA has the
// account all the same. Writing again finds that one instead of making another.
func TestAccountRegistrationIsRepeatable(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	body := accountAt(ca.DirectoryURL, ca.TrustedCA)
	ca.On(acmetest.NewAccount, ca.Times(1, ca.Lost()))
	m.refused(http.StatusBadGateway, logical.UpdateOperation, "config/acme-account/main", body)
	got := m.write("config/acme-account/main", with(body, fields{"email_contacts": "c@example.com"}))
	if n := accountsMade(ca); n != 1 {
		t.Errorf("the CA was asked to register %d keys, want 1", n)
	}
	if url := m.urlByStoredKey("main"); url != got["account_url"] {
		t.Errorf("account_url is %q, the stored key is that of %q", got["account_url"], url)
	}
	if last := ca.Requests(acmetest.Account); len(last) != 1 || !strings.Contains(string(last[0].Payload), "mailto:c@example.com") {
		t.Error("the contacts of the second request did not reach the CA, which keeps those of the first")
	}
}

// TestAccountRegistrationIsKept: a key that the CA may know is not thrown away
// because a second try was refused.
func TestAccountRegistrationIsKept(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := newMount(t)
	body := accountAt(ca.DirectoryURL, ca.TrustedCA)
	ca.On(acmetest.NewAccount, ca.Sequence(ca.Lost(), acmetest.Problem(http.StatusForbidden, acme.Unauthorized, "not today")))
	m.refused(http.StatusBadGateway, logical.UpdateOperation, "config/acme-account/main", body)
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/main", body, "not today")
	m.write("config/acme-account/main", body)
	if n := accountsMade(ca); n != 1 {
		t.Errorf("the CA was asked to register %d keys, want 1", n)
	}
}

func TestAccountExternalBinding(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.RequireEAB(map[string]string{"kid-1": eabKey}))
	m := newMount(t)
	body := accountAt(ca.DirectoryURL, ca.TrustedCA)
	bound := with(body, fields{"eab_kid": "kid-1", "eab_key": eabKey})
	const path = "config/acme-account/main"

	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, body, "eab_kid", "externalAccountRequired")
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, with(bound, fields{"eab_kid": "kid-2"}), "urn:ietf:params:acme:error:")
	wrong := strings.Repeat("A", len(eabKey))
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, with(bound, fields{"eab_key": wrong}), "urn:ietf:params:acme:error:")
	if stored := storedKeys(t, m.storage); len(stored) > 0 {
		t.Errorf("refused requests left %q", stored)
	}

	got := m.write(path, bound)
	if got["eab_kid"] != "kid-1" {
		t.Errorf("eab_kid is %v", got["eab_kid"])
	}
	again := m.write(path, bound) // Terraform sends everything again
	if again["account_url"] != got["account_url"] || again["active_key_version"] != 0 {
		t.Errorf("sending the same again made %v of %v", again, got)
	}
	for _, key := range storedKeys(t, m.storage) {
		entry, err := m.storage.Get(t.Context(), key)
		if err != nil || strings.Contains(string(entry.Value), eabKey) {
			t.Errorf("the record %s holds the key of the external account (error %v)", key, err)
		}
	}
}

// beginRegistration stores what an earlier try to register an account stored
// before it asked the CA: making a key of 8192 bits takes from a second to a
// minute, so this one was made before.
func (m *mount) beginRegistration(name, file string, asked fields) {
	m.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	key, err := keys.Parse(string(text))
	if err != nil {
		m.t.Fatal(err)
	}
	begun := &account.Account{
		Name: name, DirectoryURL: asked["directory_url"].(string), KeyKind: keys.KindOf(key.Public()),
		Contacts: asked["email_contacts"].([]string),
	}
	if err := begun.SetKey(key, m.now()); err != nil {
		m.t.Fatal(err)
	}
	if err := registrations.Put(m.t.Context(), m.storage, name, begun); err != nil {
		m.t.Fatal(err)
	}
}

// urlByStoredKey asks the CA whose the stored key of an account is.
func (m *mount) urlByStoredKey(name string) string {
	m.t.Helper()
	acct, err := accounts.Get(m.t.Context(), m.storage, name)
	if err != nil {
		m.t.Fatal(err)
	}
	key, err := acct.Signer()
	if err != nil {
		m.t.Fatal(err)
	}
	server, err := acmeclient.New(acmeclient.Config{DirectoryURL: acct.DirectoryURL, TrustedCA: []byte(acct.TrustedCA)})
	if err != nil {
		m.t.Fatal(err)
	}
	defer server.Close()
	found, err := server.FindAccount(m.t.Context(), key)
	if err != nil {
		m.t.Errorf("the CA does not know the stored key of account %s: %v", name, err)
	}
	return found.URL
}

// accountsMade counts the keys that the CA was asked to register.
func accountsMade(ca *acmetest.ScriptServer) int {
	seen := map[string]bool{}
	for _, r := range ca.Requests(acmetest.NewAccount) {
		if !strings.Contains(string(r.Payload), "onlyReturnExisting") {
			seen[r.Key] = true
		}
	}
	return len(seen)
}
