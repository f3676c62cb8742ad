package pkiexternalca

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// TestNamesThatStorageRefuses: two dots in a row are no key of storage.
func TestNamesThatStorageRefuses(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for _, path := range []string{"role/a..b", "config/acme-account/a..b", "role/a..b/new-order"} {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, path, fields{"identifiers": "a.example.com"}, "two dots")
	}
	m.refused(http.StatusBadRequest, logical.ReadOperation, "role/a..b", nil, "two dots")
}

// TestRecordsThatStorageRefuses: what is too large is the sender's to mend.
func TestRecordsThatStorageRefuses(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	domains := make([]string, 10_000)
	for i := range domains {
		domains[i] = strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + ".example.com"
	}
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/large", fields{"acme_account_name": "ca", "allowed_domains": domains}, "too large to be stored")
	m.refused(http.StatusNotFound, logical.ReadOperation, "role/large", nil)
}

// TestUnreadableOrderStopsNobody: a record of a later release, say, after a
// downgrade.
func TestUnreadableOrderStopsNobody(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.unmount()
	id, err := order.NewID()
	if err != nil {
		t.Fatal(err)
	}
	later := []byte(`{"version": 99, "data": {}}`)
	for _, key := range []string{orders.Prefix + orderPath(id), active.Prefix + "web/" + string(id)} {
		if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: later}); err != nil {
			t.Fatal(err)
		}
	}
	again := mountOn(t, m.storage)
	again.obtain(fields{"identifiers": "www.example.com"})
	again.delete("role/web", nil)
}

// TestValidityOfLongCertificates: a percentage of ten years must not overflow.
func TestValidityOfLongCertificates(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	year := 365 * 24 * time.Hour
	now := time.Now()
	cert := &order.Certificate{NotBefore: now.Add(-10 * year), NotAfter: now.Add(24 * time.Hour)}
	req := &request{Request: &logical.Request{}, fields: &framework.FieldData{
		Raw: fields{"min_validity_percentage": 50}, Schema: m.b.Route("role/web/cached").Fields,
	}}
	enough, err := m.b.validity(req)
	if err != nil {
		t.Fatal(err)
	}
	if enough(cert) == nil {
		t.Error("a certificate with a day of ten years left passes for one with half of them")
	}
}
