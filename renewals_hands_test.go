package pkiexternalca

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// TestRenewalThatNeedsSomebody holds that a renewal which waits for somebody to put
// challenges in place is visible, keeps nobody from the certificate that is there,
// counts once as a failure when nobody came, and is tried again.
func TestRenewalThatNeedsSomebody(t *testing.T) {
	t.Parallel()
	r := &renewing{}
	clock := func(m *mount) { m.now, m.jitter = r.time.now, func() float64 { return 0 } }
	r.mount, r.ca = withFakeCA(t, clock)
	r.ca.Certify(func(leaf *x509.Certificate) {
		leaf.NotBefore, leaf.NotAfter = r.time.now(), r.time.now().Add(90*day)
	})
	r.withRole(fields{"auto_renew": true})
	r.obtain(fields{"identifiers": "www.example.com,example.com"})
	before := r.cached()

	r.tend(62 * day)
	live := string(r.standing().Live)
	r.awaitStatus("web", live, "awaiting-challenge-fulfillment")
	if active := r.list("role/web/active-orders", nil); !slices.Equal(active, []string{live}) {
		t.Errorf("the active orders are %v, want %s", active, live)
	}
	r.advance(2 * day)
	if text := r.warned(logical.ReadOperation, cachedPath); !strings.Contains(text, "overdue") || !strings.Contains(text, live) {
		t.Errorf("cached warns %q, want it to name order %s", text, live)
	}
	if text := r.warned(logical.UpdateOperation, issue); !strings.Contains(text, "overdue") {
		t.Errorf("issue warns %q", text)
	}

	r.advance(8 * day)
	r.unmount() // the clock that has jumped is noticed within a minute, or at a start
	r.mount = mountOn(t, r.storage, clock)
	eventually(t, "the order to end", func() bool { return mustOrder(t, r.mount, live).Final() })
	if care := r.standing().Care; care.Failures != 1 || !strings.Contains(care.LastError, live) {
		t.Errorf("%d failures, the last: %s; want one, of order %s", care.Failures, care.LastError, live)
	}
	r.tend(2 * time.Minute)
	again := string(r.standing().Live)
	if again == live {
		t.Fatal("the renewal is not tried again")
	}
	r.report(again)
	r.renewedFrom(before["serial_number"])
}
