package pkiexternalca

import (
	"crypto/x509"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/retention"
)

// calendar is a clock that tests move by days. Between the moves it goes on.
type calendar struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *calendar) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// renewing is a mount with an engine that renews, at a fake CA that wants no
// proof and issues for ninety days.
type renewing struct {
	*mount
	ca   *acmetest.ScriptServer
	time calendar
}

func newRenewing(t testing.TB, role fields, options ...option) *renewing {
	t.Helper()
	r := &renewing{ca: acmetest.Script(t)}
	r.ca.PreAuthorize()
	r.ca.Certify(func(leaf *x509.Certificate) {
		leaf.NotBefore, leaf.NotAfter = r.time.now(), r.time.now().Add(90*day)
	})
	r.mount = newMount(t, append(options, func(m *mount) { m.now = r.time.now })...)
	r.b.jitter = func() float64 { return 0 }
	r.withAccount(r.ca.DirectoryURL, r.ca.TrustedCA)
	r.withRole(role)
	return r
}

// advance lets time go by.
func (r *renewing) advance(d time.Duration) {
	r.time.mu.Lock()
	defer r.time.mu.Unlock()
	r.time.ahead += d
}

// path is where the standing of the names lies that the tests order.
func (r *renewing) path() string {
	r.t.Helper()
	path, err := currentPath(&order.Order{Role: "web", Identifiers: []order.Identifier{
		{Identifier: acme.Identifier{Type: acme.DNS, Value: "example.com"}},
		{Identifier: acme.Identifier{Type: acme.DNS, Value: "www.example.com"}},
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	return path
}

// standing is the stored one.
func (r *renewing) standing() *standing {
	r.t.Helper()
	at, err := readStanding(r.t.Context(), r.b.records.Over(r.storage), r.path())
	if err != nil {
		r.t.Fatal(err)
	}
	return at
}

// tend lets time go by and has the certificate looked after until nothing is due,
// and tells when something is.
func (r *renewing) tend(d time.Duration) time.Time {
	r.t.Helper()
	return r.tendAt(r.path(), d)
}

// tendAt is tend for another standing.
func (r *renewing) tendAt(path string, d time.Duration) time.Time {
	r.t.Helper()
	r.advance(d)
	lane := engine.Lane{Line: firstLook}
	for {
		next := r.b.tend(r.t.Context(), r.b.records.Over(r.storage), path, &lane)
		if next.IsZero() || next.After(r.now()) {
			return next
		}
	}
}

// pass lets time go by and has the certificate looked after, and waits until
// everything has been done that was due.
func (r *renewing) pass(d time.Duration) {
	r.t.Helper()
	for due := true; due; d = 0 {
		r.tend(d)
		due = r.list("role/web/active-orders", nil) != nil
		eventually(r.t, "the orders to be done", func() bool { return r.list("role/web/active-orders", nil) == nil })
	}
}

// issued orders the first certificate and gives its order.
func (r *renewing) issued() string {
	r.t.Helper()
	id := r.order(fields{"identifiers": "www.example.com,example.com"})
	r.awaitStatus("web", id, "completed")
	return id
}

var cachedNames = fields{"identifiers": "example.com,www.example.com"}

func (r *renewing) cached() fields { return r.read("role/web/cached", cachedNames) }

// renewedFrom waits until another certificate than one is served.
func (r *renewing) renewedFrom(serial any) fields {
	r.t.Helper()
	var now fields
	eventually(r.t, "the certificate to be renewed", func() bool {
		now = r.cached()
		return now["serial_number"] != serial
	})
	return now
}

// orders is the number of orders that the CA has had.
func (r *renewing) orders() int { return r.ca.Count(acmetest.NewOrder) }

// TestRenewal is what auto_renew is for: months pass, and the certificate that
// is served is always good.
func TestRenewal(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	first := r.issued()
	before := r.cached()

	r.pass(59 * day)
	if n := r.orders(); n != 1 {
		t.Errorf("%d orders before two thirds of the life were over, want 1", n)
	}
	r.pass(4 * day)
	after := r.renewedFrom(before["serial_number"])
	if after["private_key"] == before["private_key"] {
		t.Error("the renewed certificate has the key of the one before")
	}
	old := r.awaitStatus("web", first, "completed")
	second, _ := old["renewed_by"].(string)
	if got := r.awaitStatus("web", second, "completed"); got["renews"] != first {
		t.Errorf("order %s renews %v, want %s", second, got["renews"], first)
	}
	if got := r.read("role/web/order/"+first+"/fetch-cert", nil); got["serial_number"] != before["serial_number"] {
		t.Error("the old certificate cannot be read by its order any more")
	}
	if n := r.orders(); n != 2 {
		t.Errorf("%d orders for two certificates", n)
	}
}

// TestForgottenNames holds that what nobody fetches is renewed once, and then let
// go; and that a fetch brings it back.
func TestForgottenNames(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.issued()
	for range 20 {
		r.pass(10 * day)
	}
	if n := r.orders(); n != 2 {
		t.Errorf("%d orders in 200 days in which nobody fetched the certificate, want 2", n)
	}
	r.refused(http.StatusNotFound, logical.ReadOperation, "role/web/cached", cachedNames, "which does not leave any time")
	r.pass(0)
	if n := r.orders(); n != 3 || r.cached()["serial_number"] == nil {
		t.Errorf("%d orders after somebody has asked for it again, want 3", n)
	}
}

// TestRenewalFollowsTheCA holds that an emergency of the CA's has a certificate
// replaced (RFC 9773 §4.2), and that the CA is told what is replaced (§5).
func TestRenewalFollowsTheCA(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.issued()
	before := r.cached()
	r.pass(day)
	r.ca.On(acmetest.RenewalInfo, acmetest.JSON(http.StatusOK, acmetest.Suggestion(r.now().Add(-time.Hour), r.now().Add(-time.Minute))))
	r.pass(7 * time.Hour)
	r.renewedFrom(before["serial_number"])
	var wish struct {
		Replaces string `json:"replaces"`
	}
	if err := r.ca.Requests(acmetest.NewOrder)[1].Decode(&wish); err != nil {
		t.Fatal(err)
	}
	if id, _ := acme.CertID(parseCertificate(t, before["certificate"].(string))); wish.Replaces != id {
		t.Errorf("the order replaces %q, want %q", wish.Replaces, id)
	}
}

func mustOrder(t testing.TB, m *mount, id string) *order.Order {
	t.Helper()
	o, err := orders.Get(t.Context(), m.storage, orderPath(order.ID(id)))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func mustRetention(t testing.TB, s logical.Storage) retention.Policy {
	t.Helper()
	policy, err := readRetention(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}
