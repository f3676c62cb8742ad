package pkiexternalca

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/limit"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

const (
	renewPath  = "role/web/renew"
	cachedPath = "role/web/cached"
)

// down has the CA refuse all new orders for now.
func (r *renewing) down() {
	r.ca.On(acmetest.NewOrder, acmetest.HTML(http.StatusServiceUnavailable, "maintenance"))
}

// warned reads the certificate and gives the warnings.
func (r *renewing) warned(op logical.Operation, path string) string {
	r.t.Helper()
	data := cachedNames
	if op == logical.UpdateOperation {
		data = with(cachedNames, fields{"wait": 0})
	}
	resp, status, problem := r.send(op, path, data)
	if status != http.StatusOK {
		r.t.Fatalf("%s: status %d: %s", path, status, problem)
	}
	return strings.Join(resp.Warnings, "\n")
}

// TestRenewalAndTheEndOfItsRole holds that a role can be deleted by force while its
// certificates are being renewed: what each of the two locks, they lock in one
// order.
func TestRenewalAndTheEndOfItsRole(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.issued()
	r.down()
	var both sync.WaitGroup
	done := make(chan struct{})
	both.Go(func() {
		defer close(done)
		for range 100 {
			r.delete("role/web", fields{"force": true})
			r.withRole(fields{"auto_renew": true})
		}
	})
	for range 2 {
		both.Go(func() {
			for open := true; open; {
				r.send(logical.UpdateOperation, renewPath, with(cachedNames, fields{"force": true}))
				select {
				case <-done:
					open = false
				default:
				}
			}
		})
	}
	both.Wait()
}

// forgetful is a storage in which a record is not there at the first look.
type forgetful struct {
	logical.Storage
	key  string
	once sync.Once
}

func (f *forgetful) Get(ctx context.Context, key string) (entry *logical.StorageEntry, err error) {
	looked := false
	if key == f.key {
		f.once.Do(func() { looked = true })
	}
	if looked {
		return nil, nil
	}
	return f.Storage.Get(ctx, key)
}

// TestIssueFindsWhatCameMeanwhile holds that a certificate which issue finds only
// at its second look, with the lock, is noted as fetched without that lock.
func TestIssueFindsWhatCameMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	first := r.issued()
	r.advance(10 * day)
	late := r.in(t)
	late.storage = &forgetful{Storage: r.storage, key: current.Prefix + r.path()}
	r.b.records.Close()
	if got := late.write(issue, cachedNames); got["order_id"] != first {
		t.Errorf("issue made order %v, want the certificate of %s", got["order_id"], first)
	}
	if age := r.now().Sub(r.standing().Care.Fetched); age > time.Hour {
		t.Errorf("the certificate counts as fetched %s ago", age)
	}
}

// TestWhatCountsAsFetched holds that whoever gets the certificate that is served
// keeps it from being forgotten.
func TestWhatCountsAsFetched(t *testing.T) {
	t.Parallel()
	for name, fetch := range map[string]func(*renewing, string){
		"cached":     func(r *renewing, _ string) { r.cached() },
		"issue":      func(r *renewing, _ string) { r.write(issue, cachedNames) },
		"fetch-cert": func(r *renewing, id string) { r.read("role/web/order/"+id+"/fetch-cert", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRenewing(t, fields{"auto_renew": true})
			id := r.issued()
			r.advance(10 * day)
			fetch(r, id)
			if age := r.now().Sub(r.standing().Care.Fetched); age > time.Hour {
				t.Errorf("the certificate counts as fetched %s ago", age)
			}
		})
	}
}

// TestFetchedAtAStandby holds that a node which cannot take the note sends the
// request to the one that can, once in a while: what only standbys are asked for
// would be forgotten otherwise.
func TestFetchedAtAStandby(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.issued()
	standby := mountOn(t, r.storage, func(m *mount) {
		m.now = r.time.now
		m.system.ReplicationStateVal |= consts.ReplicationPerformanceStandby
	})
	standby.read(cachedPath, cachedNames)
	r.advance(10 * day)
	for op, path := range map[logical.Operation]string{logical.ReadOperation: cachedPath, logical.UpdateOperation: issue} {
		req := &logical.Request{Operation: op, Path: path, Data: cachedNames, Storage: r.storage}
		if _, err := standby.b.HandleRequest(t.Context(), req); !isReadOnly(err) {
			t.Errorf("a standby answers %s by itself (%v) where the fetch has to be noted", path, err)
		}
	}
	r.cached()
	standby.read(cachedPath, cachedNames)
}

// TestRenewalIsHeldBack holds that a renewal which a limit is in the way of is
// done when that is over, however often it was tried meanwhile.
func TestRenewalIsHeldBack(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.issued()
	before := r.cached()
	r.advance(61 * day)
	hold := &limit.Hold{Last: r.now(), Until: r.now().Add(5 * time.Hour), Count: 1, Why: "too many orders", Order: "another"}
	if err := accountHolds.Put(t.Context(), r.b.records.Over(r.storage), "ca", hold); err != nil {
		t.Fatal(err)
	}
	for range 25 {
		r.pass(10 * time.Minute)
	}
	care := r.standing().Care
	if n := r.orders(); n != 1 || care.Failures != 0 || !strings.Contains(care.LastError, "too many orders") {
		t.Errorf("%d orders, and %d failures (%s), of a renewal that a limit is in the way of", n, care.Failures, care.LastError)
	}
	r.pass(time.Hour)
	r.renewedFrom(before["serial_number"])
}

