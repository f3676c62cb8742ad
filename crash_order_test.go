package pkiexternalca

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// persistent is a client that repeats every request until it succeeds, as
// clients of Vault do, and gives up only when nothing works any more.
type persistent struct {
	*mount
	storage *frail
	name    string // to be certified
	csr     string // in the CSR workflow
	id      string // of the order, once the answer has been seen
}

// insist sends a request until it succeeds; false: the storage is dead.
func (p *persistent) insist(op logical.Operation, path string, data fields, until func(fields) bool) bool {
	p.t.Helper()
	var why string
	eventually(p.t, path+" to succeed", func() bool {
		resp, status, problem := p.send(op, path, data)
		why = problem
		switch {
		case status == http.StatusOK && until(resp.Data), status == http.StatusNoContent:
			return true
		case status == http.StatusBadRequest:
			p.t.Fatalf("%s: %s", path, why)
		}
		return p.storage.isDead()
	})
	return !p.storage.isDead()
}

// work goes on with the order where it stands, to its end; false: the storage is
// dead.
func (p *persistent) work() bool {
	p.t.Helper()
	wish := fields{"identifiers": p.name}
	if p.csr != "" {
		wish = fields{"csr": p.csr}
	}
	if p.id == "" && !p.insist(logical.UpdateOperation, newOrder, wish, func(answer fields) bool {
		p.id = answer["order_id"].(string)
		return true
	}) {
		return false
	}
	path := "role/web/order/" + p.id
	state := ""
	shown := func(answer fields) bool {
		state = answer["order_status"].(string)
		return state != "new" && state != "submitted"
	}
	if !p.insist(logical.ReadOperation, path+"/status", nil, shown) {
		return false
	}
	report := fields{"identifier": p.name, "challenge_type": "http-01"}
	if state == "awaiting-challenge-fulfillment" && !p.insist(logical.UpdateOperation, path+"/fulfilled-challenge", report, nil) {
		return false
	}
	return p.insist(logical.ReadOperation, path+"/fetch-cert", nil, func(fields) bool { return true })
}

// TestOrderSurvivesItsStorage lets the storage fail at every single write of the
// whole life of an order, and die there, in both workflows. The order is
// completed all the same, with the key that the CA certified, and without a
// second certificate.
func TestOrderSurvivesItsStorage(t *testing.T) {
	t.Parallel()
	trial := newOrderTrial(t)
	trials := newCrowd(t)
	defer trials.wait()
	for _, workflow := range []string{"identifiers", "csr"} {
		writes := trial.run(t, workflow, "", 0)
		for _, kind := range failures {
			for n := 1; n <= writes; n++ {
				trials.run(fmt.Sprintf("%s/%s/write %d", workflow, kind, n), func(t *testing.T) { trial.run(t, workflow, kind, n) })
			}
		}
	}
}

// orderTrial is what all trials share: a storage with an account and a role, and
// the CA.
type orderTrial struct {
	base logical.Storage
	ca   *acmetest.ScriptServer

	mu        sync.Mutex
	certified map[string]int // how often the CA has certified a name
}

func newOrderTrial(t *testing.T) *orderTrial {
	m, ca := withFakeCA(t)
	m.withRole(nil)
	m.unmount()
	o := &orderTrial{base: m.storage, ca: ca, certified: map[string]int{}}
	ca.Certify(func(c *x509.Certificate) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.certified[c.DNSNames[0]]++
	})
	return o
}

// run takes one order through its life on a storage that fails at the nth write,
// and gives the number of writes.
func (o *orderTrial) run(t *testing.T, workflow string, kind failure, n int) int {
	storage := &frail{Storage: copyOf(t, o.base), kind: kind}
	name := fmt.Sprintf("n%d-%s-%s.example.com", n, strings.ReplaceAll(string(kind), " ", "-"), workflow)
	client := &persistent{mount: mountOn(t, storage), storage: storage, name: strings.ReplaceAll(name, "--", "-")}
	if workflow == "csr" {
		client.csr = requestPEM(t, newKey(t), request509{DNSNames: []string{client.name}})
	}
	storage.arm(n)
	client.work()
	writes := storage.count()
	if storage.isDead() {
		client.unmount()
		client.storage = &frail{Storage: storage.Storage}
		client.mount = mountOn(t, client.storage)
		if !client.work() {
			t.Fatal("the second storage is dead too")
		}
	}
	o.check(t, client)
	return writes
}

// check demands that the order is whole, and that the CA has done its work once.
func (o *orderTrial) check(t *testing.T, client *persistent) {
	t.Helper()
	client.holdsWhatTheCACertified(o.ca, client.id, client.name)
	asked := 0
	for _, r := range o.ca.Requests(acmetest.NewOrder) {
		if strings.Contains(string(r.Payload), `"`+client.name+`"`) {
			asked++
		}
	}
	if asked > 2 { // one that was lost in a crash, and its repetition
		t.Errorf("the CA was asked for %d orders", asked)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.certified[client.name]; n != 1 {
		t.Errorf("the CA made %d certificates", n)
	}
}
