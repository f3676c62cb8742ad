package pkiexternalca

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// fetch asks for a token as a web server does that passes a CA's request on.
func (m *mount) fetch(token string) (status int, body string) {
	m.t.Helper()
	req := &logical.Request{Operation: logical.ReadOperation, Path: relayPath + token, Unauthenticated: true}
	resp, err := m.b.HandleRequest(m.t.Context(), req) // without storage: it must not need any
	if err != nil || resp == nil {
		m.t.Errorf("%q is answered %v (error %v)", token, resp, err)
		return http.StatusInternalServerError, ""
	}
	if kind := resp.Data[logical.HTTPContentType]; kind != "text/plain; charset=utf-8" {
		m.t.Errorf("%q is answered as %v", token, kind)
	}
	return resp.Data[logical.HTTPStatusCode].(int), string(resp.Data[logical.HTTPRawBody].([]byte))
}

// passes gives a port at which a web server passes challenges on to the mount, as
// nginx would, and counts them.
func (m *mount) passes(t *testing.T) (port int) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ours := strings.CutPrefix(r.URL.Path, "/"+relayPath)
		if !ours {
			http.NotFound(w, r)
			return
		}
		status, body := m.fetch(token)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(at.Port()); err != nil {
		t.Fatal(err)
	}
	return port
}

// relayRole makes the role "web" ask for the relay.
func (m *mount) relayRole() {
	m.t.Helper()
	m.withRole(fields{"http_01_relay": true})
}

// relayMount is a mount whose role "web" has the relay, at a fake CA.
func relayMount(t *testing.T) (*mount, *acmetest.ScriptServer) {
	t.Helper()
	m, ca := withFakeCA(t)
	m.relayRole()
	return m, ca
}

// TestVaultFulfillsHTTP is the job of the relay: the CA fetches the answer from
// Vault, through a web server, and nobody reports anything.
func TestVaultFulfillsHTTP(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	responder := acmetest.Responder(t)
	responder.HTTPPort = m.passes(t)
	ca := acmetest.Pebble(t, acmetest.ValidateAt(responder))
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.relayRole()
	id := m.order(fields{"identifiers": "www.example.com,api.example.com"})
	status := m.awaitStatus("web", id, "completed")
	for name, list := range status["challenges"].(map[string]any) {
		for _, c := range list.([]any) {
			c := c.(map[string]any)
			if want := fmt.Sprint(c["challenge_type"] != "http-01"); c["requires_manual_fulfillment"] != want {
				t.Errorf("%s %s: requires_manual_fulfillment is %v", name, c["challenge_type"], c["requires_manual_fulfillment"])
			}
		}
	}
	eventually(t, "the answers to end", func() bool {
		token := m.read("role/web/order/"+id+"/challenge", fields{"identifier": "www.example.com", "challenge_type": "http-01"})["challenge_token"]
		status, _ := m.fetch(token.(string))
		return status == http.StatusNotFound
	})
}

// held places an order that the CA has been told of, and never validates; it
// gives the token and what is to be answered.
func (m *mount) held(ca *acmetest.ScriptServer) (id, token, keyAuth string) {
	m.t.Helper()
	ca.On(acmetest.Order, ca.Edit(statusOf("pending")))
	id = m.order(fields{"identifiers": "www.example.com", "force_new": true})
	m.awaitStatus("web", id, "processing-challenge")
	c := m.read("role/web/order/"+id+"/challenge", fields{"identifier": "www.example.com", "challenge_type": "http-01"})
	return id, c["challenge_token"].(string), c["challenge_auth"].(string)
}

// answers checks what a token is answered with; an empty text stands for any.
func (m *mount) answers(reason, token string, wantStatus int, want string) {
	m.t.Helper()
	if status, body := m.fetch(token); status != wantStatus || want != "" && body != want {
		m.t.Errorf("%s: %q is answered %d %q, want %d %q", reason, token, status, body, wantStatus, want)
	}
}

func TestRelayAnswers(t *testing.T) {
	t.Parallel()
	m, ca := relayMount(t)
	id, token, keyAuth := m.held(ca)
	m.answers("it is alive", token, http.StatusOK, keyAuth)
	m.answers("nobody has it", "nobody-has-it", http.StatusNotFound, "no challenge with this token is waiting for an answer\n")
	m.answers("a part of one", token[:len(token)-1], http.StatusNotFound, "")
	m.answers("no token", "index.html", http.StatusBadRequest, "")
	m.answers("too long for a token", strings.Repeat("a", 5000), http.StatusBadRequest, "")
	m.refused(http.StatusBadRequest, logical.ReadOperation, relayPath+"a..b", nil, "two dots")
	m.refused(http.StatusMethodNotAllowed, logical.UpdateOperation, relayPath+token, nil)

	m.delete("role/web", fields{"force": true})
	eventually(t, "the answer to end with the order", func() bool {
		status, _ := m.fetch(token)
		return status == http.StatusNotFound
	})
	m.relayRole()
	ca.On(acmetest.Order, nil)
	if after := m.read("role/web/order/"+id+"/status", nil); after["order_status"] != "error" {
		t.Errorf("the order is %v", after["order_status"])
	}
}

