package account

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

func TestSetKey(t *testing.T) {
	t.Parallel()
	a := &Account{Name: "main"}
	for n, kind := range []keys.Kind{keys.EC256, keys.EC384, keys.RSA2048} {
		key := newKey(t, kind)
		if err := a.SetKey(key, start); err != nil {
			t.Fatal(err)
		}
		got, err := a.Signer()
		if err != nil || !keys.Same(got.Public(), key.Public()) {
			t.Errorf("%s: another key came back: %v", kind, err)
		}
		if a.ActiveVersion() != n || a.Versions[n] != (KeyVersion{kind, start}) {
			t.Errorf("%s: version %d of %v", kind, a.ActiveVersion(), a.Versions)
		}
	}
	if err := a.SetKey(nil, start); err == nil || a.ActiveVersion() != 2 {
		t.Errorf("no key was taken for one: %v", err)
	}
}

// TestAccountsDoNotPrintTheirKeys holds that an account in an error or a log
// shows neither key.
func TestAccountsDoNotPrintTheirKeys(t *testing.T) {
	t.Parallel()
	v, ca := opened(t)
	v.leaveOpen(ca, false)
	a := v.load()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%t", "%x", "%d"} {
		for _, value := range []any{a, *a, *a.Candidate, []Account{*a}, []*Account{a}, struct{ Account }{*a}} {
			if printed := fmt.Sprintf(verb, value); strings.Contains(printed, "PRIVATE KEY") {
				t.Errorf("%s prints %s", verb, printed)
			}
		}
	}
	a.Key = "damaged secret"
	if _, err := a.Signer(); err == nil || strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
}

// TestStoredForm holds the names under which accounts lie in storage.
func TestStoredForm(t *testing.T) {
	t.Parallel()
	a := &Account{
		Name: "main", DirectoryURL: "https://ca/directory", Contacts: []string{"a@example.com"}, KeyKind: keys.EC256, URL: accountURL,
		Key: "key", Versions: []KeyVersion{{keys.EC256, start}}, Candidate: &Candidate{"new", keys.EC384, start}, Created: start, Updated: start,
	}
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"name":"main","directory_url":"https://ca/directory","contacts":["a@example.com"],"key_kind":"ec-256",` +
		`"url":"https://ca/account/1","key":"key","versions":[{"kind":"ec-256","created":"2026-01-01T00:00:00Z"}],` +
		`"candidate":{"key":"new","kind":"ec-384","created":"2026-01-01T00:00:00Z"},` +
		`"created":"2026-01-01T00:00:00Z","updated":"2026-01-01T00:00:00Z"}`
	if string(raw) != want {
		t.Errorf("stored as\n%s, want\n%s; records of the first version must stay readable", raw, want)
	}
}
