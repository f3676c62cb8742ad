package pkiexternalca

import (
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
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

// TestRevokedKeyIsNotReused: a renewal that was under way when its certificate was
// revoked makes a key of its own, for the old one may have been stolen.
func TestRevokedKeyIsNotReused(t *testing.T) {
	t.Parallel()
	for _, revoked := range []bool{false, true} {
		r := newRenewing(t, fields{"reuse_key": true})
		old := r.issued()
		before := r.cached()
		r.ca.On(acmetest.NewOrder, acmetest.HTML(http.StatusBadGateway, "later"))
		id := r.write("role/web/renew", with(cachedNames, fields{"force": true}))["order_id"].(string)
		if revoked {
			r.write("role/web/order/"+old+"/revoke", fields{"reason": "key-compromise"})
		}
		r.ca.On(acmetest.NewOrder, nil)
		r.awaitStatus("web", id, "completed")
		if same := r.cached()["private_key"] == before["private_key"]; same == revoked {
			t.Errorf("revoked: %t; the key is the same: %t", revoked, same)
		}
	}
}

// TestCompromisedKeyIsNotReused: a key that others have is certified no more, though
// it is an earlier certificate for it that was revoked for that. Other reasons say
// nothing about the key.
func TestCompromisedKeyIsNotReused(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"superseded", "key-compromise"} {
		r := newRenewing(t, fields{"reuse_key": true})
		renew := func() any {
			id := r.write("role/web/renew", with(cachedNames, fields{"force": true}))["order_id"].(string)
			r.awaitStatus("web", id, "completed")
			return r.cached()["private_key"]
		}
		first := r.issued()
		renew()
		before := renew()
		r.write("role/web/order/"+first+"/revoke", fields{"reason": reason})
		if same := renew() == before; same != (reason == "superseded") {
			t.Errorf("%s: the key is the same: %t", reason, same)
		}
	}
}
