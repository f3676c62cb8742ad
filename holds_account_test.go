package pkiexternalca

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

func rateLimited(detail, retryAfter string) acmetest.Handler {
	h := acmetest.Problem(http.StatusTooManyRequests, acme.RateLimited, detail)
	if retryAfter == "" {
		return h
	}
	return acmetest.With("Retry-After", retryAfter, h)
}

// refusedByCA places an order that the CA does not take now.
func (m *mount) refusedByCA(names string) string {
	m.t.Helper()
	id := m.order(fields{"identifiers": names})
	eventually(m.t, "the CA to refuse", func() bool { return m.read("role/web/order/"+id+"/status", nil)["last_error"] != "" })
	return id
}

// TestRefusedAccountsAreHeldBack: what the CA asks for binds every order of the
// account that the CA does not have yet, and none that it has.
func TestRefusedAccountsAreHeldBack(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		answer acmetest.Handler
		status int
		wait   time.Duration
	}{
		{"a limit of the account", rateLimited("too many new orders (300) from this account in the last 3h0m0s", "3600"), http.StatusTooManyRequests, time.Hour},
		{"a limit as a web page", acmetest.HTML(http.StatusTooManyRequests, "<h1>Slow down</h1>"), http.StatusTooManyRequests, 10 * time.Second},
		{"a CA that rests", acmetest.With("Retry-After", "600", acmetest.HTML(http.StatusServiceUnavailable, "maintenance")), http.StatusServiceUnavailable, 10 * time.Minute},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, ca, clock := withLimits(t)
			there := m.order(fields{"identifiers": "there.example.com"})
			m.awaitStatus("web", there, "awaiting-challenge-fulfillment")
			ca.On(acmetest.NewOrder, row.answer)
			held := m.refusedByCA("held.example.com")
			m.heldBack(ca, row.status, "other.example.com", held, "held back until 20", limitsOfCA)
			if got := m.read(limitsOfCA, nil); got["held"] != true || got["order_id"] != held || got["count"] != 1 {
				t.Errorf("the operator sees %v", got)
			}
			m.report(there)
			m.awaitStatus("web", there, "completed")
			ca.On(acmetest.NewOrder, nil)
			m = clock.leap(m, row.wait+2*time.Second)
			m.report(held)
			m.awaitStatus("web", held, "completed")
			m.obtain(fields{"identifiers": "other.example.com"})
		})
	}
}

// TestLimitsOfNamesHoldTheNames, and nobody else.
func TestLimitsOfNamesHoldTheNames(t *testing.T) {
	t.Parallel()
	m, ca, clock := withLimits(t)
	ca.On(acmetest.NewOrder, ca.Times(1, rateLimited("too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s", "7200")))
	held := m.refusedByCA("held.example.com")
	m.heldBack(ca, http.StatusTooManyRequests, "held.example.com", "exact set")
	m.obtain(fields{"identifiers": "other.example.com"})
	m = clock.leap(m, 2*time.Hour+time.Second)
	m.report(held)
	m.awaitStatus("web", held, "completed")
}

// TestNamesThatAreHeldUntilSomebodyActs show where, and are asked for again when
// the operator says so.
func TestNamesThatAreHeldUntilSomebodyActs(t *testing.T) {
	t.Parallel()
	m, ca, _ := withLimits(t)
	ca.On(acmetest.NewOrder, rateLimited("paused: https://ca.example/sfe/v1/unpause?jwt=x", ""))
	m.fails("www.example.com")
	ca.On(acmetest.NewOrder, nil)
	m.heldBack(ca, http.StatusTooManyRequests, "www.example.com", "a person", "https://ca.example/sfe/v1/unpause")
	if set := m.read(limitsOfCA, nil)["sets"].([]any)[0].(fields); set["needs_action"] != true {
		t.Errorf("the operator sees %v", set)
	}
	m.delete(limitsOfCA, fields{"identifiers": "www.example.com"})
	m.obtain(fields{"identifiers": "www.example.com"})
}