// TestRenewalAfterALiftedLimit holds that a renewal does not wait for the end of a
// limit that an operator has lifted.
func TestRenewalAfterALiftedLimit(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.issued()
	before := r.cached()
	r.advance(61 * day)
	hold := &limit.Hold{Last: r.now(), Until: r.now().Add(7 * day), Count: 1, Why: "too many orders", Order: "another"}
	if err := accountHolds.Put(t.Context(), r.b.records.Over(r.storage), "ca", hold); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Minute)
	r.delete("config/acme-account/ca/limits", nil)
	r.pass(2 * time.Hour)
	r.renewedFrom(before["serial_number"])
}

// TestOverdue holds that who gets a certificate that Vault could not renew is told
// so, gets it as long as it is valid, and is told why there is none afterwards.
func TestOverdue(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true, "renew_before": "360h"})
	r.issued()
	before := r.cached()
	r.down()
	r.tend(75*day + time.Hour)
	if got := r.warned(logical.ReadOperation, cachedPath); got != "" {
		t.Errorf("a warning of a renewal that is not late: %s", got)
	}
	r.tend(3 * day) // 12 are left: Vault Agent would want another
	live := string(r.standing().Live)
	for op, path := range map[logical.Operation]string{logical.ReadOperation: cachedPath, logical.UpdateOperation: issue} {
		if got := r.warned(op, path); !strings.Contains(got, "overdue since") || !strings.Contains(got, live) {
			t.Errorf("%s warns %q, want it to say that the renewal is overdue, and to name order %s", path, got, live)
		}
	}
	if got := r.write(issue, with(cachedNames, fields{"wait": 0})); got["serial_number"] != before["serial_number"] {
		t.Errorf("issue gives certificate %v while another is awaited, want the one that is valid", got["serial_number"])
	}
	r.refused(http.StatusServiceUnavailable, logical.UpdateOperation, issue, with(cachedNames, fields{"wait": 0, "min_validity_percentage": 50}), "not ready")
	if n := len(storedBelow(t, r.storage, orders.Prefix)); n != 2 {
		t.Errorf("there are %d orders, want one renewal", n)
	}
	r.advance(15 * day)
	r.refused(http.StatusNotFound, logical.ReadOperation, cachedPath, cachedNames, "overdue since")
}

// TestExpiredWhileFailing holds that a certificate which could not be renewed for
// longer than finished orders are kept is renewed all the same when the CA is back,
// with its key where that is to be kept.
func TestExpiredWhileFailing(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true, "reuse_key": true, "renew_unused_for": "8760h"})
	r.issued()
	key := r.cached()["private_key"]
	r.ca.On(acmetest.NewOrder, acmetest.Problem(http.StatusForbidden, "urn:ietf:params:acme:error:unauthorized", "the account is suspended"))
	r.pass(100 * day)
	r.advance(40 * day)
	work := &tidying{b: r.b, s: r.b.records.Over(r.storage)}
	if _, _, err := r.b.tidyOrder(t.Context(), work.s, mustRetention(t, work.s), r.standing().Order.Hour(), string(r.standing().Order)); err != nil {
		t.Fatal(err)
	}
	r.ca.On(acmetest.NewOrder, nil)
	for range 3 {
		r.pass(25 * time.Hour)
	}
	if got := r.cached(); got["private_key"] != key {
		t.Error("the certificate has another key than the one before")
	}
}

// TestRoleMadeAgain holds that a role which was deleted and made again has the
// certificates renewed that it had.
func TestRoleMadeAgain(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	r.issued()
	before := r.cached()
	r.delete("role/web", nil)
	r.tend(70 * day)
	r.withRole(fields{"auto_renew": true})
	r.tend(0)
	r.renewedFrom(before["serial_number"])
}

// TestFailureIsCountedOnce holds that an order which ends without a certificate is
// one failure of the renewal, however often its end is stored.
func TestFailureIsCountedOnce(t *testing.T) {
	t.Parallel()
	r := newRenewing(t, fields{"auto_renew": true})
	first := r.issued()
	o := order.New("0195b7d6-0000-7000-8000-000000000000", "web", "ca", r.now())
	o.Identifiers = mustOrder(t, r.mount, first).Identifiers
	o.Renews, o.State, o.LastError = order.ID(first), order.StateError, "the CA said no"
	for range 3 {
		if err := r.b.conclude(t.Context(), r.b.records.Over(r.storage), o); err != nil {
			t.Fatal(err)
		}
	}
	care := r.standing().Care
	if want := fmt.Sprintf("order %s: the CA said no", o.ID); care.Failures != 1 || care.LastError != want {
		t.Errorf("%d failures, the last: %s; want one: %s", care.Failures, care.LastError, want)
	}
}
