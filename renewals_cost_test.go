package pkiexternalca

import (
	"fmt"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/renewal"
)

// TestCertificatesThatWaitCostNothing holds that what is not due to be renewed is
// read once after a start, and then no more; and that nothing is written for it.
func TestCertificatesThatWaitCostNothing(t *testing.T) {
	t.Parallel()
	const many = 2000
	m, _ := withFakeCA(t)
	m.withRole(fields{"auto_renew": true})
	m.unmount()
	now := time.Now()
	for n := range many {
		o := newOrderRecord(idAt(t, now))
		name := fmt.Sprintf("n%d.example.com", n)
		o.Identifiers[0] = order.Identifier{Requested: name, Identifier: acme.Identifier{Type: acme.DNS, Value: name}}
		o.State, o.Due, o.NotBefore, o.NotAfter = order.StateCompleted, time.Time{}, now, now.Add(90*day)
		plan := renewal.New(renewal.Life{NotBefore: o.NotBefore, NotAfter: o.NotAfter}, now, now, 0.5)
		for _, err := range []error{
			orders.Put(t.Context(), m.storage, orderPath(o.ID), o),
			current.Put(t.Context(), m.storage, wishPathOf(t, o), &standing{Order: o.ID, Care: &care{Plan: plan, CertID: "x.y"}}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	counted := &countedStorage{Storage: m.storage}
	m = mountOn(t, counted)
	eventually(t, "all to be looked at", func() bool { return counted.reads() >= 2*many && m.b.running().renewals.Len() == many })
	for range 3 {
		m.periodic()
	}
	if reads, writes := counted.reads(), counted.writes(); reads > 2*many+50 || writes > 0 {
		t.Errorf("%d certificates that are not due took %d reads and %d writes", many, reads, writes)
	}
}