// TestRelayKeepsToItsOrders: what people fulfil is not answered here, whether the
// role has not asked for the relay or they have chosen another way.
func TestRelayKeepsToItsOrders(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.On(acmetest.Order, ca.Edit(statusOf("pending")))
	id := m.order(fields{"identifiers": "www.example.com"})
	m.report(id)
	m.awaitStatus("web", id, "processing-challenge")
	c := m.read("role/web/order/"+id+"/challenge", fields{"identifier": "www.example.com", "challenge_type": "http-01"})
	m.answers("it was reported by hand", c["challenge_token"].(string), http.StatusNotFound, "")
}

// TestRelaySurvivesRestarts: until the orders are read nothing is said to be
// unknown, and then everything is answered as before.
func TestRelaySurvivesRestarts(t *testing.T) {
	t.Parallel()
	m, ca := relayMount(t)
	_, token, keyAuth := m.held(ca)
	m.unmount()
	m.answers("another node may be at work", token, http.StatusServiceUnavailable, "")
	broken := &frail{Storage: m.storage, dead: true}
	m = mountOn(t, broken)
	m.answers("the orders cannot be read", token, http.StatusServiceUnavailable, "")
	broken.revive()
	eventually(t, "the orders to be read", func() bool { status, _ := m.fetch("unknown"); return status == http.StatusNotFound })
	m.answers("it was alive before", token, http.StatusOK, keyAuth)

	m.system.ReplicationStateVal = consts.ReplicationUnknown
	m.periodic()
	m.answers("this node does not know whether it is the one that works", token, http.StatusServiceUnavailable, "")
}

// TestRelayAfterRotation: whoever was told of an answer gets it, though the
// account has another key by now; other orders answer with the new one.
func TestRelayAfterRotation(t *testing.T) {
	t.Parallel()
	m, ca := relayMount(t)
	_, token, keyAuth := m.held(ca)
	m.write("config/acme-account/ca/rotate-key", fields{"force": true})
	m.answers("the CA was told of it", token, http.StatusOK, keyAuth)
	_, second, secondAuth := m.held(ca)
	_, before, _ := strings.Cut(keyAuth, ".")
	if _, after, _ := strings.Cut(secondAuth, "."); before == after {
		t.Errorf("the key was not changed: %s", after)
	}
	m.answers("the CA was told of it with the new key", second, http.StatusOK, secondAuth)
}

// TestRelayDisabled: the mount's word is above the role's, at once and after a
// restart.
func TestRelayDisabled(t *testing.T) {
	t.Parallel()
	m, ca := relayMount(t)
	_, token, keyAuth := m.held(ca)
	m.write("config", fields{"http_01_relay_disabled": true})
	for range 2 {
		m.answers("it is off", token, http.StatusNotFound, "")
		m.answers("it is off, and looks at nothing", "index.html", http.StatusNotFound, "")
		id := m.order(fields{"identifiers": "other.example.com"})
		m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
		resp, _, _ := m.send(logical.UpdateOperation, "role/web", fields{"http_01_relay": true})
		if len(resp.Warnings) == 0 {
			t.Error("the role's writer is not told that the relay is off")
		}
		m.unmount()
		m = mountOn(t, m.storage)
		eventually(t, "the orders to be read", func() bool { status, _ := m.fetch(token); return status == http.StatusNotFound })
	}
	m.delete("config", nil)
	m.answers("it is on again", token, http.StatusOK, keyAuth)
}

// TestRelayDisabledMeanwhile: an order that counted on the relay goes back to its
// caller when it is switched off before the CA was told.
func TestRelayDisabledMeanwhile(t *testing.T) {
	t.Parallel()
	m, ca := relayMount(t)
	ca.On(acmetest.Challenge, acmetest.HTML(http.StatusServiceUnavailable, "maintenance"))
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "notify-acme-server-challenges-completed")
	m.write("config", fields{"http_01_relay_disabled": true})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	ca.On(acmetest.Challenge, nil)
	m.report(id)
	m.awaitStatus("web", id, "completed")
}

func TestRelayNeedsHTTP(t *testing.T) {
	t.Parallel()
	m, _ := relayMount(t)
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web", fields{"allowed_challenge_types": "dns-01"},
		"http_01_relay needs http-01 among allowed_challenge_types")
	m.write("role/web", fields{"allowed_challenge_types": "dns-01", "http_01_relay": false})
}

// revive ends the failure of a storage.
func (f *frail) revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = false
}
