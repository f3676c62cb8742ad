package pkiexternalca

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// intervention is a request that changes what is to become of an order that
// exists, and what must be true once it has succeeded, whatever happened on the
// way.
type intervention struct {
	name  string
	begin func(*intervened)
	op    logical.Operation
	path  func(*intervened) string
	body  fields
	// settled tells that nothing more will be written.
	settled func(*intervened, logical.Storage) bool
	check   func(*intervened)
	// again is what a repetition may answer besides success: the first try may
	// have succeeded although the storage said otherwise.
	again int
}

// intervened is one try of an intervention on a storage that fails.
type intervened struct {
	*debtor
	id string // of the order
	t  *testing.T
}

var interventions = []intervention{
	{
		name: "revocation", begin: func(i *intervened) { i.id, _ = i.obtain(fields{"identifiers": "www.example.com"}) },
		op: logical.UpdateOperation, path: func(i *intervened) string { return i.order() + "/revoke" },
		settled: atOnce, check: (*intervened).isRevoked,
	},
	{
		name: "rotation under an order that waits", begin: (*intervened).wait,
		op: logical.UpdateOperation, path: func(*intervened) string { return "config/acme-account/ca/rotate-key" }, body: fields{"force": true},
		settled: atOnce, check: (*intervened).completes,
	},
	{
		name: "rotation under a proof in place", begin: (*intervened).prove,
		op: logical.UpdateOperation, path: func(*intervened) string { return "config/acme-account/ca/rotate-key" }, body: fields{"force": true},
		settled: atOnce, check: (*intervened).completes,
	},
	{
		name: "deletion of a role under a proof in place", begin: (*intervened).prove,
		op: logical.DeleteOperation, path: func(*intervened) string { return "role/web" }, body: fields{"force": true},
		settled: (*intervened).leavesNothing, check: (*intervened).isAbandoned, again: http.StatusNotFound,
	},
}

// atOnce is settled when the request has its answer.
func atOnce(*intervened, logical.Storage) bool { return true }

func (i *intervened) order() string { return "role/web/order/" + i.id }

// wait has an order wait for somebody else.
func (i *intervened) wait() {
	i.withRole(fields{"allowed_challenge_types": "http-01"})
	i.id = i.debtor.order(fields{"identifiers": "www.example.com"})
	i.awaitStatus("web", i.id, "awaiting-challenge-fulfillment")
}

// prove has an order wait for the CA, with a TXT record in place.
func (i *intervened) prove() {
	i.hold()
	i.id = i.holdsOrder("web", fields{"identifiers": "www.example.com"})
}

func (i *intervened) isRevoked() {
	i.t.Helper()
	if state := i.read(i.order()+"/status", nil)["order_status"]; state != "revoked" {
		i.t.Errorf("the order is %v", state)
	}
	i.refused(http.StatusNotFound, logical.ReadOperation, cached, fields{"identifiers": "www.example.com"})
	if i.ca.Count(acmetest.RevokeCert) == 0 {
		i.t.Error("the CA was not asked")
	}
}

// completes demands that the order goes on, with the key that the CA knows.
func (i *intervened) completes() {
	i.t.Helper()
	i.ca.On(acmetest.Order, nil)
	i.report(i.id)
	i.awaitStatus("web", i.id, "completed")
	i.holdsWhatTheCACertified(i.ca, i.id, "www.example.com")
	i.isFree("www.example.com")
	if url := i.read("config/acme-account/ca", nil)["account_url"]; i.urlByStoredKey("ca") != url {
		i.t.Errorf("the stored key is not that of the account %v", url)
	}
	if n := i.ca.Count(acmetest.NewOrder); n != 1 {
		i.t.Errorf("the CA was asked for %d orders", n)
	}
}

// leavesNothing tells that no order is active, and no record owed.
func (i *intervened) leavesNothing(s logical.Storage) bool {
	return len(storedBelow(i.t, s, active.Prefix)) == 0 && len(storedBelow(i.t, s, debts.Prefix)) == 0
}

func (i *intervened) isAbandoned() {
	i.t.Helper()
	eventually(i.t, "nothing to be left", func() bool { return i.leavesNothing(i.storage) })
	i.isFree("www.example.com")
	if state := i.read("lookup/order/"+i.id, nil)["order_status"]; state != "error" {
		i.t.Errorf("the order is %v", state)
	}
	i.refused(http.StatusNotFound, logical.ReadOperation, "role/web", nil)
}

// TestInterventionSurvivesItsStorage lets the storage fail at every single write of
// every intervention, and die there, and then repeats the request.
func TestInterventionSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	trials := newCrowd(t)
	defer trials.wait()
	for _, request := range interventions {
		for _, kind := range failures {
			trials.run(fmt.Sprintf("%s/%s", request.name, kind), func(t *testing.T) {
				n := 1
				for request.try(t, kind, n) && !t.Failed() {
					n++
				}
				if n == 1 {
					t.Errorf("the %s writes nothing", request.name)
				}
			})
		}
	}
}

// try makes the request on a storage that fails at the nth write, and tells whether
// there was one.
func (r intervention) try(t *testing.T, kind failure, n int) (failed bool) {
	i := &intervened{debtor: newDebtor(t), t: t}
	r.begin(i)
	i.unmount()
	storage := &frail{Storage: i.storage, kind: kind}
	i.mount = mountOn(t, storage)
	defer func() { i.unmount() }()
	storage.arm(n)
	_, status, _ := i.send(r.op, r.path(i), r.body)
	eventually(t, r.name+" to settle", func() bool {
		return status >= http.StatusBadRequest || storage.isDead() || r.settled(i, storage.Storage)
	})
	failed = storage.count() >= n
	if storage.isDead() {
		i.unmount()
		i.mount = mountOn(t, storage.Storage)
	} else {
		storage.arm(0)
	}
	var problem string
	eventually(t, "the account to be free for another operation", func() bool {
		_, status, problem = i.send(r.op, r.path(i), r.body)
		return !strings.Contains(problem, errBusy.Error())
	})
	if status >= http.StatusBadRequest && status != r.again {
		t.Fatalf("repeating the %s failed with status %d: %s", r.name, status, problem)
	}
	r.check(i)
	return failed
}
