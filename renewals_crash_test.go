package pkiexternalca

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// renewalTrial is what all trials share: a CA that issues for ninety days.
type renewalTrial struct {
	ca   *acmetest.ScriptServer
	time calendar
}

// TestRenewalSurvivesItsStorage lets the storage fail at every single write of a
// renewal, and die there. The certificate is renewed all the same, by one order,
// and the plan for the next renewal is there.
func TestRenewalSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	trial := &renewalTrial{ca: acmetest.Script(t)}
	trial.ca.PreAuthorize()
	trial.ca.Certify(func(leaf *x509.Certificate) {
		leaf.NotBefore, leaf.NotAfter = trial.time.now(), trial.time.now().Add(90*day)
	})
	const most = 40
	bases := make([]*logical.InmemStorage, 0, len(failures)*most)
	for n := range cap(bases) {
		bases = append(bases, &logical.InmemStorage{})
		trial.issue(t, bases[n], n)
	}
	trial.time.ahead = 61 * day
	writes := trial.run(t, bases[0], 0, "", 0)
	if writes < 10 || writes > most {
		t.Fatalf("a renewal takes %d writes; the test reckons with 10 to %d", writes, most)
	}
	trials := newCrowd(t)
	defer trials.wait()
	for k, kind := range failures {
		for n := 1; n < writes; n++ {
			at := k*most + n
			trials.run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) { trial.run(t, bases[at], at, kind, n) })
		}
	}
}

func (r *renewalTrial) mount(t *testing.T, s logical.Storage) *mount {
	return mountOn(t, s, func(m *mount) { m.now, m.jitter = r.time.now, func() float64 { return 0 } })
}

func trialName(number int) fields {
	return fields{"identifiers": fmt.Sprintf("n%d.example.com", number)}
}

// issue has the certificate made that a trial renews.
func (r *renewalTrial) issue(t *testing.T, s logical.Storage, number int) {
	m := r.mount(t, s)
	defer m.unmount()
	m.withAccount(r.ca.DirectoryURL, r.ca.TrustedCA)
	m.withRole(fields{"auto_renew": true})
	m.awaitStatus("web", m.order(trialName(number)), "completed")
}

// run renews a certificate on a storage that fails at the nth write, and gives the
// number of writes.
func (r *renewalTrial) run(t *testing.T, base logical.Storage, number int, kind failure, n int) int {
	storage := &frail{Storage: base, kind: kind}
	storage.arm(n)
	m := r.mount(t, storage)
	r.await(m, number, storage)
	writes := storage.count()
	if storage.isDead() {
		m.unmount()
		m = r.mount(t, base)
		r.await(m, number, &frail{Storage: base})
	}
	r.check(t, m, number)
	return writes
}

// await waits until the certificate is renewed, or the storage is dead.
func (r *renewalTrial) await(m *mount, number int, storage *frail) {
	eventually(m.t, "the certificate to be renewed", func() bool {
		resp, _, problem := m.send(logical.ReadOperation, cachedPath, trialName(number))
		if storage.isDead() {
			return true
		}
		if problem != "" {
			return false
		}
		at := resp.Data["not_before"].(string)
		return at > r.time.now().Add(-30*day).UTC().Format("2006-01-02") && m.list("role/web/active-orders", nil) == nil
	})
}

// check demands that one order has renewed the certificate, that each of the two
// names the other, and that the next renewal is planned.
func (r *renewalTrial) check(t *testing.T, m *mount, number int) {
	t.Helper()
	name := trialName(number)["identifiers"].(string)
	asked := 0
	for _, req := range r.ca.Requests(acmetest.NewOrder) {
		if strings.Contains(string(req.Payload), `"`+name+`"`) {
			asked++
		}
	}
	// The first; the renewal; and after an answer that was lost its repetition, which
	// a CA refuses that knows of the replacement, and is then asked without it.
	if asked > 4 {
		t.Errorf("the CA was asked for %d orders", asked)
	}
	var renewals []*order.Order
	for _, key := range storedBelow(t, m.storage, orders.Prefix) {
		o, err := orders.Get(t.Context(), m.storage, strings.TrimPrefix(key, orders.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		if o.Renews != "" {
			renewals = append(renewals, o)
		}
	}
	if len(renewals) != 1 || renewals[0].State != order.StateCompleted {
		t.Fatalf("there are %d orders that renew, want one that is completed: %+v", len(renewals), renewals)
	}
	path, err := currentPath(renewals[0])
	if err != nil {
		t.Fatal(err)
	}
	at, err := readStanding(t.Context(), m.storage, path)
	if err != nil || at.Order != renewals[0].ID || at.Care == nil || at.Care.Left(m.now()) < 80*day || at.Care.Failures > 0 {
		t.Errorf("what is remembered is %+v (%v), want the plan of the new certificate", at, err)
	}
	if old := mustOrder(t, m, string(renewals[0].Renews)); old.RenewedBy != renewals[0].ID {
		t.Errorf("order %s is renewed by %q, want %s", old.ID, old.RenewedBy, renewals[0].ID)
	}
}
