package pkiexternalca

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestEverybodyAtOnce lets fifty clients make, read, use, renew and delete the same few
// accounts, roles and orders, and change how they are dealt with. Requests may be
// refused, each for a reason; none may fail, or wait for another for ever, and of
// what has ended nothing is kept in memory.
func TestEverybodyAtOnce(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		before func(*acmetest.ScriptServer)
	}{
		{"orders wait for their callers", func(*acmetest.ScriptServer) {}},
		{"orders are done at once", (*acmetest.ScriptServer).PreAuthorize},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, ca := withFakeCA(t)
			row.before(ca)
			m.withRole(nil)
			crowd := &visitors{mount: m, account: accountAt(ca.DirectoryURL, ca.TrustedCA)}
			var running sync.WaitGroup
			for i := range 50 {
				running.Go(func() {
					choose := rand.New(rand.NewPCG(uint64(i), 0)) //nolint:gosec // a choice, not a secret
					for range 10 {
						crowd.visit(choose)
					}
				})
			}
			running.Wait()
			m.delete("role/web", fields{"force": true})
			m.withRole(nil)
			m.obtain(fields{"identifiers": "last.example.com"})
			m.keepsNothingInMind()
		})
	}
}

// keepsNothingInMind holds that nothing is remembered of orders once all have
// ended, and that what is remembered of records is what storage holds.
func (m *mount) keepsNothingInMind() {
	m.t.Helper()
	for _, role := range []string{"r0", "r1", "r2"} {
		m.send(logical.DeleteOperation, "role/"+role, fields{"force": true})
	}
	eventually(m.t, "the work to end", func() bool { return m.b.running().orders.Len() == 0 })
	c := &m.b.claims
	if n := len(c.holders) + len(c.places) + len(c.queues) + len(c.waits) + len(m.b.passing.orders) + m.b.watches.Len(); n > 0 {
		m.t.Errorf("%d things are remembered of orders that have ended", n)
	}
	m.b.reserved.Range(func(name, _ any) bool {
		m.t.Errorf("%v is reserved for nobody", name)
		return true
	})
	for _, key := range storedKeys(m.t, m.storage) {
		entry, err := m.b.records.Over(m.storage).Get(m.t.Context(), key)
		if err != nil || entry == nil || string(entry.Value) != m.record(key) {
			m.t.Errorf("%s is remembered as another record (error %v)", key, err)
		}
	}
}

// visitors share what they know of each other's orders.
type visitors struct {
	*mount
	account fields
	mu      sync.Mutex
	ids     []string
}

// visit makes one request at random.
func (v *visitors) visit(choose *rand.Rand) {
	name := strconv.Itoa(choose.IntN(3))
	host := fmt.Sprintf("n%d.example.com", choose.IntN(5))
	role := fields{"acme_account_name": "a" + name, "allowed_domains": "example.com", "allowed_domain_options": "subdomains"}
	challenge := fields{"identifier": host, "challenge_type": "http-01"}
	order := v.known(choose)
	requests := []struct {
		op   logical.Operation
		path string
		body fields
	}{
		{logical.UpdateOperation, "config/acme-account/a" + name, v.account},
		{logical.UpdateOperation, "config/acme-account/a" + name, fields{"email_contacts": host + "@example.com"}},
		{logical.UpdateOperation, "config/acme-account/a" + name + "/rotate-key", fields{"force": choose.IntN(2) == 0}},
		{logical.DeleteOperation, "config/acme-account/a" + name, nil},
		{logical.ReadOperation, "config/acme-account/a" + name, nil},
		{logical.ListOperation, "config/acme-account", nil},
		{logical.UpdateOperation, "role/r" + name, role},
		{logical.UpdateOperation, "role/r" + name, fields{"allowed_domain_options": "subdomains,globs"}},
		{logical.DeleteOperation, "role/r" + name, fields{"force": true}},
		{logical.ReadOperation, "role/r" + name, nil},
		{logical.UpdateOperation, "role/r" + name + "/new-order", fields{"identifiers": host}},
		{logical.UpdateOperation, newOrder, fields{"identifiers": host}},
		{logical.UpdateOperation, issue, fields{"identifiers": host, "wait": 0}},
		{logical.ReadOperation, "role/web/order/" + order + "/status", nil},
		{logical.UpdateOperation, "role/web/order/" + order + "/fulfilled-challenge", challenge},
		{logical.ReadOperation, "role/web/order/" + order + "/challenge", challenge},
		{logical.ReadOperation, "role/web/order/" + order + "/fetch-cert", nil},
		{logical.UpdateOperation, "role/web/order/" + order + "/revoke", nil},
		{logical.ReadOperation, cached, fields{"identifiers": host}},
		{logical.ListOperation, "role/web/active-orders", nil},
		{logical.ListOperation, "lookup/orders/recent", nil},
		{logical.UpdateOperation, "role/web/renew", fields{"identifiers": host, "force": true}},
		{logical.UpdateOperation, "role/r" + name, fields{"auto_renew": choose.IntN(2) == 0, "reuse_key": true}},
		{logical.UpdateOperation, "role/r" + name + "/issue", fields{"identifiers": host, "wait": 1}},
		{logical.UpdateOperation, "role/r" + name + "/renew", fields{"identifiers": host, "force": true}},
		{logical.UpdateOperation, "role/r" + name + "/new-order", fields{"identifiers": host, "force_new": true}},
		{logical.UpdateOperation, "config", fields{"max_requests_per_account": 1 + choose.IntN(4)}},
		{logical.ReadOperation, "config/acme-account/a" + name + "/limits", nil},
		{logical.DeleteOperation, "config/acme-account/a" + name + "/limits", nil},
	}
	r := requests[choose.IntN(len(requests))]
	resp, status, problem := v.send(r.op, r.path, r.body)
	if status == http.StatusInternalServerError {
		v.t.Errorf("%s %s: status %d: %s", r.op, r.path, status, problem)
	}
	if status == http.StatusOK && r.path == newOrder {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.ids = append(v.ids, resp.Data["order_id"].(string))
	}
}

// known gives the id of an order that somebody has made.
func (v *visitors) known(choose *rand.Rand) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.ids) == 0 {
		return "none"
	}
	return v.ids[choose.IntN(len(v.ids))]
}
