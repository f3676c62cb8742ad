package pkiexternalca

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// recorder is a storage that remembers everything that was ever written to it.
type recorder struct {
	logical.Storage
	mu      sync.Mutex
	written map[string][]string // values by key
}

// Put implements logical.Storage.
func (r *recorder) Put(ctx context.Context, e *logical.StorageEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written[e.Key] = append(r.written[e.Key], string(e.Value))
	return r.Storage.Put(ctx, e)
}

// transcript is everything that was said to somebody.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer, for a log.
func (s *transcript) Write(p []byte) (int, error) {
	s.note(string(p))
	return len(p), nil
}

func (s *transcript) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text.WriteString(text + "\n")
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

var privateKeyBlock = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----`)

// secretsIn gives every form in which a private key in a text could show up
// elsewhere: its PEM, each line of that, and its numbers.
func secretsIn(t *testing.T, text string) []string {
	t.Helper()
	var out []string
	for _, escaped := range privateKeyBlock.FindAllString(text, -1) {
		block := strings.ReplaceAll(escaped, `\n`, "\n")
		key, err := keys.Parse(block)
		if err != nil {
			t.Fatalf("a stored key cannot be read: %v", err)
		}
		for line := range strings.Lines(block) {
			if line = strings.TrimSpace(line); len(line) >= 16 && !strings.HasPrefix(line, "-----") {
				out = append(out, line)
			}
		}
		if ec, ok := key.(*ecdsa.PrivateKey); ok {
			raw, err := ec.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, hex.EncodeToString(raw), base64URL(raw))
		}
		der, _ := pem.Decode([]byte(block))
		out = append(out, hex.EncodeToString(der.Bytes))
	}
	return out
}

// TestSecretsStaySecret drives a mount through everything that it can do, and
// much that it cannot, and looks for secrets in every answer, every error, every
// line of the log and every key of the storage.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	said := &transcript{}
	stored := &recorder{Storage: &logical.InmemStorage{}, written: map[string][]string{}}
	m := mountOn(t, stored, func(m *mount) {
		m.log = hclog.New(&hclog.LoggerOptions{Output: said, Level: hclog.Trace, Mutex: &sync.Mutex{}})
		m.heard = said.note
	})
	imported := m.doEverything(t)
	m.unmount()

	secrets := append(secretsIn(t, imported), eabKey, hex.EncodeToString(fromBase64URL(t, eabKey)))
	for key, values := range stored.written {
		for _, value := range values {
			found := secretsIn(t, value)
			secrets = append(secrets, found...)
			wrapped := slices.ContainsFunc(sealWrapped, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
			if len(found) > 0 && !wrapped {
				t.Errorf("the record %s holds a key and is not seal-wrapped", key)
			}
			if strings.Contains(value, eabKey) {
				t.Errorf("the record %s holds the key of the external account", key)
			}
		}
		said.note(key)
	}
	text := said.String()
	if len(secrets) < 20 || !strings.Contains(text, "an order went on") || !strings.Contains(text, orderKeys.Prefix) {
		t.Fatalf("the test sees nothing: %d secrets, %d bytes of what was said", len(secrets), len(text))
	}
	for _, secret := range secrets {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("a secret was said: %q", text[max(at-200, 0):at+20])
		}
	}
}

// doEverything gives the key of the account that it imports.
func (m *mount) doEverything(t *testing.T) (imported string) {
	ca := acmetest.Pebble(t, acmetest.AlwaysValid(), acmetest.RequireEAB(map[string]string{"kid-1": eabKey}))
	bound := with(accountAt(ca.DirectoryURL, ca.TrustedCA), fields{"eab_kid": "kid-1", "eab_key": eabKey})
	const path = "config/acme-account/ca"
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, with(bound, fields{"eab_key": eabKey + "!"}), "eab_key")
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, with(bound, fields{"eab_kid": "kid-2"}))
	m.write(path, bound)
	m.write(path, bound)
	m.withRole(nil)
	id, _ := m.obtain(fields{"identifiers": "www.example.com"})
	m.obtain(fields{"csr": requestPEM(t, newKey(t), request509{DNSNames: []string{"www.example.com"}})})
	for _, format := range []string{"pem", "der", "pem_bundle"} {
		m.read("role/web/order/"+id+"/fetch-cert", fields{"certificate_format": format})
		m.read(cached, fields{"identifiers": "www.example.com", "certificate_format": format})
	}
	m.write(path+"/rotate-key", nil)
	m.read("role/web/order/"+id+"/challenge", fields{"identifier": "www.example.com", "challenge_type": "dns-01"})
	m.read("role/web/order/"+id+"/status", nil)
	m.read("lookup/order/"+id, nil)
	m.list("lookup/orders/recent", nil)
	m.write("role/web/order/"+id+"/revoke", nil)

	imported = encoded(t, newKey(t))
	wish := fields{"directory_url": ca.DirectoryURL, "trusted_ca": string(ca.TrustedCA), "account_key": imported}
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/other/import", wish)
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/other/import", with(wish, fields{"account_key": imported[:150]}))
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/other/import", with(wish, fields{"directory_url": imported}))
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/other", with(bound, fields{"directory_url": "https://user:" + eabKey + "@ca.example/"}))
	m.refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, fields{"csr": imported})
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path, fields{"trusted_ca": imported})

	ca.HTTP.CloseClientConnections()
	ca.HTTP.Close()
	m.refused(http.StatusBadGateway, logical.UpdateOperation, path+"/rotate-key", nil)
	m.refused(http.StatusBadGateway, logical.UpdateOperation, path, fields{"email_contacts": "c@example.com"})
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/other", bound)
	last := m.order(fields{"identifiers": "www.example.com"})
	eventually(t, "the CA to be missed", func() bool { return m.read("role/web/order/"+last+"/status", nil)["last_error"] != "" })
	m.delete("role/web", fields{"force": true})
	m.refused(http.StatusBadGateway, logical.DeleteOperation, path, nil)
	m.delete(path, fields{"deactivate": false})
	return imported
}
