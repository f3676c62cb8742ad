package pkiexternalca

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// TestClaimsAreReleasedByOrder: an order that ended before its place at the CA
// was stored gives it up all the same.
func TestClaimsAreReleasedByOrder(t *testing.T) {
	t.Parallel()
	c := newClaims()
	if c.claim("https://ca/1", "a") != "a" || c.claim("https://ca/1", "b") != "a" {
		t.Error("a place has one holder")
	}
	c.claim("https://ca/2", "a") // asked again, and given another place
	if c.claim("https://ca/1", "b") != "b" {
		t.Error("the first place of a is not given up for its second")
	}
	c.release("a")
	if c.claim("https://ca/2", "b") != "b" {
		t.Error("what has ended holds a place")
	}
	if len(c.holders) != 1 || len(c.places) != 1 {
		t.Errorf("left: %v %v", c.holders, c.places)
	}
}

// TestClaimsHaveAQueue holds that one of those who were turned away is called
// when a place is given up, and the next when that one has had its turn.
func TestClaimsHaveAQueue(t *testing.T) {
	t.Parallel()
	c := newClaims()
	var called []order.ID
	release := func(ids ...order.ID) {
		for _, id := range ids {
			called = append(called, c.release(id))
		}
	}
	c.claim("https://ca/1", "a")
	for _, id := range []order.ID{"b", "c", "b", "d", "e", "a"} { // b asks twice, and a for its own
		c.claim("https://ca/1", id)
	}
	release("c") // gives up waiting
	release("a")
	c.claim("https://ca/2", "b")
	release("d") // while it waits for b
	release("b", "e", "x")
	if want := []order.ID{"", "b", "", "e", "", ""}; !slices.Equal(called, want) {
		t.Errorf("called were %q, want %q", called, want)
	}
	if n := len(c.holders) + len(c.places) + len(c.queues) + len(c.waits); n != 0 {
		t.Errorf("%d entries are left: %+v", n, c.queues)
	}
}

// TestAPlaceThatBecomesFreeIsTakenSoon: who was turned away does not wait for its
// own next try, which comes later and later.
func TestAPlaceThatBecomesFreeIsTakenSoon(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	start := time.Now()
	m, ca := withFakeCA(t, func(m *mount) { m.now = func() time.Time { return start.Add(time.Duration(ahead.Load())) } })
	m.b.jitter = func() float64 { return 0.99 } // the next try is later than the respite
	m.withRole(nil)
	another := givesOneOrder(ca)
	body := fields{"identifiers": "www.example.com", "force_new": true}
	first, second := m.order(body), ""
	m.awaitStatus("web", first, "awaiting-challenge-fulfillment")
	second = m.order(body)
	eventually(t, "the second order to be turned away", func() bool {
		return strings.Contains(m.read("role/web/order/"+second+"/status", nil)["last_error"].(string), first)
	})
	another()
	m.report(first)
	m.awaitStatus("web", first, "completed")
	eventually(t, "the second order to be called", func() bool {
		return m.stored(second).Due.Equal(start.Add(claimRespite))
	})
	ahead.Store(int64(claimRespite))
	m.b.wake(order.ID(second)) // the engine's timer runs by another clock
	m.awaitStatus("web", second, "awaiting-challenge-fulfillment")
	if n := ca.Count(acmetest.NewOrder); n != 3 {
		t.Errorf("the CA was asked for an order %d times, want once for the first and twice for the second", n)
	}
}

// TestAPlaceIsGivenUpByWhoEndsMeanwhile: an order that was ended while no engine ran
// is in nobody's way when one does again.
func TestAPlaceIsGivenUpByWhoEndsMeanwhile(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	m.write("role/other", fields{"acme_account_name": "ca", "allowed_domains": "example.com", "allowed_domain_options": "subdomains"})
	givesOneOrder(ca)
	m.awaitStatus("web", m.order(fields{"identifiers": "www.example.com"}), "awaiting-challenge-fulfillment")
	m.b.stop(false)
	m.delete("role/web", fields{"force": true})
	m.periodic()
	id := m.write("role/other/new-order", fields{"identifiers": "www.example.com"})["order_id"].(string)
	m.awaitStatus("other", id, "awaiting-challenge-fulfillment")
}

// stored gives an order as it is stored.
func (m *mount) stored(id string) *order.Order {
	m.t.Helper()
	o, err := orders.Get(m.t.Context(), m.storage, orderPath(order.ID(id)))
	if err != nil {
		m.t.Fatal(err)
	}
	return o
}
