package pkiexternalca

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

const cached = "role/web/cached"

// TestCached: one certificate for the same set of names, however it is asked for.
func TestCached(t *testing.T) {
	t.Parallel()
	m, _ := withPebble(t, nil)
	m.refused(http.StatusNotFound, logical.ReadOperation, cached, fields{"identifiers": "a.example.com"}, "a.example.com")
	_, first := m.obtain(fields{"identifiers": "b.example.com,A.example.com"})
	for _, row := range []struct {
		reason string
		body   fields
	}{
		{"as it was ordered", fields{"identifiers": "b.example.com,A.example.com"}},
		{"in another order", fields{"identifiers": []string{"a.example.com", "b.example.com"}}},
		{"in another spelling, twice", fields{"identifiers": "B.EXAMPLE.COM.,a.example.com,b.example.com"}},
		{"for some time still", fields{"identifiers": "a.example.com,b.example.com", "min_validity_duration": "24h"}},
		{"for a share of its life", fields{"identifiers": "a.example.com,b.example.com", "min_validity_percentage": 50}},
		{"a share as clients of HTTP send it", fields{"identifiers": "a.example.com,b.example.com", "min_validity_percentage": "50"}},
		{"for no time at all", fields{"identifiers": "a.example.com,b.example.com", "min_validity_duration": 0}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			if got := withoutOutlook(m.in(t).read(cached, row.body)); !sameJSON(t, got, first) {
				t.Errorf("the answer is %v, want that of fetch-cert", got)
			}
		})
	}
	if got := m.read(cached, fields{"identifiers": "a.example.com,b.example.com", "certificate_format": "der"}); got["certificate"] != inBase64(first["certificate"].(string)) {
		t.Error("the format is not that which was asked for")
	}
	_, second := m.obtain(fields{"identifiers": "a.example.com,b.example.com"})
	if got := m.read(cached, fields{"identifiers": "a.example.com,b.example.com"}); got["serial_number"] != second["serial_number"] {
		t.Error("the answer is not the certificate that was issued last")
	}
	if n := len(storedBelow(t, m.storage, orders.Prefix)); n != 2 {
		t.Errorf("reading made orders: there are %d", n)
	}
}

func TestCachedIsChecked(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.obtain(fields{"identifiers": "a.example.com"})
	for _, row := range []struct {
		reason string
		body   fields
		status int
		words  []string
	}{
		{"no names", nil, http.StatusBadRequest, []string{"identifiers"}},
		{"a name that is none", fields{"identifiers": "a b"}, http.StatusBadRequest, []string{"identifiers", "a b"}},
		{
			"both measures",
			fields{"identifiers": "a.example.com", "min_validity_duration": "1h", "min_validity_percentage": 10},
			http.StatusBadRequest,
			[]string{"min_validity_duration", "min_validity_percentage"},
		},
		{"more than all", fields{"identifiers": "a.example.com", "min_validity_percentage": 101}, http.StatusBadRequest, []string{"min_validity_percentage", "100"}},
		{"less than nothing", fields{"identifiers": "a.example.com", "min_validity_percentage": -1}, http.StatusBadRequest, []string{"min_validity_percentage"}},
		{"no format", fields{"identifiers": "a.example.com", "certificate_format": "x"}, http.StatusBadRequest, []string{"certificate_format"}},
		{"too little left", fields{"identifiers": "a.example.com", "min_validity_duration": "2400h"}, http.StatusNotFound, []string{"valid until", "2400h"}},
		{"no more than all is left", fields{"identifiers": "a.example.com", "min_validity_percentage": 100}, http.StatusNotFound, []string{"100%"}},
		{"a subset", fields{"identifiers": "b.example.com"}, http.StatusNotFound, []string{"b.example.com"}},
		{"a name that the role does not allow", fields{"identifiers": "a.example.org"}, http.StatusForbidden, []string{"a.example.org"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(row.status, logical.ReadOperation, cached, row.body, row.words...)
		})
	}
	m.refused(http.StatusNotFound, logical.ReadOperation, "role/none/cached", fields{"identifiers": "a.example.com"}, "none")
}

// TestCachedFollowsTheRole: what the role allows now decides, not what it allowed
// when the certificate was ordered.
func TestCachedFollowsTheRole(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	id, _ := m.obtain(fields{"identifiers": "a.example.com"})
	m.write("role/web", fields{"allowed_domains": "example.org"})
	m.refused(http.StatusForbidden, logical.ReadOperation, cached, fields{"identifiers": "a.example.com"}, "a.example.com")
	m.write("role/web", fields{"allowed_domains": "example.com"})
	m.read(cached, fields{"identifiers": "a.example.com"})
	m.write("role/web/order/"+id+"/revoke", nil)
	m.refused(http.StatusNotFound, logical.ReadOperation, cached, fields{"identifiers": "a.example.com"}, "revoked", id)
}

// TestCachedKnowsTheTime: an expired certificate is of no use to anybody.
func TestCachedKnowsTheTime(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	made := time.Now()
	ca.Certify(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = made.Add(-time.Hour), made.Add(time.Hour) })
	m.obtain(fields{"identifiers": "a.example.com"})
	storage := m.storage
	m.unmount()
	for _, row := range []struct {
		at     time.Duration // after the making
		body   fields
		status int
	}{
		{59 * time.Minute, nil, http.StatusOK},
		{61 * time.Minute, nil, http.StatusNotFound},
		{30 * time.Minute, fields{"min_validity_duration": "29m"}, http.StatusOK},
		{30 * time.Minute, fields{"min_validity_duration": "31m"}, http.StatusNotFound},
		{30 * time.Minute, fields{"min_validity_percentage": 24}, http.StatusOK},
		{30 * time.Minute, fields{"min_validity_percentage": 26}, http.StatusNotFound},
		{61 * time.Minute, fields{"min_validity_percentage": 0}, http.StatusNotFound},
		{61 * time.Minute, fields{"min_validity_duration": 0}, http.StatusNotFound},
	} {
		later := mountOn(t, storage, func(m *mount) { m.now = func() time.Time { return made.Add(row.at) } })
		if _, got, problem := later.send(logical.ReadOperation, cached, with(fields{"identifiers": "a.example.com"}, row.body)); got != row.status {
			t.Errorf("after %s, %v: status %d (%s), want %d", row.at, row.body, got, problem, row.status)
		}
	}
}

// finalized reads the certificate request that was sent to the CA.
func finalized(t testing.TB, r acmetest.Request) *x509.CertificateRequest {
	t.Helper()
	var sent struct {
		CSR string `json:"csr"`
	}
	if err := r.Decode(&sent); err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(fromBase64URL(t, sent.CSR))
	if err != nil {
		t.Fatal(err)
	}
	return csr
}
