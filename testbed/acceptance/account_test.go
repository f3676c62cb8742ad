package acceptance

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/acme"
)

// accountBody is a request that makes an account at the shared CA.
func accountBody(s site, more fields) fields {
	body := fields{
		"directory_url": s.Pebble.DirectoryURL, "email_contacts": "admin@example.com", "trusted_ca": s.Pebble.TrustedCA,
	}
	for name, value := range more {
		body[name] = value
	}
	return body
}

// newAccount makes an account and returns its name.
func (s site) newAccount(t *testing.T, more fields) string {
	t.Helper()
	name := unique()
	s.write(t, "config/acme-account/"+name, accountBody(s, more))
	return name
}

func TestAccountIsShownAsWritten(t *testing.T) {
	t.Parallel()
	name := unique()
	body := accountBody(shared, fields{"email_contacts": []string{"b@example.com", "a@example.com"}, "key_type": "ec-384"})
	written := shared.write(t, "config/acme-account/"+name, body)
	read := shared.read(t, "config/acme-account/"+name)
	if a, b := asJSON(t, written), asJSON(t, read); a != b {
		t.Errorf("a write answers %s, a read %s", a, b)
	}
	want := fields{
		"name": name, "directory_url": shared.Pebble.DirectoryURL, "trusted_ca": shared.Pebble.TrustedCA,
		"active_key_version": float64(0), // the first, as Enterprise counts
	}
	for field, value := range want {
		if read[field] != value {
			t.Errorf("%s is %v, want %v", field, read[field], value)
		}
	}
	if got := read.texts(t, "email_contacts"); !slices.Equal(got, []string{"b@example.com", "a@example.com"}) {
		t.Errorf("email_contacts are %q, not in the order they were sent", got)
	}
	key := read.object(t, "account_keys").object(t, "0")
	if key["key_type"] != "ec-384" || key["key_creation_date"] == nil {
		t.Errorf("account_keys hold %v", key)
	}
	if strings.Contains(asJSON(t, read), "PRIVATE KEY") {
		t.Error("the account shows its private key")
	}
	if listed := shared.vault(t, "list", mount+"/config/acme-account"); !strings.Contains(listed, name) {
		t.Errorf("the list lacks %s:\n%s", name, listed)
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAccountUpdate(t *testing.T) {
	t.Parallel()
	name := shared.newAccount(t, nil)
	path := "config/acme-account/" + name
	shared.write(t, path, accountBody(shared, nil)) // Terraform sends all of it again
	updated := shared.write(t, path, fields{"email_contacts": "new@example.com,more@example.com"})
	if got := updated.texts(t, "email_contacts"); !slices.Equal(got, []string{"new@example.com", "more@example.com"}) {
		t.Errorf("email_contacts are %q", got)
	}
	before := asJSON(t, shared.read(t, path))
	fixed := fields{"directory_url": shared.Pebble.DirectoryURL + "2", "key_type": "rsa-2048", "eab_kid": "another"}
	for field, value := range fixed {
		shared.call(t, "POST", path, accountBody(shared, fields{field: value, "email_contacts": "lost@example.com"})).expect(t, 400, field)
	}
	if after := asJSON(t, shared.read(t, path)); after != before {
		t.Errorf("a refused update changed the account from %s to %s", before, after)
	}
}

func TestRotateKeyWhileIdle(t *testing.T) {
	t.Parallel()
	name := shared.newAccount(t, nil)
	path := "config/acme-account/" + name
	rotated := shared.write(t, path+"/rotate-key", fields{"key_type": "rsa-2048"})
	want := fields{
		"name": name, "old_active_key_version": float64(0), "new_active_key_version": float64(1), "key_type": "rsa-2048",
	}
	for field, value := range want {
		if rotated[field] != value {
			t.Errorf("%s is %v, want %v", field, rotated[field], value)
		}
	}
	if rotated.text(t, "rotated_at") == "" {
		t.Error("rotated_at is empty")
	}
	account := shared.read(t, path)
	if got := account["active_key_version"]; got != float64(1) {
		t.Errorf("active_key_version is %v, want 1", got)
	}
	role, domain := shared.newRole(t, fields{"acme_account_name": name})
	_, cert := shared.issue(t, role, domain) // the CA knows the new key
	shared.verified(t, cert, domain)
}

func TestRotateKeyWaitsForOrders(t *testing.T) {
	t.Parallel()
	name := shared.newAccount(t, nil)
	path := "config/acme-account/" + name
	role, domain := shared.newRole(t, fields{"acme_account_name": name})
	o := shared.newOrder(t, role, fields{"identifiers": []string{domain}})
	o.await(t, stateAwaiting)
	shared.call(t, "POST", path+"/rotate-key", nil).expect(t, 409, "force")
	if got := shared.read(t, path)["active_key_version"]; got != float64(0) {
		t.Errorf("refused, yet active_key_version is %v", got)
	}
	shared.write(t, path+"/rotate-key", fields{"force": true})
	if got := shared.read(t, path)["active_key_version"]; got != float64(1) {
		t.Errorf("forced, yet active_key_version is %v", got)
	}
	o.complete(t) // with the key authorization of the new key
}

func TestImportAndDeleteAccount(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	external := &acme.Client{Key: key, DirectoryURL: shared.Pebble.DirectoryURL, HTTPClient: trusting(shared.Pebble.TrustedCA)}
	if _, err := external.Register(t.Context(), &acme.Account{Contact: []string{"mailto:x@example.com"}}, acme.AcceptTOS); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	name := unique()
	path := "config/acme-account/" + name
	body := fields{
		"account_key":   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"directory_url": shared.Pebble.DirectoryURL, "trusted_ca": shared.Pebble.TrustedCA,
	}
	imported := shared.write(t, path+"/import", body)
	if imported["name"] != name || imported["active_key_version"] != float64(0) {
		t.Errorf("import answers %v", imported)
	}
	role, domain := shared.newRole(t, fields{"acme_account_name": name})
	_, cert := shared.issue(t, role, domain)
	shared.verified(t, cert, domain)

	shared.call(t, "DELETE", path, nil).expect(t, 409, role)
	shared.settle(t, role)
	shared.must(t, "DELETE", "role/"+role, nil)
	shared.must(t, "DELETE", path, nil)
	shared.call(t, "GET", path, nil).expect(t, 404)
	if account, err := external.GetReg(t.Context(), ""); err == nil && account.Status != acme.StatusDeactivated {
		t.Errorf("the CA says that the deleted account is %q", account.Status)
	}
}

func TestImportUnknownKey(t *testing.T) {
	t.Parallel()
	der, err := x509.MarshalECPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	path := "config/acme-account/" + unique()
	shared.call(t, "POST", path+"/import", fields{
		"account_key":   string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
		"directory_url": shared.Pebble.DirectoryURL, "trusted_ca": shared.Pebble.TrustedCA,
	}).expect(t, 400, "account")
	shared.call(t, "GET", path, nil).expect(t, 404)
}

// trusting is an HTTP client that trusts one CA.
func trusting(ca string) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca))
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
}
