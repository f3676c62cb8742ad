package pkiexternalca

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/retention"
)

const day = 24 * time.Hour

// later is a mount whose clock is ahead, and which does not rest while it tidies.
func later(by time.Duration) option {
	return func(m *mount) {
		m.now, m.tidyRest = func() time.Time { return time.Now().Add(by) }, 0
	}
}

// atRest is a mount whose engine does not run, so that a test can tidy by itself.
func atRest(m *mount) *mount {
	m.b.stop(false)
	<-m.b.lifecycle.stopped
	return m
}

// tidy looks at every hour once, and gives when each is looked at again.
func (m *mount) tidy(s logical.Storage) (next map[string]time.Time, err error) {
	m.t.Helper()
	next = map[string]time.Time{}
	work := &tidying{b: m.b, s: s, engine: engine.New(engine.Config{Most: func(string) int { return 1 }, Now: m.now})}
	hours, err := orderHours.List(m.t.Context(), s, "")
	if err != nil {
		return nil, err
	}
	for _, hour := range hours {
		if next[hour], err = work.look(m.t.Context(), hour); err != nil {
			return next, err
		}
	}
	return next, nil
}

// past is an order as it lies in storage.
type past struct {
	made     time.Duration // before now
	state    order.State
	ended    time.Duration // before now
	notAfter time.Duration // before now, of the certificate that it has then
	name     string
	csr      bool
	proof    *order.Proof
}

// keep stores an order with everything that belongs to it.
func (p past) keep(m *mount) *order.Order {
	m.t.Helper()
	now, ctx := m.now(), m.t.Context()
	o := newOrderRecord(idAt(m.t, now.Add(-p.made)))
	if p.name != "" {
		o.Identifiers[0] = order.Identifier{Requested: p.name, Identifier: acme.Identifier{Type: acme.DNS, Value: p.name}}
	}
	if p.csr {
		o.RequestCSR = requestPEM(m.t, newKey(m.t), request509{DNSNames: o.Values()})
	}
	if p.proof != nil {
		o.OldProofs = []order.Proof{*p.proof}
	}
	check := func(err error) {
		if err != nil {
			m.t.Fatal(err)
		}
	}
	check(createOrder(ctx, m.storage, o))
	if p.notAfter != 0 {
		o.Serial, o.NotAfter = serialOf(o.ID), now.Add(-p.notAfter)
		check(safe{m.b, m.storage}.KeepKey(ctx, o.ID, newKey(m.t)))
		check(safe{m.b, m.storage}.KeepCertificate(ctx, o, &order.Certificate{
			Leaf: "a leaf", Chain: []string{}, Serial: o.Serial, NotBefore: o.Created, NotAfter: o.NotAfter,
		}))
	}
	o.State, o.Updated, o.Due = p.state, now.Add(-p.ended), time.Time{}
	check(orders.Put(ctx, m.storage, orderPath(o.ID), o))
	if o.Final() {
		check(active.Delete(ctx, m.storage, activePath(o)))
	}
	return o
}

// serialOf is a serial number that no other order has.
func serialOf(id order.ID) string {
	serial, _ := order.ParseSerial(strings.ReplaceAll(string(id), "-", ""))
	return serial
}

// wishPathOf is where it is kept what was issued last for an order's wish.
func wishPathOf(t testing.TB, o *order.Order) string {
	t.Helper()
	path, err := currentPath(o)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTidy: what has been over for long goes, and nothing else does.
func TestTidy(t *testing.T) {
	t.Parallel()
	const long = 400 * day
	for _, row := range []struct {
		reason string
		past   past
		stays  bool
	}{
		{"it failed eight days ago", past{made: 9 * day, state: order.StateError, ended: 8 * day}, false},
		{"it failed six days ago", past{made: 9 * day, state: order.StateError, ended: 6 * day}, true},
		{"it expired eight days ago", past{made: 15 * day, state: order.StateExpired, ended: 8 * day}, false},
		{"its certificate expired a month ago", past{made: long, state: order.StateCompleted, ended: long, notAfter: 31 * day}, false},
		{"its certificate expired lately", past{made: long, state: order.StateCompleted, ended: long, notAfter: 29 * day}, true},
		{"its certificate is valid", past{made: long, state: order.StateCompleted, ended: long, notAfter: -day}, true},
		{"it was revoked, and would have expired a month ago", past{made: long, state: order.StateRevoked, ended: 300 * day, notAfter: 31 * day}, false},
		{"it was revoked long ago, and would be valid", past{made: long, state: order.StateRevoked, ended: 300 * day, notAfter: -day}, true},
		{"in the CSR workflow, a month ago", past{made: long, state: order.StateCompleted, ended: long, notAfter: 31 * day, csr: true}, false},
		{"it failed with a certificate that a crash kept from being noted", past{made: long, state: order.StateError, ended: 8 * day, notAfter: 300 * day}, false},
		{"nobody knows when its certificate expires", past{made: long, state: order.StateCompleted, ended: long}, true},
		{"it is waiting, for however long", past{made: long, state: order.StateAwaiting, ended: long}, true},
		{"its state is one of another release", past{made: long, state: "dreaming", ended: long}, true},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m := atRest(newMount(t, later(0)))
			o := row.past.keep(m)
			before := storedKeys(t, m.storage)
			if _, err := m.tidy(m.storage); err != nil {
				t.Fatal(err)
			}
			after := storedKeys(t, m.storage)
			if row.stays && len(after) != len(before) {
				t.Errorf("of %q were left %q", before, after)
			}
			if !row.stays && len(after) != 0 {
				t.Errorf("order %s went, and left %q behind", o.ID, after)
			}
		})
	}
}

