package pkiexternalca

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// TestRenewalIsPlannedWhateverStorageSays: a certificate is looked after from the
// end of its order on, also where the storage said that it had failed to note
// something, and had not.
func TestRenewalIsPlannedWhateverStorageSays(t *testing.T) {
	t.Parallel()
	for n, more := 1, true; more; n++ {
		s := &frail{Storage: &logical.InmemStorage{}, kind: uncertain}
		r := newRenewing(t, fields{"auto_renew": true}, func(m *mount) { m.storage = s })
		s.arm(n)
		eventually(t, "an order to be made", func() bool {
			_, _, problem := r.send(logical.UpdateOperation, newOrder, cachedNames)
			return problem == ""
		})
		eventually(t, "the order to be forgotten", func() bool { return r.b.running().orders.Len() == 0 })
		eventually(t, "the certificate to be looked after", func() bool { return r.b.running().renewals.Len() == 1 })
		more = s.count() >= n
		r.unmount()
	}
}
