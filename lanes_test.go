package pkiexternalca

import (
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// TestLaneOf holds who an order waits for: DNS providers while they are at work
// with it, and its account at all other times.
func TestLaneOf(t *testing.T) {
	t.Parallel()
	proven := func(provider string) order.Authorization {
		return order.Authorization{Status: acme.StatusPending, Proof: &order.Proof{Place: order.Place{Provider: provider}}}
	}
	manual := order.Authorization{Status: acme.StatusPending, Fulfilled: acme.HTTP01}
	relayed := order.Authorization{Status: acme.StatusPending, Relayed: true}
	done := proven("acmedns/gone")
	done.Status = acme.StatusValid
	for _, row := range []struct {
		state  order.State
		proofs []order.Authorization
		line   string
		reason string
	}{
		{order.StateNew, nil, "account/ca", "the CA is asked for an order"},
		{order.StateAwaiting, []order.Authorization{manual, proven("rfc2136/a")}, "account/ca", "nobody is at work in the DNS yet"},
		{order.StateFulfilling, []order.Authorization{manual, proven("rfc2136/a")}, "dns/rfc2136/a", "a record is written"},
		{order.StateFulfilling, []order.Authorization{relayed}, "account/ca", "what the relay answers needs nobody"},
		{order.StateFulfilling, []order.Authorization{relayed, proven("rfc2136/a")}, "dns/rfc2136/a", "the other name has a record"},
		{order.StatePropagating, []order.Authorization{proven("rfc2136/a"), proven("rfc2136/a")}, "dns/rfc2136/a", "two records of one provider"},
		{order.StatePropagating, []order.Authorization{proven("rfc2136/b"), proven("rfc2136/a")}, "dns/rfc2136/a+rfc2136/b", "either may keep it waiting"},
		{order.StatePropagating, []order.Authorization{done, manual}, "account/ca", "nothing is left to look for"},
		{order.StateNotifying, []order.Authorization{proven("rfc2136/a")}, "account/ca", "the CA is told"},
		{order.StateCompleted, nil, "account/ca", "nobody is waited for any more"},
	} {
		o := order.New("1", "web", "ca", time.Time{})
		o.State, o.Authorizations = row.state, row.proofs
		if got, want := laneOf(o), (engine.Lane{Line: row.line, Share: "web"}); got != want {
			t.Errorf("%s (%s): %v, want %v", row.state, row.reason, got, want)
		}
	}
	if got := debtLane(debtPath(order.Proof{Place: order.Place{Provider: "rfc2136/a"}})).Line; got != "rfc2136/a" {
		t.Errorf("a debt waits for %q", got)
	}
}
