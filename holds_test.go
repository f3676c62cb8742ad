package pkiexternalca

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

const limitsOfCA = "config/acme-account/ca/limits"

// leaping is a clock that can be set ahead.
type leaping struct{ ahead atomic.Int64 }

func (l *leaping) now() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

// leap sets the clock of a mount ahead. What sleeps would notice only after a
// while, so the mount is made anew.
func (l *leaping) leap(m *mount, by time.Duration) *mount {
	m.unmount()
	l.ahead.Add(int64(by))
	return mountOn(m.t, m.storage, l.option)
}

// option gives a mount the clock, and takes all chance away.
func (l *leaping) option(m *mount) {
	m.now, m.jitter = l.now, func() float64 { return 0 }
}

// withLimits mounts the engine with a clock that can be set ahead and without
// spread, at a fake CA.
func withLimits(t *testing.T) (*mount, *acmetest.ScriptServer, *leaping) {
	t.Helper()
	clock := &leaping{}
	m, ca := withFakeCA(t, clock.option)
	m.withRole(nil)
	return m, ca, clock
}

// fails places an order for names that must end with an error.
func (m *mount) fails(names string) string {
	m.t.Helper()
	id := m.order(fields{"identifiers": names})
	m.report(id)
	eventually(m.t, "the order to fail", func() bool { return m.read("role/web/order/"+id+"/status", nil)["order_status"] == "error" })
	return id
}

// heldBack demands that an order is not taken, and nobody is asked.
func (m *mount) heldBack(ca *acmetest.ScriptServer, status int, names string, texts ...string) {
	m.t.Helper()
	before := ca.Count(acmetest.NewOrder)
	m.refused(status, logical.UpdateOperation, "role/web/new-order", fields{"identifiers": names, "force_new": true}, append(texts, "(retry_after=")...)
	if n := ca.Count(acmetest.NewOrder) - before; n > 0 {
		m.t.Errorf("the CA was asked for %d orders meanwhile", n)
	}
}

func disbelieves(acme.Identifier, acme.ChallengeType) *acme.Problem {
	return &acme.Problem{Type: acme.DNSProblem, Detail: "NXDOMAIN"}
}

// TestFailedNamesAreHeldBack: after each failure in a row for longer; others are
// not concerned, and a success makes up for all.
func TestFailedNamesAreHeldBack(t *testing.T) {
	t.Parallel()
	m, ca, clock := withLimits(t)
	ca.Judge(disbelieves)
	for n, wait := range []time.Duration{time.Minute, 10 * time.Minute, 100 * time.Minute, 24 * time.Hour} {
		id := m.fails("a.example.com,b.example.com")
		m = clock.leap(m, wait-2*time.Second)
		m.heldBack(ca, http.StatusTooManyRequests, "B.example.com,a.example.com", "NXDOMAIN", id, "held back until 20", "DELETE "+limitsOfCA)
		set := m.read(limitsOfCA, nil)["sets"].([]any)[0].(fields)
		if set["count"] != n+1 || set["held"] != true || set["order_id"] != id || !strings.Contains(set["why"].(string), "NXDOMAIN") {
			t.Errorf("after failure %d: %v", n+1, set)
		}
		m = clock.leap(m, 3*time.Second)
	}
	ca.Judge(nil)
	m.obtain(fields{"identifiers": "a.example.com"})
	m.obtain(fields{"identifiers": "a.example.com,b.example.com"})
	if got := m.read(limitsOfCA, nil); got["failing_sets"] != 0 {
		t.Errorf("after a success: %v", got)
	}
	ca.Judge(disbelieves)
	m.fails("a.example.com,b.example.com")
	m = clock.leap(m, 61*time.Second)
	m.order(fields{"identifiers": "a.example.com,b.example.com"})
}

