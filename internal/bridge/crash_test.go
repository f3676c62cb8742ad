package bridge

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestKilledWhileWaiting: what a new process needs to go on with an order is in
// storage.
func TestKilledWhileWaiting(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	first := startProcess(t)
	m := first.mount(t)
	m.configure(ca.DirectoryURL, ca.TrustedCA)
	order := m.order("www.example.com")
	m.await(order, "awaiting-challenge-fulfillment")
	first.kill()
	eventually(t, "the process to be gone", func() bool { return !running(first.pid()) })

	m = startProcess(t).mountOn(t, m.storage, m.system)
	c := m.ok(request{path: order + "/challenge", data: map[string]any{"identifier": "www.example.com", "challenge_type": "http-01"}})
	ca.Set(c["challenge_token"].(string), c["challenge_auth"].(string))
	m.report(order, "www.example.com")
	m.await(order, "completed")
	isPair(t, m.read(order+"/fetch-cert"))
}

// TestKilledAtEveryWrite ends the process at the first write of an order, at the
// second, and so on, before it is stored: whatever was done before, at the CA
// too, is then unknown to the process that goes on.
func TestKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.AlwaysValid())
	c := &crashing{t: t}
	c.start(&storage{}, newSystem())
	c.configure(ca.DirectoryURL, ca.TrustedCA)
	const enough = 100
	for n := 1; ; n++ {
		name := fmt.Sprintf("n%d.example.com", n)
		died := c.killAtWrite(n)
		isPair(t, c.obtain(name))
		if !died() {
			t.Logf("an order makes %d writes", n-1)
			return
		}
		if n == enough {
			t.Fatalf("an order makes more than %d writes", enough)
		}
	}
}

// crashing is a mount whose process is started again whenever it has died.
type crashing struct {
	*mount
	t       *testing.T
	process *process
}

func (c *crashing) start(s *storage, sys *system) {
	c.t.Helper()
	c.process = startProcess(c.t)
	c.mount = c.process.mountOn(c.t, s, sys)
}

// restart waits until the process is gone and starts another on its storage.
func (c *crashing) restart() {
	c.t.Helper()
	old := c.process.pid()
	eventually(c.t, "the process to be gone", func() bool { return !running(old) })
	c.storage.beforeWrite.Store(nil)
	c.start(c.storage, c.system)
}

var errKilled = errors.New("the process is being killed")

// killAtWrite arms the storage, and gives a function that disarms it and tells
// whether it came to that.
func (c *crashing) killAtWrite(n int) (died func() bool) {
	at, victim := c.storage.writes.Load()+int64(n), c.process
	var killed atomic.Bool
	refuse := func() error {
		if c.storage.writes.Load() < at {
			return nil
		}
		killed.Store(true)
		victim.kill()
		return errKilled
	}
	c.storage.beforeWrite.Store(&refuse)
	return func() bool {
		c.storage.beforeWrite.Store(nil)
		if killed.Load() && c.process == victim {
			c.restart()
		}
		return killed.Load()
	}
}

// obtain gets a certificate however often the process dies.
func (c *crashing) obtain(name string) (certificate map[string]any) {
	c.t.Helper()
	id := ""
	eventually(c.t, "a certificate for "+name, func() bool {
		if id == "" {
			data := c.survive(request{op: logical.UpdateOperation, path: "role/web/new-order", data: map[string]any{"identifiers": name}})
			id, _ = data["order_id"].(string)
			return false
		}
		certificate = c.advance("role/web/order/"+id, name)
		return certificate != nil
	})
	return certificate
}

// advance does what is a client's turn, and gives the certificate if there is one.
func (c *crashing) advance(order, name string) (certificate map[string]any) {
	c.t.Helper()
	status := c.survive(request{path: order + "/status"})
	switch status["order_status"] {
	case "awaiting-challenge-fulfillment":
		c.survive(request{op: logical.UpdateOperation, path: order + "/fulfilled-challenge", data: map[string]any{
			"identifier": name, "challenge_type": "http-01",
		}})
	case "completed":
		return c.survive(request{path: order + "/fetch-cert"})
	case "error", "expired":
		c.t.Fatalf("the order failed: %s", status["last_error"])
	}
	return nil
}

// survive makes a request. If the process dies of it there is a new process, and
// no answer.
func (c *crashing) survive(r request) map[string]any {
	c.t.Helper()
	a := c.send(c.t.Context(), r)
	if a.data == nil && (strings.Contains(a.problem, "Unavailable") || strings.Contains(a.problem, plugin.ErrPluginShutdown.Error())) {
		c.restart()
	}
	return a.data
}

// isPair checks that an answer holds a certificate and the key it certifies.
func isPair(t *testing.T, data map[string]any) {
	t.Helper()
	certificate, _ := data["certificate"].(string)
	key, _ := data["private_key"].(string)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatalf("certificate and key do not belong together: %v", err)
	}
	if _, err := x509.ParseCertificate(pair.Certificate[0]); err != nil {
		t.Fatal(err)
	}
}
