package bridge

import (
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestMountsAreStrangers: Vault runs all mounts of a plugin in one process.
func TestMountsAreStrangers(t *testing.T) {
	t.Parallel()
	p := startProcess(t)
	one, two := p.mount(t), p.mount(t)
	ca, other := acmetest.Script(t), acmetest.Script(t)
	one.configure(ca.DirectoryURL, ca.TrustedCA)
	if a := two.send(t.Context(), request{op: logical.ListOperation, path: "role/"}); a.status != http.StatusNotFound {
		t.Errorf("the other mount has the roles %v", a.data["keys"])
	}
	two.configure(other.DirectoryURL, other.TrustedCA)
	order := one.order("www.example.com")
	if a := two.send(t.Context(), request{path: order + "/status"}); a.status != http.StatusNotFound {
		t.Errorf("the other mount shows the order: status %d", a.status)
	}
	two.obtain("www.example.com")
	if n := ca.Count(acmetest.NewOrder); n > 1 {
		t.Errorf("the orders of both mounts went to one CA, which was asked for %d", n)
	}
	if n := other.Count(acmetest.NewOrder); n != 1 {
		t.Errorf("the other mount's CA was asked for %d orders", n)
	}
}

// TestCleanup: after it a mount neither stores nor asks its CA anything, though
// its process goes on for the others. A sibling whose order waits for its CA in
// the same way is the clock that tells how long nothing has to happen.
func TestCleanup(t *testing.T) {
	t.Parallel()
	p := startProcess(t)
	ended, sibling := p.mount(t), p.mount(t)
	ca, clock := ended.validating(), sibling.validating()
	asked := func(ca *acmetest.ScriptServer) int { return ca.Count(acmetest.Order) }
	eventually(t, "both CAs to be asked again and again", func() bool { return asked(ca) > 1 && asked(clock) > 1 })

	ended.backend.Cleanup(t.Context())
	ticks := func(n int) {
		until := asked(clock) + n
		eventually(t, "the sibling to go on", func() bool { return asked(clock) >= until })
	}
	ticks(1) // what was on its way has arrived
	writes, requests := ended.storage.writes.Load(), asked(ca)
	ticks(2)
	if now := ended.storage.writes.Load(); now != writes {
		t.Errorf("after the clean-up there were %d more writes", now-writes)
	}
	if now := asked(ca); now != requests {
		t.Errorf("after the clean-up the CA was asked %d more times", now-requests)
	}
}

// validating gives the mount an order whose CA never ends its validation.
func (m *mount) validating() *acmetest.ScriptServer {
	m.t.Helper()
	ca := acmetest.Script(m.t)
	ca.On(acmetest.Order, ca.Edit(func(order map[string]any, _ http.Header) { order["status"] = "pending" }))
	m.configure(ca.DirectoryURL, ca.TrustedCA)
	order := m.order("www.example.com")
	m.await(order, "awaiting-challenge-fulfillment")
	m.report(order, "www.example.com")
	return ca
}
