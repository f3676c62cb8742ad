package pkiexternalca

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestRotateKey: the CA has the new key, the engine signs with it, and the
// account is the same one.
func TestRotateKey(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.AlwaysValid())
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	before := m.read("config/acme-account/ca", nil)
	for version, row := range []struct {
		body fields
		kind string
	}{
		{nil, "ec-256"}, // the default, whatever the old one was
		{fields{"key_type": "ec-384"}, "ec-384"},
		{fields{"key_type": "ec-521", "force": true}, "ec-521"},
		{fields{"key_type": "rsa-2048"}, "rsa-2048"},
	} {
		t.Run(row.kind, func(t *testing.T) {
			m := m.in(t)
			got := m.write("config/acme-account/ca/rotate-key", row.body)
			if _, err := time.Parse(time.RFC3339, got["rotated_at"].(string)); err != nil {
				t.Errorf("rotated_at: %v", err)
			}
			delete(got, "rotated_at")
			want := fields{"name": "ca", "old_active_key_version": version, "new_active_key_version": version + 1, "key_type": row.kind}
			if !sameJSON(t, got, want) {
				t.Errorf("the rotation answers %v, want %v", got, want)
			}
			m.obtain(fields{"identifiers": row.kind + ".example.com"})
		})
	}
	after := m.read("config/acme-account/ca", nil)
	if after["account_url"] != before["account_url"] || m.urlByStoredKey("ca") != before["account_url"] {
		t.Errorf("the account is %v, was %v", after, before)
	}
	if n := len(after["account_keys"].(fields)); n != 5 || after["active_key_version"] != 4 {
		t.Errorf("after 4 rotations there are %d versions, %v is active", n, after["active_key_version"])
	}
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/ca/rotate-key", fields{"key_type": "ed25519"}, "key_type", "ec-256")
}

// TestRotateKeyDuringAnOrder: a challenge holds the thumbprint of the account's
// key (RFC 8555 §8.1), so what is in place becomes wrong with the key.
func TestRotateKeyDuringAnOrder(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "www.example.com,dns.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	of := fields{"identifier": "www.example.com", "challenge_type": "http-01"}
	old := m.read("role/web/order/"+id+"/challenge", of)

	m.refused(http.StatusConflict, logical.UpdateOperation, "config/acme-account/ca/rotate-key", nil, "web", id, "force")
	if again := m.read("role/web/order/"+id+"/challenge", of); !sameJSON(t, old, again) {
		t.Error("a refused rotation changed the challenge")
	}
	m.write("config/acme-account/ca/rotate-key", fields{"force": true})
	again := m.read("role/web/order/"+id+"/challenge", of)
	if old["challenge_token"] != again["challenge_token"] || old["challenge_auth"] == again["challenge_auth"] {
		t.Errorf("the challenge was %v and is %v; the token should stay and the authorization change", old, again)
	}
	m.fulfill(ca, id, "www.example.com", "http-01")
	m.fulfill(ca, id, "dns.example.com", "dns-01")
	m.awaitStatus("web", id, "completed")
}

// TestRotateKeyOvertakesARequest: one that was signed with the old key, and that
// the CA gets to after the change, is refused. That must not end its order.
func TestRotateKeyOvertakesARequest(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.AlwaysValid())
	arrived, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	inner, first := ca.HTTP.Config.Handler, &sync.Once{}
	ca.HTTP.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/finalize-order/") {
			first.Do(func() {
				close(arrived)
				<-released
			})
		}
		inner.ServeHTTP(w, r)
	})
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "www.example.com"})
	m.report(id)
	eventually(t, "the CSR to be sent", func() bool { return isClosed(arrived) })
	m.write("config/acme-account/ca/rotate-key", fields{"force": true})
	release()
	m.awaitStatus("web", id, "completed")
}

// TestRotateKeyUnderWork: orders in every state, and a change of the key at any time.
func TestRotateKeyUnderWork(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.AlwaysValid())
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	var ids []string
	for i := range 12 {
		ids = append(ids, m.order(fields{"identifiers": fmt.Sprintf("a%d.example.com,b%d.example.com", i, i)}))
		if i%4 == 3 {
			m.write("config/acme-account/ca/rotate-key", fields{"force": true})
		}
	}
	for i, id := range ids {
		m.report(id)
		if i%4 == 3 {
			m.write("config/acme-account/ca/rotate-key", fields{"force": true})
		}
	}
	for _, id := range ids {
		m.awaitStatus("web", id, "completed")
	}
}

