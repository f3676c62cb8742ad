package bridge

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestOrder takes an order from a request to a certificate at a CA that looks at
// challenges, and looks at the types of what comes back: they are JSON's, and
// stock clients depend on them.
func TestOrder(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	m := startProcess(t).mount(t)
	m.configure(ca.DirectoryURL, ca.TrustedCA)
	names := []string{"www.example.com", "example.com"}
	order := m.order(names...)
	m.await(order, "awaiting-challenge-fulfillment")
	for _, name := range names {
		c := m.ok(request{path: order + "/challenge", data: map[string]any{"identifier": name, "challenge_type": "http-01"}})
		ca.Set(c["challenge_token"].(string), c["challenge_auth"].(string))
		m.report(order, name)
	}
	m.await(order, "completed")

	status := m.read(order + "/status")
	isListOf(t, "identifiers", status["identifiers"], 2)
	challenges, ok := status["challenges"].(map[string]any)
	if !ok || len(challenges) != 2 {
		t.Errorf("challenges are %T %v, want an object with two members", status["challenges"], status["challenges"])
	}
	got := m.read(order + "/fetch-cert")
	if _, ok := got["expiration"].(float64); !ok {
		t.Errorf("expiration is a %T: Vault Agent ends with a panic unless it is a number", got["expiration"])
	}
	isListOf(t, "ca_chain", got["ca_chain"], 1)
	for _, name := range []string{"certificate", "private_key", "issuing_ca", "serial_number", "not_after"} {
		if text, ok := got[name].(string); !ok || text == "" {
			t.Errorf("%s is a %T (%v), want a text", name, got[name], got[name])
		}
	}
	cached := m.ok(request{path: "role/web/cached", data: map[string]any{"identifiers": names, "min_validity_percentage": 50}})
	if cached["serial_number"] != got["serial_number"] {
		t.Errorf("cached gives %v, fetch-cert %v", cached["serial_number"], got["serial_number"])
	}
}

func isListOf(t *testing.T, what string, value any, length int) {
	t.Helper()
	list, ok := value.([]any)
	if !ok || len(list) != length {
		t.Errorf("%s is a %T (%v), want a list of %d", what, value, value, length)
		return
	}
	for _, item := range list {
		if _, ok := item.(string); !ok {
			t.Errorf("%s holds a %T, want texts", what, item)
		}
	}
}

// TestWorkOutlivesTheRequest: the context of a request ends with the request,
// over the wire too, and with it everything that hangs on it.
func TestWorkOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	m := startProcess(t).mount(t)
	m.configure(ca.DirectoryURL, ca.TrustedCA)
	ctx, cancel := context.WithCancel(t.Context())
	a := m.send(ctx, request{op: logical.UpdateOperation, path: "role/web/new-order", data: map[string]any{"identifiers": "www.example.com"}})
	cancel()
	if a.status != 200 {
		t.Fatalf("status %d: %s", a.status, a.problem)
	}
	m.await("role/web/order/"+a.data["order_id"].(string), "awaiting-challenge-fulfillment")
}

// TestIdleWhereItMustNotWork: a node that is no leader, or cannot find out
// whether it is, leaves orders alone; the tick finds out when it becomes one.
func TestIdleWhereItMustNotWork(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]consts.ReplicationState{
		"unknown":     consts.ReplicationUnknown,
		"standby":     leads | consts.ReplicationPerformanceStandby,
		"DR":          leads | consts.ReplicationDRSecondary,
		"performance": leads | consts.ReplicationPerformanceSecondary,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			p := startProcess(t)
			leader := p.mount(t)
			leader.configure(ca.DirectoryURL, ca.TrustedCA)
			leader.system.become(consts.ReplicationUnknown)
			leader.ok(tick) // stops the work
			order := leader.order("www.example.com")
			leader.backend.Cleanup(t.Context())

			sys := newSystem()
			sys.become(state)
			m := p.mountOn(t, leader.storage, sys)
			m.ok(tick)
			if n := ca.Count(acmetest.NewOrder); n != 0 {
				t.Errorf("the CA was asked for %d orders", n)
			}
			sys.become(leads)
			m.ok(tick)
			m.await(order, "awaiting-challenge-fulfillment")
		})
	}
}

// tick is what Vault sends once a minute.
var tick = request{op: logical.RollbackOperation}
