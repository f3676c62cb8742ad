package pkiexternalca

import (
	"crypto/x509/pkix"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// places sends a new-order and tells which order it has led to.
func (m *mount) places(path string, body fields) (id string, reused bool) {
	m.t.Helper()
	answer := m.write(path, body)
	return answer["order_id"].(string), answer["reused"].(bool)
}

// TestReuse: while an order is under way, the same wish leads to it.
func TestReuse(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.write("role/other", fields{"acme_account_name": "ca", "allowed_domains": "example.com", "allowed_domain_options": "subdomains"})
	key := newKey(t)
	names := []string{"a.example.com", "b.example.com"}
	csr := requestPEM(t, key, request509{DNSNames: names})
	first, _ := m.places(newOrder, fields{"identifiers": "a.example.com,b.example.com"})
	withCSR, reused := m.places(newOrder, fields{"csr": csr})
	if withCSR == first || reused {
		t.Error("an order with a key of Vault's has been given to somebody with a key of their own")
	}
	for _, row := range []struct {
		reason string
		path   string
		body   fields
		is     string // the order; "" for a new one
	}{
		{"the same again", newOrder, fields{"identifiers": "a.example.com,b.example.com"}, first},
		{"in another order and spelling", newOrder, fields{"identifiers": []string{"B.example.com.", "a.example.com", "A.EXAMPLE.COM"}}, first},
		{"the wish is explicit", newOrder, fields{"identifiers": "a.example.com,b.example.com", "force_new": false}, first},
		{"a part of the names", newOrder, fields{"identifiers": "a.example.com"}, ""},
		{"more names", newOrder, fields{"identifiers": "a.example.com,b.example.com,c.example.com"}, ""},
		{"another role: it may have other rules", "role/other/new-order", fields{"identifiers": "a.example.com,b.example.com"}, ""},
		{"the same request for a certificate", newOrder, fields{"csr": csr}, withCSR},
		{"the key of it, signed and put otherwise", newOrder, fields{"csr": requestPEM(t, key, request509{
			Subject: pkix.Name{CommonName: "a.example.com"}, DNSNames: []string{"b.example.com"},
		})}, withCSR},
		{"another key", newOrder, fields{"csr": requestPEM(t, newKey(t), request509{DNSNames: names})}, ""},
	} {
		t.Run(row.reason, func(t *testing.T) {
			id, reused := m.in(t).places(row.path, row.body)
			if reused != (row.is != "") || reused && id != row.is || !reused && (id == first || id == withCSR) {
				t.Errorf("the order is %s and reused: %t, want %q", id, reused, row.is)
			}
		})
	}
	forced, reused := m.places(newOrder, fields{"identifiers": "a.example.com,b.example.com", "force_new": true})
	if forced == first || reused {
		t.Error("force_new has not made an order")
	}
	if id, reused := m.places(newOrder, fields{"identifiers": "a.example.com,b.example.com"}); id != forced || !reused {
		t.Error("the order that was made last is not the one that is reused")
	}
}

// TestReuseFollowsTheRole: an order by old rules does not do for new ones.
func TestReuseFollowsTheRole(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	wish := fields{"identifiers": "a.example.com"}
	first, _ := m.places(newOrder, wish)
	m.write("role/web", fields{"csr_generate_key_type": "ec-384"})
	if id, reused := m.places(newOrder, wish); reused || id == first {
		t.Error("an order for another kind of key was reused")
	}
	m.write("role/web", fields{"allowed_domains": "example.org"})
	m.refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, wish, "a.example.com")
}

// TestReuseEnds with the order, however it ends.
func TestReuseEnds(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	done, _ := m.obtain(fields{"identifiers": "done.example.com"})
	if id, reused := m.places(newOrder, fields{"identifiers": "done.example.com"}); reused || id == done {
		t.Error("a completed order was reused")
	}
	ca.On(acmetest.NewOrder, acmetest.Problem(http.StatusForbidden, "rejectedIdentifier", "no"))
	failed := m.order(fields{"identifiers": "failed.example.com"})
	m.awaitStatus("web", failed, "error")
	ca.On(acmetest.NewOrder, nil)
	if id, reused := m.places(newOrder, fields{"identifiers": "failed.example.com"}); reused || id == failed {
		t.Error("a failed order was reused")
	}
	gone := m.order(fields{"identifiers": "gone.example.com"})
	m.delete("role/web", fields{"force": true})
	m.withRole(nil)
	if id, reused := m.places(newOrder, fields{"identifiers": "gone.example.com"}); reused || id == gone {
		t.Error("an order of a role that was deleted was reused")
	}
}

// TestReuseIsStored: a restart, or another node, changes nothing.
func TestReuseIsStored(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	first, _ := m.places(newOrder, fields{"identifiers": "a.example.com"})
	m.unmount()
	m = mountOn(t, m.storage)
	if id, reused := m.places(newOrder, fields{"identifiers": "a.example.com"}); id != first || !reused {
		t.Errorf("after a restart the order is %s and reused: %t, want %s", id, reused, first)
	}
}

// TestReuseAtOnce: five hundred instances of an application start together.
func TestReuseAtOnce(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	var mu sync.Mutex
	var running sync.WaitGroup
	made, seen := 0, map[string]bool{}
	for range 500 {
		running.Go(func() {
			id, reused := m.places(newOrder, fields{"identifiers": "a.example.com"})
			mu.Lock()
			defer mu.Unlock()
			seen[id] = true
			if !reused {
				made++
			}
		})
	}
	running.Wait()
	if made != 1 || len(seen) != 1 {
		t.Fatalf("%d orders were made, of %d ids", made, len(seen))
	}
	for id := range seen {
		m.report(id)
		m.awaitStatus("web", id, "completed")
	}
	if n := ca.Count(acmetest.NewOrder); n != 1 {
		t.Errorf("the CA was asked for %d orders", n)
	}
}

// TestReuseSurvivesItsStorage lets the storage fail at every write of a
// new-order, and die there. Whoever asks again gets an order that is worked on,
// and there is one only.
func TestReuseSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.unmount()
	trials := newCrowd(t)
	defer trials.wait()
	for _, kind := range failures {
		for n := 1; n <= 4; n++ { // the standing, the hour, the mark, the order
			trials.run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) {
				storage := &frail{Storage: copyOf(t, m.storage), kind: kind}
				m := mountOn(t, storage)
				wish := fields{"identifiers": "a.example.com"}
				storage.arm(n)
				m.send(logical.UpdateOperation, newOrder, wish)
				if storage.isDead() {
					m.unmount()
					m = mountOn(t, storage.Storage)
				}
				id := m.order(wish)
				m.report(id)
				m.awaitStatus("web", id, "completed")
				eventually(t, "no other order to be left", func() bool { return m.list("role/web/active-orders", nil) == nil })
			})
		}
	}
}
