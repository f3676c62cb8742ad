package pkiexternalca

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

// dnsTrial is what all trials share: a storage with an account, a role and a DNS
// provider, the CA and the DNS service.
type dnsTrial struct {
	*debtor
	base logical.Storage
}

func newDNSTrial(t *testing.T) *dnsTrial {
	d := newDebtor(t)
	d.unmount()
	return &dnsTrial{d, d.storage}
}

// name is one that no other trial has.
func (*dnsTrial) name(kind failure, n int) string {
	return fmt.Sprintf("n%d%s.example.com", n, strings.ReplaceAll(string(kind), " ", ""))
}

// untilPaid waits until nothing is owed, or the storage is dead.
func untilPaid(t *testing.T, storage *frail) {
	t.Helper()
	eventually(t, "every debt to be paid", func() bool {
		return storage.isDead() || len(storedBelow(t, storage.Storage, debts.Prefix)) == 0
	})
}

// TestAutomaticOrderSurvivesItsStorage lets the storage fail at every single write
// of the whole life of an order that Vault proves by itself, and die there, in both
// workflows. The order is completed all the same, no record is left, and no debt.
func TestAutomaticOrderSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	trial := newDNSTrial(t)
	trials := newCrowd(t)
	defer trials.wait()
	for _, workflow := range []string{"identifiers", "csr"} {
		writes := trial.order(t, workflow, "", 0)
		for _, kind := range failures {
			for n := 1; n <= writes; n++ {
				trials.run(fmt.Sprintf("%s/%s/write %d", workflow, kind, n), func(t *testing.T) { trial.order(t, workflow, kind, n) })
			}
		}
	}
}

// order takes an order from the request to the removal of its record, on a storage
// that fails at the nth write, and gives the number of writes.
func (d *dnsTrial) order(t *testing.T, workflow string, kind failure, n int) int {
	storage := &frail{Storage: copyOf(t, d.base), kind: kind}
	client := &persistent{mount: mountOn(t, storage), storage: storage, name: workflow + d.name(kind, n)}
	if workflow == "csr" {
		client.csr = requestPEM(t, newKey(t), request509{DNSNames: []string{client.name}})
	}
	storage.arm(n)
	client.work()
	untilPaid(t, storage)
	writes := storage.count()
	if storage.isDead() {
		client.unmount()
		client.storage = &frail{Storage: storage.Storage}
		client.mount = mountOn(t, client.storage)
		if !client.work() {
			t.Fatal("the second storage is dead too")
		}
		untilPaid(t, client.storage)
	}
	client.holdsWhatTheCACertified(d.ca, client.id, client.name)
	if left := d.values(client.name); len(left) > 0 {
		t.Errorf("the record is left with %q", left)
	}
	return writes
}

// TestTrialSurvivesItsStorage lets the storage fail at every write of a trial of a
// provider, and die there. Whatever it answers, no record is left.
func TestTrialSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	trial := newDNSTrial(t)
	trials := newCrowd(t)
	defer trials.wait()
	writes := trial.try(t, "", 0)
	if writes == 0 {
		t.Error("a trial writes nothing down")
	}
	for _, kind := range failures {
		for n := 1; n <= writes; n++ {
			trials.run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) { trial.try(t, kind, n) })
		}
	}
}

func (d *dnsTrial) try(t *testing.T, kind failure, n int) int {
	storage := &frail{Storage: copyOf(t, d.base), kind: kind}
	m := mountOn(t, storage)
	name := d.name(kind, n)
	storage.arm(n)
	_, status, problem := m.send(logical.UpdateOperation, "dns/test/workflow", fields{
		"identifier": name, "provider_type": "rfc2136", "provider_name": "internal",
	})
	if status >= http.StatusBadRequest && n == 0 {
		t.Fatalf("the trial failed: %s", problem)
	}
	untilPaid(t, storage)
	writes := storage.count()
	if storage.isDead() {
		m.unmount()
		mountOn(t, storage.Storage)
		untilPaid(t, &frail{Storage: storage.Storage})
	}
	if left := d.values(name); len(left) > 0 {
		t.Errorf("the record is left with %q", left)
	}
	return writes
}

// TestDeletionSurvivesItsStorage lets the storage fail at every write from the
// deletion of a provider that owes to its end, and die there. The record goes,
// and then the provider.
func TestDeletionSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	trials := newCrowd(t)
	defer trials.wait()
	writes := deleteOwing(t, "", 0)
	for _, kind := range failures {
		for n := 1; n <= writes; n++ {
			trials.run(fmt.Sprintf("%s/write %d", kind, n), func(t *testing.T) { deleteOwing(t, kind, n) })
		}
	}
}

func deleteOwing(t *testing.T, kind failure, n int) int {
	d := newDebtor(t)
	d.relay.judge(removals(dns.RcodeServerFailure))
	d.obtain(fields{"identifiers": "www.example.com"})
	eventually(t, "the order to be retired", func() bool { return d.relay.refusals() > 0 })
	d.unmount()
	storage := &frail{Storage: d.storage, kind: kind}
	d.mount = mountOn(t, storage)
	storage.arm(n)
	if _, status, problem := d.send(logical.DeleteOperation, internal, nil); status >= http.StatusBadRequest && n == 0 {
		t.Fatalf("the deletion failed: %s", problem)
	}
	d.relay.judge(nil)
	d.b.wakeDebts(t.Context(), storage, "rfc2136/internal")
	d.b.dns.outages.end("rfc2136/internal")
	untilPaid(t, storage)
	writes := storage.count()
	if storage.isDead() {
		d.unmount()
		d.mount = mountOn(t, storage.Storage)
	}
	d.delete(internal, nil) // the client repeats what may have failed
	d.isFree("www.example.com")
	if left := storedBelow(t, storage.Storage, dnsprovider.Prefix); len(left) > 0 {
		t.Errorf("the provider is left: %q", left)
	}
	return writes
}
