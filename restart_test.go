package pkiexternalca

import (
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// TestRestart: whatever an order is waiting for when the mount goes away, it goes
// on with the next one, with the same key and the same order at the CA.
func TestRestart(t *testing.T) {
	t.Parallel()
	mounts := newCrowd(t)
	defer mounts.wait()
	down := acmetest.HTML(http.StatusServiceUnavailable, "maintenance")
	for _, row := range []struct {
		state string
		at    acmetest.Resource // where the CA does not go on
		hold  func(*acmetest.ScriptServer) acmetest.Handler
	}{
		{"new", acmetest.NewOrder, func(*acmetest.ScriptServer) acmetest.Handler { return down }},
		{"submitted", acmetest.Authorization, func(*acmetest.ScriptServer) acmetest.Handler { return down }},
		{"awaiting-challenge-fulfillment", "", nil},
		{"notify-acme-server-challenges-completed", acmetest.Challenge, func(*acmetest.ScriptServer) acmetest.Handler { return down }},
		{"processing-challenge", acmetest.Order, func(ca *acmetest.ScriptServer) acmetest.Handler { return ca.Edit(statusOf("pending")) }},
		{"fetching-certificate", acmetest.Finalize, func(*acmetest.ScriptServer) acmetest.Handler { return down }},
		{"fetching-certificate", acmetest.Finalize, func(ca *acmetest.ScriptServer) acmetest.Handler { return ca.Lost() }},
		{"fetching-certificate", acmetest.Certificate, func(*acmetest.ScriptServer) acmetest.Handler { return down }},
		{"completed", "", nil},
	} {
		mounts.run(row.state+" for "+string(row.at), func(t *testing.T) {
			m, ca := withFakeCA(t)
			m.withRole(nil)
			if row.hold != nil {
				ca.On(row.at, row.hold(ca))
			}
			id := m.order(fields{"identifiers": "www.example.com"})
			reported := !strings.Contains("new submitted awaiting-challenge-fulfillment", row.state)
			if reported {
				m.report(id)
			}
			before := m.awaitStatus("web", id, row.state)
			eventually(t, "the CA to be asked", func() bool { return row.at == "" || ca.Count(row.at) > 0 })
			m.unmount()

			m = mountOn(t, m.storage)
			if after := m.read("role/web/order/"+id+"/status", nil); after["order_status"] != before["order_status"] {
				t.Errorf("the order is %v after the restart, was %v", after["order_status"], before["order_status"])
			}
			ca.On(row.at, nil)
			if !reported {
				m.report(id)
			}
			m.awaitStatus("web", id, "completed")
			m.holdsWhatTheCACertified(ca, id, "www.example.com")
			if n := ca.Count(acmetest.NewOrder); n > 1 && row.state != "new" {
				t.Errorf("the CA was asked for %d orders", n)
			}
		})
	}
}

// statusOf changes the status of an order on the way.
func statusOf(text string) func(map[string]any, http.Header) {
	return func(document map[string]any, _ http.Header) { document["status"] = text }
}

// holdsWhatTheCACertified demands that a completed order can be fetched and found
// in every way, with the key of its certificate, and counts as done.
func (m *mount) holdsWhatTheCACertified(ca *acmetest.ScriptServer, id, name string) {
	m.t.Helper()
	got := m.read("role/web/order/"+id+"/fetch-cert", nil)
	leaf := parseCertificate(m.t, got["certificate"].(string))
	if text, ours := got["private_key"].(string); ours {
		key, err := keys.Parse(text)
		if err != nil || !keys.Same(key.Public(), leaf.PublicKey) {
			m.t.Errorf("the key is not that of the certificate (error %v)", err)
		}
		if serial := m.read(cached, fields{"identifiers": name})["serial_number"]; serial != got["serial_number"] {
			m.t.Errorf("cached is %v, want %v", serial, got["serial_number"])
		}
	}
	if found := m.read("lookup/cert/"+got["serial_number"].(string), nil); found["order_id"] != id {
		m.t.Errorf("the serial number leads to %v", found)
	}
	if listed := m.list("lookup/orders/recent", nil); len(listed) == 0 {
		m.t.Error("the order is not among the recent ones")
	}
	eventually(m.t, "the mark of the order to go", func() bool { return len(storedBelow(m.t, m.storage, active.Prefix)) == 0 })
}

// TestNothingLeaks mounts and unmounts with work at hand, and with connections to
// the CA. It is not parallel: nobody else may start goroutines meanwhile.
func TestNothingLeaks(t *testing.T) { //nolint:paralleltest // see above
	ca := acmetest.Script(t)
	ca.PreAuthorize()
	storage := logical.Storage(&logical.InmemStorage{})
	m := mountOn(t, storage)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	cycle := func(work bool) {
		m.unmount()
		m = mountOn(t, storage)
		m.periodic()
		if work {
			m.obtain(fields{"identifiers": "www.example.com"})
			m.write("config/acme-account/ca/rotate-key", nil)
		}
		m.unmount()
	}
	cycle(true)
	before := runtime.NumGoroutine()
	for i := range 50 {
		cycle(i%10 == 0)
	}
	eventually(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}
