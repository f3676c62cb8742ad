package pkiexternalca

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// TestRenewalWithoutAdvice holds that no answer of a CA's about renewals, and none
// at all, keeps a certificate from being renewed when two thirds of its life are
// over.
func TestRenewalWithoutAdvice(t *testing.T) {
	t.Parallel()
	backwards := acmetest.Suggestion(time.Now().Add(day), time.Now())
	for name, answer := range map[string]acmetest.Handler{
		"it is not known there":         acmetest.Problem(http.StatusNotFound, "urn:ietf:params:acme:error:malformed", "no such certificate"),
		"it does not exist":             acmetest.HTML(http.StatusNotFound, "not found"),
		"it is down":                    acmetest.HTML(http.StatusServiceUnavailable, "maintenance"),
		"no window":                     acmetest.JSON(http.StatusOK, map[string]any{}),
		"not JSON":                      acmetest.HTML(http.StatusOK, "welcome"),
		"a window that ends at its own": acmetest.JSON(http.StatusOK, backwards),
		"no answer":                     acmetest.Hang(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRenewing(t, fields{"auto_renew": true})
			r.b.askPatience = 50 * time.Millisecond
			r.ca.On(acmetest.RenewalInfo, answer)
			r.issued()
			before := r.cached()
			r.pass(day)
			if n := r.ca.Count(acmetest.RenewalInfo); n == 0 {
				t.Error("the CA was not asked")
			}
			if window := r.cached()["ari_window"].(fields); len(window) > 0 {
				t.Errorf("the window is %v, want none", window)
			}
			r.pass(61 * day)
			r.renewedFrom(before["serial_number"])
		})
	}
}

// TestSilentCA holds that a CA which does not answer is not asked about one
// certificate after the other.
func TestSilentCA(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.b.askPatience = 50 * time.Millisecond
	r.ca.On(acmetest.RenewalInfo, acmetest.Hang())
	r.issued()
	r.tend(day)
	asked := r.ca.Count(acmetest.RenewalInfo)
	if err := r.b.changeStanding(t.Context(), r.b.records.Over(r.storage), r.path(), func(at *standing) error {
		at.Care.Advice.Ask = r.now()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if next := r.tend(0); r.ca.Count(acmetest.RenewalInfo) != asked || next.Sub(r.now()) < spell/2 || next.Sub(r.now()) > 2*spell {
		t.Errorf("asked again at once, or in %s", next.Sub(r.now()))
	}
	if r.tend(2 * spell); r.ca.Count(acmetest.RenewalInfo) == asked {
		t.Error("it is not asked any more")
	}
}

// TestRenewalOfWhatSomebodyOwns holds that names which belong to an entity are
// renewed for that entity, and no more when it has lost them; nobody else gets at
// the certificate.
func TestRenewalOfWhatSomebodyOwns(t *testing.T) {
	t.Parallel()
	alice, bob := &logical.Entity{ID: "alice", Name: "alice"}, &logical.Entity{ID: "bob", Name: "bob"}
	r := newRenewing(t, fields{"auto_renew": true, "allowed_domains": "www.example.com,{{identity.entity.name}}.example.com"}, known(alice, bob))
	owner := r.as("alice")
	id := owner.order(fields{"identifiers": "alice.example.com"})
	owner.awaitStatus("web", id, "completed")
	o := mustOrder(t, r.mount, id)
	path, err := currentPath(o)
	if err != nil {
		t.Fatal(err)
	}
	names := fields{"identifiers": "alice.example.com"}
	first := owner.read(cachedPath, names)["serial_number"]
	r.tendAt(path, 62*day)
	eventually(t, "the certificate to be renewed for its owner", func() bool { return owner.read(cachedPath, names)["serial_number"] != first })

	alice.Name = "carol"
	r.tendAt(path, 62*day)
	at, err := readStanding(t.Context(), r.b.records.Over(r.storage), path)
	if err != nil || at.Care.Failures == 0 || !strings.Contains(at.Care.LastError, "alice.example.com") {
		t.Errorf("after the entity has lost the name the plan is %+v (%v), want a failure", at.Care, err)
	}
	r.as("bob").refused(http.StatusForbidden, logical.ReadOperation, cachedPath, names)
	r.as("bob").refused(http.StatusForbidden, logical.UpdateOperation, renewPath, with(names, fields{"force": true}))
}

// TestRenewalOfAddresses holds that addresses are renewed like names.
func TestRenewalOfAddresses(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, with(forLoopback, fields{"auto_renew": true}))
	id := r.order(fields{"identifiers": "127.0.0.1,::1"})
	r.awaitStatus("web", id, "completed")
	path, err := currentPath(mustOrder(t, r.mount, id))
	if err != nil {
		t.Fatal(err)
	}
	r.tendAt(path, 62*day)
	eventually(t, "the certificate to be renewed", func() bool { return mustOrder(t, r.mount, id).RenewedBy != "" })
}

// TestAutoRenewIsSwitched holds that a role's wish counts for what it has already.
func TestAutoRenewIsSwitched(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, nil)
	r.issued()
	before := r.cached()
	r.pass(62 * day)
	if n := r.orders(); n != 1 {
		t.Errorf("%d orders though nobody wants renewals", n)
	}
	r.withRole(fields{"auto_renew": true})
	r.pass(0)
	r.renewedFrom(before["serial_number"])
	r.withRole(fields{"auto_renew": false})
	r.pass(62 * day)
	if n := r.orders(); n != 2 {
		t.Errorf("%d orders after renewals were switched off", n)
	}
}