// TestRotateKeyRefused: the CA's words, and the account as it was.
func TestRotateKeyRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		script func(*acmetest.ScriptServer)
		words  string
	}{
		{
			"RFC 8555 §6.2: a kind of key that the CA does not take",
			func(ca *acmetest.ScriptServer) {
				ca.On(acmetest.KeyChange, acmetest.Problem(http.StatusBadRequest, acme.BadPublicKey, "not this curve"))
			},
			"not this curve",
		},
		{
			"RFC 8555 §7.3.5: the new key is somebody's already",
			func(ca *acmetest.ScriptServer) {
				ca.On(acmetest.KeyChange, acmetest.With("Location", "/account/99", acmetest.Problem(http.StatusConflict, acme.Malformed, "in use")))
			},
			"in use",
		},
		{
			"RFC 8555 §7.1.1: keyChange is not in the directory",
			func(ca *acmetest.ScriptServer) {
				ca.On(acmetest.Directory, ca.Edit(func(d map[string]any, _ http.Header) { delete(d, "keyChange") }))
			},
			"keyChange",
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			row.script(ca)
			m := newMount(t)
			m.withAccount(ca.DirectoryURL, ca.TrustedCA)
			before := m.read("config/acme-account/ca", nil)
			m.refused(http.StatusBadRequest, logical.UpdateOperation, "config/acme-account/ca/rotate-key", nil, "ca", row.words)
			if after := m.read("config/acme-account/ca", nil); !sameJSON(t, before, after) {
				t.Errorf("the account is %v, was %v", after, before)
			}
			if m.urlByStoredKey("ca") != before["account_url"] {
				t.Error("the stored key is not the CA's any more")
			}
		})
	}
}

// TestRotateKeyWithoutAnAnswer: whether the CA has changed the key is unknown
// then; the next use of the account finds out, and works either way.
func TestRotateKeyWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason  string
		arrives bool
		version int // of the key that the CA has
	}{
		{"the answer was lost", true, 1},
		{"the request was lost", false, 0},
	} {
		for _, use := range []string{"an order", "another rotation", "a change of contacts", "the deletion"} {
			t.Run(row.reason+", then "+use, func(t *testing.T) {
				t.Parallel()
				ca := acmetest.Pebble(t, acmetest.AlwaysValid())
				cut := cutAt(ca.HTTP, "/rollover-account-key", row.arrives)
				m := newMount(t)
				m.withAccount(ca.DirectoryURL, ca.TrustedCA)
				m.withRole(nil)
				cut.Store(true)
				m.refused(http.StatusBadGateway, logical.UpdateOperation, "config/acme-account/ca/rotate-key", nil, "unknown")
				cut.Store(false)
				m.use(ca, use, row.version)
			})
		}
	}
}

// use uses an account, whose key at the CA has a version, and demands that the
// engine has found out.
func (m *mount) use(ca *acmetest.PebbleServer, how string, version int) {
	m.t.Helper()
	before := m.read("config/acme-account/ca", nil)
	switch how {
	case "an order":
		m.obtain(fields{"identifiers": "www.example.com"})
	case "another rotation":
		got := m.write("config/acme-account/ca/rotate-key", nil)
		if got["old_active_key_version"] != version || got["new_active_key_version"] != version+1 {
			m.t.Errorf("the rotation answers %v; the CA had version %d", got, version)
		}
		version++
	case "a change of contacts":
		m.write("config/acme-account/ca", fields{"email_contacts": "new@example.com"})
	case "the deletion":
		m.delete("role/web", nil)
		m.delete("config/acme-account/ca", nil)
		if at := accountAtPebble(ca, before); at.Status != acme.StatusDeactivated {
			m.t.Errorf("the account is %s at the CA", at.Status)
		}
		return
	}
	after := m.read("config/acme-account/ca", nil)
	if after["active_key_version"] != version || m.urlByStoredKey("ca") != before["account_url"] {
		m.t.Errorf("the account is %v, want version %d of the key of %v", after, version, before["account_url"])
	}
}

// cutAt makes a server drop the connections of requests for a path while the
// result is true: after it has acted on them, or before. The server must not
// have served yet.
func cutAt(server *httptest.Server, path string, arrives bool) *atomic.Bool {
	inner, cut := server.Config.Handler, &atomic.Bool{}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !cut.Load() || !strings.HasSuffix(r.URL.Path, path) {
			inner.ServeHTTP(w, r)
			return
		}
		if arrives {
			inner.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	})
	return cut
}