// TestLiftingAnAccount lets new orders through at once.
func TestLiftingAnAccount(t *testing.T) {
	t.Parallel()
	m, ca, _ := withLimits(t)
	ca.On(acmetest.NewOrder, rateLimited("slow down", "3600"))
	m.refusedByCA("held.example.com")
	ca.On(acmetest.NewOrder, nil)
	m.heldBack(ca, http.StatusTooManyRequests, "other.example.com")
	m.delete(limitsOfCA, nil)
	m.obtain(fields{"identifiers": "other.example.com"})
}

// TestManyThatWait: of a hundred orders that the CA does not have yet few ask it,
// hour after hour.
func TestManyThatWait(t *testing.T) {
	t.Parallel()
	m, ca, clock := withLimits(t)
	ca.On(acmetest.NewOrder, acmetest.HTML(http.StatusServiceUnavailable, "down")) // until all are placed
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = m.order(fields{"identifiers": "n" + strings.Repeat("x", i%60) + ".example.com", "force_new": true})
	}
	ca.On(acmetest.NewOrder, rateLimited("slow down", "3600"))
	const hours = 5
	before := ca.Count(acmetest.NewOrder)
	for range hours {
		m = clock.leap(m, time.Hour+time.Minute)
		eventually(t, "all to wait again", func() bool {
			for _, id := range ids {
				status := m.read("role/web/order/"+id+"/status", nil)
				due, err := time.Parse(time.RFC3339, status["next_work_date"].(string))
				if err != nil || due.Before(clock.now()) {
					return false
				}
			}
			return true
		})
	}
	// Those that ask when nobody knows yet, then about one in an hour.
	if n := ca.Count(acmetest.NewOrder) - before; n > m.b.authorities.flights.Most()+hours*5 {
		t.Errorf("the CA, which asks to be left alone, was asked %d times in %d hours by %d orders", n, hours, len(ids))
	}
	m.refused(http.StatusTooManyRequests, logical.UpdateOperation, "role/web/new-order", fields{"identifiers": "www.example.com"}, "slow down")
}

// TestHoldsSurviveARestart: they are stored before the order that met them.
func TestHoldsSurviveARestart(t *testing.T) {
	t.Parallel()
	m, ca, _ := withLimits(t)
	ca.On(acmetest.NewOrder, rateLimited("slow down", "3600"))
	m.refusedByCA("held.example.com")
	m.unmount()
	again := mountOn(t, m.storage)
	again.heldBack(ca, http.StatusTooManyRequests, "other.example.com", "slow down")
}

// TestHoldsSurviveTheStorage lets the storage fail at every write of an order that
// fails: the failure counts once, and the order ends.
func TestHoldsSurviveTheStorage(t *testing.T) {
	t.Parallel()
	base, ca := withFakeCA(t)
	base.withRole(nil)
	base.unmount()
	ca.On(acmetest.NewOrder, acmetest.Problem(http.StatusForbidden, acme.RejectedIdentifier, "not this name"))
	for n := 1; n <= 8; n++ {
		storage := &frail{Storage: copyOf(t, base.storage), kind: diesBefore}
		m := mountOn(t, storage)
		storage.arm(n)
		_, status, _ := m.send(logical.UpdateOperation, "role/web/new-order", fields{"identifiers": "www.example.com"})
		if status == http.StatusOK {
			eventually(t, "the order to end or the storage to die", func() bool { return storage.isDead() || len(storedBelow(t, storage.Storage, active.Prefix)) == 0 })
		}
		m.unmount()
		again := mountOn(t, storage.Storage)
		if status != http.StatusOK {
			continue
		}
		eventually(t, "the order to end", func() bool { return len(storedBelow(t, storage.Storage, active.Prefix)) == 0 })
		set := again.read(limitsOfCA, nil)["sets"].([]any)
		if len(set) != 1 || set[0].(fields)["count"] != 1 {
			t.Errorf("death at write %d: %v", n, set)
		}
	}
}
