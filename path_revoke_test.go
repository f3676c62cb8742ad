package pkiexternalca

import (
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestRevocationReasons: both spellings, and the number of RFC 5280 §5.3.1 that
// the CA is told.
func TestRevocationReasons(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.PreAuthorize()
	for _, row := range []struct {
		reason any
		code   int
	}{
		{nil, 0},
		{"", 0},
		{"unspecified", 0},
		{"key-compromise", 1},
		{"key_compromise", 1},
		{"ca-compromise", 2},
		{"affiliation_changed", 3},
		{"superseded", 4},
		{"cessation-of-operation", 5},
		{"certificate_hold", 6},
		{"remove-from-crl", 8},
		{"privilege_withdrawn", 9},
		{"aa-compromise", 10},
	} {
		id, got := m.obtain(fields{"identifiers": "www.example.com"})
		m.write("role/web/order/"+id+"/revoke", fields{"reason": row.reason})
		sent := ca.Requests(acmetest.RevokeCert)
		var asked struct {
			Certificate string `json:"certificate"`
			Reason      int    `json:"reason"`
		}
		if err := sent[len(sent)-1].Decode(&asked); err != nil || asked.Reason != row.code {
			t.Errorf("%v: the CA was told the reason %d (error %v), want %d", row.reason, asked.Reason, err, row.code)
		}
		if leaf := parseCertificate(t, got["certificate"].(string)); string(fromBase64URL(t, asked.Certificate)) != string(leaf.Raw) {
			t.Errorf("%v: the CA was asked to revoke another certificate", row.reason)
		}
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	m, ca := withPebble(t, nil)
	id, got := m.obtain(fields{"identifiers": "www.example.com"})
	path := "role/web/order/" + id
	m.refused(http.StatusBadRequest, logical.UpdateOperation, path+"/revoke", fields{"reason": "bored"}, "reason", "bored", "key-compromise")
	m.write(path+"/revoke", fields{"reason": "superseded"})
	if leaf := parseCertificate(t, got["certificate"].(string)); ca.DB.GetRevokedCertificateByDER(leaf.Raw) == nil {
		t.Error("the certificate is not revoked at the CA")
	}
	status := m.read(path+"/status", nil)
	if status["order_status"] != "revoked" || status["status"] != "revoked" || status["last_error"] != "" {
		t.Errorf("the order is %v", status)
	}
	m.refused(http.StatusConflict, logical.ReadOperation, path+"/fetch-cert", nil, "revoked")
	m.write(path+"/revoke", fields{"reason": "key_compromise"}) // what is done is done
	if found := m.read("lookup/cert/"+got["serial_number"].(string), nil); found["order_status"] != "revoked" {
		t.Errorf("the lookup shows %v", found)
	}

	waiting := m.order(fields{"identifiers": "b.example.com"})
	m.awaitStatus("web", waiting, "awaiting-challenge-fulfillment")
	m.refused(http.StatusConflict, logical.UpdateOperation, "role/web/order/"+waiting+"/revoke", nil, "awaiting-challenge-fulfillment", "completed")
}

// TestRevocationAtTheCA: an order is shown as revoked when its certificate is, and
// not before.
func TestRevocationAtTheCA(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		answer func(*acmetest.ScriptServer) acmetest.Handler
		status int
		state  string
	}{
		{"unreachable", func(*acmetest.ScriptServer) acmetest.Handler { return acmetest.Cut() }, http.StatusBadGateway, "completed"},
		{
			"RFC 8555 §7.6: already revoked is revoked",
			func(*acmetest.ScriptServer) acmetest.Handler {
				return acmetest.Problem(http.StatusBadRequest, acme.AlreadyRevoked, "done before")
			},
			http.StatusNoContent, "revoked",
		},
		{
			"refused",
			func(*acmetest.ScriptServer) acmetest.Handler {
				return acmetest.Problem(http.StatusForbidden, acme.Namespace+"badRevocationReason", "not this reason")
			},
			http.StatusBadRequest, "completed",
		},
		{"the answer to the first try was lost", func(ca *acmetest.ScriptServer) acmetest.Handler { return ca.Times(1, ca.Lost()) }, http.StatusBadGateway, "completed"},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, ca := withFakeCA(t)
			m.withRole(nil)
			id, _ := m.obtain(fields{"identifiers": "www.example.com"})
			ca.On(acmetest.RevokeCert, row.answer(ca))
			path := "role/web/order/" + id
			if _, status, problem := m.send(logical.UpdateOperation, path+"/revoke", nil); status != row.status {
				t.Errorf("status %d (%s), want %d", status, problem, row.status)
			}
			if got := m.read(path+"/status", nil)["order_status"]; got != row.state {
				t.Errorf("the order is %v, want %s", got, row.state)
			}
			ca.On(acmetest.RevokeCert, nil)
			m.write(path+"/revoke", nil)
			if got := m.read(path+"/status", nil)["order_status"]; got != "revoked" {
				t.Errorf("the order is %v in the end", got)
			}
		})
	}
}

// TestRevocationThatTheCADoesNotOffer is told as such (RFC 8555 §7.1.1).
func TestRevocationThatTheCADoesNotOffer(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	id, _ := m.obtain(fields{"identifiers": "www.example.com"})
	storage := m.storage
	m.unmount()
	ca.On(acmetest.Directory, ca.Edit(func(d map[string]any, _ http.Header) { delete(d, "revokeCert") }))
	again := mountOn(t, storage)
	again.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web/order/"+id+"/revoke", nil, "revokeCert")
}
