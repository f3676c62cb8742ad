package pkiexternalca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// registered makes an account at a CA behind the back of the engine, and gives
// a client for it and its URL.
func registered(t testing.TB, directoryURL string, trustedCA []byte, key crypto.Signer) (*acmeclient.Client, string) {
	t.Helper()
	server, err := acmeclient.New(acmeclient.Config{DirectoryURL: directoryURL, TrustedCA: trustedCA})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	made, err := server.Register(t.Context(), key, acmeclient.Registration{Contacts: []string{"old@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	return server.Account(made.URL, key), made.URL
}

func encoded(t testing.TB, key crypto.Signer) string {
	t.Helper()
	text, err := keys.Encode(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// legacyEncrypted is the form of RFC 1421, which openssl wrote for long.
const legacyEncrypted = `-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF

AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
-----END EC PRIVATE KEY-----
`

func block(t testing.TB, label string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func TestAccountImport(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	ec := newKey(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ecURL := registered(t, ca.DirectoryURL, ca.TrustedCA, ec)
	_, rsaURL := registered(t, ca.DirectoryURL, ca.TrustedCA, rsaKey)
	sec1DER, err := x509.MarshalECPrivateKey(ec)
	sec1 := block(t, "EC PRIVATE KEY", sec1DER, err)
	pkcs8DER, err := x509.MarshalPKCS8PrivateKey(ec)
	pkcs8 := block(t, "PRIVATE KEY", pkcs8DER, err)
	pkcs1 := block(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil)
	parameters := block(t, "EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}, nil)

	for _, row := range []struct {
		form, key, url, kind string
	}{
		{"SEC 1", sec1, ecURL, "ec-256"},
		{"PKCS #8", pkcs8, ecURL, "ec-256"},
		{"PKCS #1", pkcs1, rsaURL, "rsa-2048"},
		{"as openssl ecparam writes it", parameters + sec1, ecURL, "ec-256"},
		{"with lines of text around it", "Bag Attributes\n" + pkcs8 + "\nthe end\n", ecURL, "ec-256"},
		{"with the line ends of Windows", strings.ReplaceAll(pkcs1, "\n", "\r\n"), rsaURL, "rsa-2048"},
	} {
		t.Run(row.form, func(t *testing.T) {
			m := newMount(t)
			got := m.write("config/acme-account/main/import", fields{
				"directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA), "account_key": row.key,
			})
			if got["account_url"] != row.url || got["active_key_version"] != 0 {
				t.Errorf("the import gave %v, want the account %s", got, row.url)
			}
			if kind := got["account_keys"].(fields)["0"].(fields)["key_type"]; kind != row.kind {
				t.Errorf("key_type is %v, want %s", kind, row.kind)
			}
			if !slices.Equal(got["email_contacts"].([]string), []string{"old@example.com"}) {
				t.Errorf("email_contacts are %q, not those of the CA", got["email_contacts"])
			}
			if read := m.read("config/acme-account/main", nil); !sameJSON(t, got, read) {
				t.Errorf("an import answers %v, a read %v", got, read)
			}
			if m.urlByStoredKey("main") != row.url {
				t.Error("the stored key is another one")
			}
		})
	}
}

func TestAccountImportIsChecked(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	known, ended := newKey(t), newKey(t)
	registered(t, ca.DirectoryURL, ca.TrustedCA, known)
	account, _ := registered(t, ca.DirectoryURL, ca.TrustedCA, ended)
	if _, err := account.Deactivate(t.Context()); err != nil {
		t.Fatal(err)
	}
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwardsDER, err := x509.MarshalPKCS8PrivateKey(edwards)

	m := newMount(t)
	good := fields{"directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA), "account_key": encoded(t, known)}
	for _, row := range []struct {
		reason string
		change fields
		names  []string
	}{
		{"required", fields{"account_key": nil}, []string{"account_key", "required"}},
		{"required", fields{"directory_url": nil}, []string{"directory_url", "required"}},
		{"https only", fields{"directory_url": "http://ca.example"}, []string{"directory_url", "https"}},
		{"no PEM", fields{"account_key": "garbage"}, []string{"account_key", "EC PRIVATE KEY"}},
		{"a certificate", fields{"account_key": string(ca.TrustedCA)}, []string{"account_key", "EC PRIVATE KEY"}},
		{"PEM without a key in it", fields{"account_key": block(t, "EC PRIVATE KEY", []byte("x"), nil)}, []string{"account_key", "cannot be read"}},
		{"encrypted", fields{"account_key": block(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil)}, []string{"account_key", "passphrase"}},
		{"encrypted as openssl did it", fields{"account_key": legacyEncrypted}, []string{"account_key", "passphrase"}},
		{"Ed25519", fields{"account_key": block(t, "PRIVATE KEY", edwardsDER, err)}, []string{"account_key", "EC or RSA"}},
		{"a curve that no signature of RFC 8555 §6.2 uses", fields{"account_key": encoded(t, small)}, []string{"account_key", "P-224"}},
		{"a key that the CA does not know", fields{"account_key": encoded(t, newKey(t))}, []string{"account_key", "no account"}},
		{"a deactivated account", fields{"account_key": encoded(t, ended)}, []string{"account_key", "deactivated"}},
		{"a CA that is not trusted", fields{"trusted_ca": nil}, []string{"directory_url", "trusted CA"}},
		{"no certificate", fields{"trusted_ca": "x"}, []string{"trusted_ca", "CERTIFICATE"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			body := with(good, row.change)
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/main/import", body, row.names...)
		})
	}
	if stored := storedKeys(t, m.storage); len(stored) > 0 {
		t.Errorf("refused imports left %q", stored)
	}
	m.write("config/acme-account/main/import", good)
	m.refused(http.StatusConflict, logical.UpdateOperation, "config/acme-account/main/import", good, "main", "exists")
}

// TestImportOfAnAccountThatTheCAHasEnded: not every CA refuses to show one
// (RFC 8555 §7.3.1, §7.1.6).
func TestImportOfAnAccountThatTheCAHasEnded(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	key := newKey(t)
	registered(t, ca.DirectoryURL, ca.TrustedCA, key)
	ca.On(acmetest.NewAccount, edit("status", "revoked")(ca))
	m := newMount(t)
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/main/import",
		fields{"directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA), "account_key": encoded(t, key)}, "account_key", "revoked")
}

// TestImportedAccountWithoutContacts: Let's Encrypt keeps none. It must be
// possible to change something else all the same.
func TestImportedAccountWithoutContacts(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	key := newKey(t)
	registered(t, ca.DirectoryURL, ca.TrustedCA, key)
	ca.On(acmetest.NewAccount, ca.Edit(func(document map[string]any, _ http.Header) { delete(document, "contact") }))
	m := newMount(t)
	const path = "config/acme-account/main"
	got := m.write(path+"/import", fields{"directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA), "account_key": encoded(t, key)})
	if asJSON(t, got["email_contacts"]) != "[]" {
		t.Errorf("no contacts are shown as %s", asJSON(t, got["email_contacts"]))
	}
	m.write(path, fields{"trusted_ca": string(ca.TrustedCA) + "\n"})
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, fields{"email_contacts": "nobody"}, "email_contacts")
	m.write(path, fields{"email_contacts": "new@example.com"})
}