// TestFailuresThatHoldNobodyBack: those that are the caller's to mend, or the
// operator's, or that the CA may get over.
func TestFailuresThatHoldNobodyBack(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		at     acmetest.Resource
		answer acmetest.Handler
	}{
		{"a CSR that the CA does not like", acmetest.Finalize, acmetest.Problem(http.StatusBadRequest, acme.BadCSR, "never")},
		{"an account that the CA has ended", acmetest.NewOrder, acmetest.Problem(http.StatusUnauthorized, acme.Unauthorized, "deactivated")},
		{"a challenge that is refused", acmetest.Challenge, acmetest.Problem(http.StatusBadRequest, acme.Malformed, "not now")},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, ca, _ := withLimits(t)
			ca.On(row.at, row.answer)
			m.fails("www.example.com")
			ca.On(row.at, nil)
			m.obtain(fields{"identifiers": "www.example.com"})
		})
	}
}

// TestAbandonedOrdersHoldNobodyBack: a role that is deleted with its orders says
// nothing of their names.
func TestAbandonedOrdersHoldNobodyBack(t *testing.T) {
	t.Parallel()
	m, _, _ := withLimits(t)
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	m.delete("role/web", fields{"force": true})
	m.withRole(nil)
	m.obtain(fields{"identifiers": "www.example.com"})
}

// TestOrdersThatFailTogether: ten that were under way at once are no ten attempts.
func TestOrdersThatFailTogether(t *testing.T) {
	t.Parallel()
	m, ca, _ := withLimits(t)
	ca.Judge(disbelieves)
	ids := make([]string, 10)
	for i := range ids {
		ids[i] = m.order(fields{"identifiers": "www.example.com", "force_new": true})
	}
	for _, id := range ids {
		m.report(id)
		eventually(t, "the order to fail", func() bool { return m.read("role/web/order/"+id+"/status", nil)["order_status"] == "error" })
	}
	if set := m.read(limitsOfCA, fields{"identifiers": "www.example.com"})["sets"].([]any)[0].(fields); set["count"] != 1 {
		t.Errorf("ten failures count as %v", set["count"])
	}
}

// TestLiftingASet: the operator knows better.
func TestLiftingASet(t *testing.T) {
	t.Parallel()
	m, ca, _ := withLimits(t)
	ca.Judge(disbelieves)
	m.fails("a.example.com,b.example.com")
	m.fails("c.example.com")
	ca.Judge(nil)
	m.refused(http.StatusBadRequest, logical.DeleteOperation, limitsOfCA, fields{"identifiers": "not a name"}, "identifiers")
	m.delete(limitsOfCA, nil) // the account's hold, of which there is none
	m.heldBack(ca, http.StatusTooManyRequests, "c.example.com")
	m.delete(limitsOfCA, fields{"identifiers": "b.example.com,A.example.com"})
	m.obtain(fields{"identifiers": "a.example.com,b.example.com"})
	m.heldBack(ca, http.StatusTooManyRequests, "c.example.com")
	if got := m.read(limitsOfCA, nil); got["failing_sets"] != 1 || got["held"] != false {
		t.Errorf("left: %v", got)
	}
	m.refused(http.StatusNotFound, logical.ReadOperation, "config/acme-account/none/limits", nil)
	m.refused(http.StatusNotFound, logical.DeleteOperation, "config/acme-account/none/limits", nil)
}

// TestHoldsOfADeletedAccount do not pass to the next one of its name, which may
// be at another CA.
func TestHoldsOfADeletedAccount(t *testing.T) {
	t.Parallel()
	m, ca, _ := withLimits(t)
	ca.Judge(disbelieves)
	m.fails("www.example.com")
	m.delete("role/web", nil)
	m.delete("config/acme-account/ca", nil)
	if left := append(storedBelow(t, m.storage, setHolds.Prefix), storedBelow(t, m.storage, accountHolds.Prefix)...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestStaleHoldsAreTidied, a few at a time; what still means something stays.
func TestStaleHoldsAreTidied(t *testing.T) {
	t.Parallel()
	m, ca, clock := withLimits(t)
	ca.Judge(disbelieves)
	for _, name := range []string{"a", "b", "c"} {
		m.fails(name + ".example.com")
	}
	m = clock.leap(m, 9*24*time.Hour)
	m.fails("d.example.com")
	after, steps := "", 0
	for ; steps == 0 || after != ""; steps++ {
		var err error
		if after, err = m.b.tidySets(t.Context(), m.storage, "ca", after, 2); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.read(limitsOfCA, nil); steps != 2 || got["failing_sets"] != 1 {
		t.Errorf("%d steps left %v", steps, got)
	}
}