// TestTidyWholeLife takes orders through their lives, then the clock to where
// all of them can go.
func TestTidyWholeLife(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	id, cert := m.obtain(fields{"identifiers": "www.example.com"})
	revoked, _ := m.obtain(fields{"identifiers": "old.example.com"})
	m.write("role/web/order/"+revoked+"/revoke", fields{"reason": "superseded"})
	m.obtain(fields{"csr": requestPEM(t, newKey(t), request509{DNSNames: []string{"csr.example.com"}})})
	ca.On(acmetest.NewOrder, acmetest.Problem(http.StatusForbidden, "rejectedIdentifier", "not for you"))
	failed := m.order(fields{"identifiers": "no.example.com"})
	eventually(t, "the order to fail", func() bool {
		return m.read("role/web/order/"+failed+"/status", nil)["order_status"] == "error"
	})
	m.unmount()

	notAfter, err := time.Parse(time.RFC3339, cert["not_after"].(string))
	if err != nil {
		t.Fatal(err)
	}
	m = mountOn(t, m.storage, later(time.Until(notAfter)+31*day))
	eventually(t, "everything to go", func() bool { return len(storedBelow(t, m.storage, orderHours.Prefix)) == 0 })
	for _, prefix := range []string{
		orders.Prefix, orderKeys.Prefix, certificates.Prefix, serials.Prefix, current.Prefix, active.Prefix,
	} {
		if left := storedBelow(t, m.storage, prefix); len(left) > 0 {
			t.Errorf("what is left is %q", left)
		}
	}
	m.refused(http.StatusNotFound, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, id)
	m.refused(http.StatusNotFound, logical.ReadOperation, "role/web/order/"+failed+"/status", nil, failed)
	m.refused(http.StatusNotFound, logical.ReadOperation, "lookup/cert/"+cert["serial_number"].(string), nil, cert["serial_number"].(string))
	m.refused(http.StatusNotFound, logical.ReadOperation, cached, fields{"identifiers": "www.example.com"}, "www.example.com")
	if listed := m.list("lookup/orders", nil); len(listed) > 0 {
		t.Errorf("there are still the orders %q", listed)
	}
}

