package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

var (
	oops     = testbed.Refuse(http.StatusInternalServerError, "application/problem+json", `{"type": "urn:ietf:params:acme:error:serverInternal", "detail": "oops"}`)
	noCA     = testbed.Refuse(http.StatusBadGateway, "text/html", "<h1>Bad Gateway</h1>")
	rests    = testbed.Refuse(http.StatusServiceUnavailable, "text/html", "<h1>Maintenance</h1>", "Retry-After", "2")
	limited  = testbed.Refuse(http.StatusTooManyRequests, "application/problem+json", `{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many new orders"}`, "Retry-After", "2")
	slowDown = testbed.Refuse(http.StatusTooManyRequests, "text/html", "<h1>Slow down</h1>", "Retry-After", "1")
)

// TestOrdersGetOverFaults: whatever goes wrong between Vault and a real CA, at
// every kind of request, the order ends with its certificate and the key of it.
func TestOrdersGetOverFaults(t *testing.T) {
	t.Parallel()
	s, gateway := newFaultySite(t)
	const size = 100 << 20
	var taken atomic.Int64
	flood := testbed.Flood(size, &taken)
	for _, row := range []struct {
		reason string
		path   string
		faults []testbed.Fault
	}{
		{"orders that are refused for a while", testbed.PathNewOrder, []testbed.Fault{oops, noCA, limited, rests}},
		{"orders whose answers get lost", testbed.PathNewOrder, []testbed.Fault{testbed.Cut, testbed.Lose, testbed.Truncate, flood}},
		{"authorizations that cannot be read", testbed.PathProof, []testbed.Fault{slowDown, testbed.Cut, testbed.Truncate, flood}},
		{"challenges that are not heard, or whose answers get lost", testbed.PathChallenge, []testbed.Fault{noCA, testbed.Cut, testbed.Lose}},
		{"an order that cannot be read", testbed.PathOrder, []testbed.Fault{oops, slowDown, testbed.Truncate, flood}},
		{"a CSR that is not heard", testbed.PathFinalize, []testbed.Fault{noCA, rests, testbed.Cut}},
		{"a CSR whose answer gets lost", testbed.PathFinalize, []testbed.Fault{testbed.Lose}},
		{"a CSR whose answer is cut off", testbed.PathFinalize, []testbed.Fault{testbed.Truncate}},
		{"certificates that cannot be had", testbed.PathCertificate, []testbed.Fault{slowDown, testbed.Truncate, testbed.Lose, flood}},
		{"no nonces", testbed.PathNonce, []testbed.Fault{noCA, testbed.Cut}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			role, domain := s.newRole(t, nil)
			issued, failed := s.certificatesIssued(t), gateway.Failed()
			gateway.Fail(row.path, row.faults...)
			_, cert := s.issue(t, role, "www."+domain)
			s.checkKeyed(t, cert, "www."+domain)
			if n := s.certificatesIssued(t) - issued; n != 1 {
				t.Errorf("the CA issued %d certificates", n)
			}
			if n := gateway.Failed() - failed; n != len(row.faults) && row.path != testbed.PathNonce {
				t.Errorf("%d of %d faults came to pass", n, len(row.faults))
			}
			gateway.Fail(row.path)
		})
	}
	if n := taken.Load(); n == 0 || n > size/4 {
		t.Errorf("of floods of %d bytes each %d were taken", size, n)
	}
}

// TestLimitsAreSeenAndLifted: what the CA has refused is refused here, shows itself
// to operators, and can be lifted.
func TestLimitsAreSeenAndLifted(t *testing.T) {
	t.Parallel()
	s, gateway := newFaultySite(t)
	role, domain := s.newRole(t, nil)
	gateway.Fail(testbed.PathNewOrder, testbed.Refuse(http.StatusTooManyRequests, "text/html", "<h1>Slow down</h1>", "Retry-After", "3600"))
	s.newOrder(t, role, fields{"identifiers": "a." + domain}).awaitRefusal(t)
	const limits = "config/acme-account/pebble/limits"
	s.call(t, http.MethodPost, "role/"+role+"/new-order", fields{"identifiers": "b." + domain}).
		expect(t, http.StatusTooManyRequests, "Slow down", "held back until", limits, "retry_after=")
	if shown := s.vault(t, "read", mount+"/"+limits); !strings.Contains(shown, "Slow down") {
		t.Errorf("the operator sees %s", shown)
	}
	s.vault(t, "delete", mount+"/"+limits)
	s.issue(t, role, "b."+domain)
}

// awaitRefusal waits until the CA has refused to make the order.
func (o order) awaitRefusal(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := testbed.Until(ctx, func(context.Context) error {
		if status := o.status(t); status["last_error"] == "" {
			return fmt.Errorf("order %s is %v", o.id, status["order_status"])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newFaultySite starts a site whose requests to the CA can be let go wrong.
func newFaultySite(t *testing.T) (site, *testbed.Gateway) {
	t.Helper()
	s := newSite(t, testbed.PebbleOptions{})
	gateway, err := testbed.StartGateway(s.Pebble)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gateway.Stop)
	behind := *s.Pebble
	behind.DirectoryURL, behind.TrustedCA = gateway.DirectoryURL, gateway.TrustedCA
	through := s
	bed := *s.Bed
	bed.Pebble = &behind
	through.Bed = &bed
	if err := through.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, gateway
}
