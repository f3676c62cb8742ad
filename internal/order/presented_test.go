package order

import (
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// TestPresents holds in which states another account key would make a proof
// worthless. Every state has its row.
func TestPresents(t *testing.T) {
	t.Parallel()
	reported := []Authorization{{Status: acme.StatusPending}, {Status: acme.StatusPending, Fulfilled: acme.HTTP01}}
	for _, row := range []struct {
		state  State
		proofs []Authorization
		age    time.Duration
		want   bool
		reason string
	}{
		{StateNew, nil, 0, false, "no challenge is there yet"},
		{StateSubmitted, nil, 0, false, "nobody has seen a challenge yet"},
		{StateAwaiting, nil, 0, true, "somebody may be putting one in place"},
		{StateAwaiting, nil, 23 * time.Hour, true, "people do so within the day"},
		{StateAwaiting, nil, 25 * time.Hour, false, "its caller has gone"},
		{StateAwaiting, reported, 25 * time.Hour, true, "one is in place, whenever the other comes"},
		{StateFulfilling, nil, 25 * time.Hour, true, "a TXT record is written"},
		{StatePropagating, nil, 25 * time.Hour, true, "a TXT record is there"},
		{StateNotifying, nil, 25 * time.Hour, true, "the CA is about to look"},
		{StateProcessing, nil, 25 * time.Hour, true, "the CA is looking"},
		{StateKeying, reported, 0, false, "the CA has seen all it wants"},
		{StateFinalizing, reported, 0, false, "likewise"},
		{StateCollecting, reported, 0, false, "likewise"},
		{StateCompleted, reported, 0, false, "it is over"},
		{StateExpired, reported, 0, false, "it is over"},
		{StateRevoked, reported, 0, false, "it is over"},
		{StateError, reported, 0, false, "it is over"},
	} {
		o := New("1", "web", "ca", start)
		o.State, o.Authorizations = row.state, row.proofs
		if got := o.Presents(start.Add(row.age)); got != row.want {
			t.Errorf("%s after %s: %t, but %s", row.state, row.age, got, row.reason)
		}
	}
}