// TestTidyKeepsWhatLeadsElsewhere: references are shared with later orders.
func TestTidyKeepsWhatLeadsElsewhere(t *testing.T) {
	t.Parallel()
	m := atRest(newMount(t, later(0)))
	old := past{made: 200 * day, state: order.StateCompleted, ended: 200 * day, notAfter: 40 * day}.keep(m)
	young := past{made: 50 * day, state: order.StateCompleted, ended: 50 * day, notAfter: -40 * day}.keep(m)
	// Another CA has used the same number.
	if err := serials.Put(t.Context(), m.storage, serialPath(old.Serial), &reference{Order: young.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.tidy(m.storage); err != nil {
		t.Fatal(err)
	}
	if left := storedBelow(t, m.storage, orders.Prefix); fmt.Sprint(left) != "["+orders.Prefix+orderPath(young.ID)+"]" {
		t.Errorf("the orders are %q", left)
	}
	ref, err := current.Get(t.Context(), m.storage, wishPathOf(t, young))
	if err != nil || ref.Order != young.ID {
		t.Errorf("what is served is %+v, %v", ref, err)
	}
	if number, err := serials.Get(t.Context(), m.storage, serialPath(old.Serial)); err != nil || number.Order != young.ID {
		t.Errorf("the number leads to %+v, %v", number, err)
	}
}

// TestTidyForgetsWishes: what leads to a certificate leads nowhere afterwards, and
// what is under way for the same wish goes on.
func TestTidyForgetsWishes(t *testing.T) {
	t.Parallel()
	m := atRest(newMount(t, later(0)))
	begun := past{made: time.Hour, state: order.StateAwaiting, name: "other.example.com"}.keep(m)
	const ghost = order.ID("019b76da-a800-7000-8000-000000000001")
	for _, row := range []struct {
		reason     string
		has, wants func(o *order.Order) standing
	}{
		{"its certificate was issued last", certifiedBy, nothing},
		{"it was begun last, and failed", func(o *order.Order) standing { return standing{Live: o.ID} }, nothing},
		{"an order was announced last that was never stored", func(o *order.Order) standing { return standing{Order: o.ID, Live: ghost} }, nothing},
		{
			"another is under way", func(o *order.Order) standing { return standing{Order: o.ID, Live: begun.ID} },
			func(*order.Order) standing { return standing{Live: begun.ID} },
		},
		{
			"another was issued later", func(*order.Order) standing { return standing{Order: begun.ID} },
			func(*order.Order) standing { return standing{Order: begun.ID} },
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			o := past{made: 20 * day, state: order.StateError, ended: 10 * day}.keep(m.in(t))
			path, at := wishPathOf(t, o), row.has(o)
			if err := current.Put(t.Context(), m.storage, path, &at); err != nil {
				t.Fatal(err)
			}
			if _, err := m.in(t).tidy(m.storage); err != nil {
				t.Fatal(err)
			}
			got, err := readStanding(t.Context(), m.storage, path)
			if want := row.wants(o); err != nil || *got != want {
				t.Errorf("what is left is %+v (%v), want %+v", got, err, want)
			}
		})
	}
}

func certifiedBy(o *order.Order) standing { return standing{Order: o.ID} }
func nothing(*order.Order) standing       { return standing{} }

// TestTidyWaitsForDebts: the order tells whose the TXT record was.
func TestTidyWaitsForDebts(t *testing.T) {
	t.Parallel()
	m := atRest(newMount(t, later(0)))
	proof := order.Proof{Place: order.Place{Provider: "rfc2136/internal", Name: "_acme-challenge.www.example.com"}, Value: "v"}
	o := past{made: 20 * day, state: order.StateError, ended: 10 * day, proof: &proof}.keep(m)
	if err := debts.Put(t.Context(), m.storage, debtPath(proof), &debt{Proof: proof, Orders: []order.ID{o.ID}}); err != nil {
		t.Fatal(err)
	}
	next, err := m.tidy(m.storage)
	if wait := next[o.ID.Hour()].Sub(m.now()); err != nil || wait > tidyOwed || wait < tidyOwed-time.Minute {
		t.Errorf("the order is looked at again after %s (%v)", wait, err)
	}
	if len(storedBelow(t, m.storage, orders.Prefix)) != 1 {
		t.Fatal("the order has gone")
	}
	if err := debts.Delete(t.Context(), m.storage, debtPath(proof)); err != nil {
		t.Fatal(err)
	}
	m = atRest(mountOn(t, m.storage, later(25*time.Hour)))
	if _, err := m.tidy(m.storage); err != nil || len(storedKeys(t, m.storage)) > 0 {
		t.Errorf("what is left is %q (%v)", storedKeys(t, m.storage), err)
	}
}

// TestTidySettings: who changes how long orders are kept changes it for those that
// are there.
func TestTidySettings(t *testing.T) {
	t.Parallel()
	base := atRest(newMount(t))
	past{made: 300 * day, state: order.StateError, ended: 290 * day, name: "a.example.com"}.keep(base)
	past{made: 2 * day, state: order.StateError, ended: day, name: "b.example.com"}.keep(base)
	past{made: 300 * day, state: order.StateCompleted, ended: 290 * day, notAfter: 200 * day}.keep(base)
	if got := base.read("config", nil); got["tidy_failed_after"] != int64(7*24*3600) || got["tidy_completed_after"] != int64(30*24*3600) {
		t.Errorf("by default it is %v", got)
	}
	base.write("config", fields{"tidy_failed_after": 0, "tidy_completed_after": "0s"})
	m := mountOn(t, base.storage, later(0))
	left := func(n int) func() bool {
		return func() bool { return len(storedBelow(t, m.storage, orders.Prefix)) == n }
	}
	m.write("config", fields{"tidy_failed_after": "168h"})
	eventually(t, "the failed one to go", left(2))
	if got := m.read("config", nil); got["tidy_failed_after"] != int64(168*3600) || got["tidy_completed_after"] != int64(0) {
		t.Errorf("it is %v", got)
	}
	m.write("config", fields{"tidy_failed_after": "20h"})
	eventually(t, "the other failed one to go", left(1))
	m.delete("config", nil)
	eventually(t, "the completed one to go by default", left(0))
	for _, bad := range []any{"876001h", -1, "soon", 1 << 40, "9223372036s"} {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, "config", fields{"tidy_completed_after": bad}, "tidy_completed_after")
	}
	if policy, err := readRetention(t.Context(), m.storage); err != nil || policy != retention.Defaults {
		t.Errorf("the policy is %+v, %v", policy, err)
	}
}
