package pkiexternalca

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
)

// debtor is a mount with an account, the role "web" and the DNS provider
// rfc2136/internal for everything at and below example.com. Its CA believes a
// challenge of dns-01 if there is a record, and its DNS service takes what the
// test wants it to take.
type debtor struct {
	*mount
	ca     *acmetest.ScriptServer
	server *dns01test.Server
	relay  *relay
}

func newDebtor(t *testing.T, options ...option) *debtor {
	t.Helper()
	server := serveExample(t, nil)
	r := &relay{to: server.Addr}
	r.address = dns01test.Listen(t, r.serve, map[string]string{})
	m, ca := withFakeCA(t, options...)
	ca.Judge(believes(server))
	d := &debtor{mount: m, ca: ca, server: server, relay: r}
	d.write("config", fields{"nameservers": server.Addr, "propagation_check": "recursive", "propagation_interval": "1s"})
	d.provider("internal", nil)
	d.withRole(nil)
	return d
}

// serveExample serves example.com without NS records, so that nobody is asked for
// it but resolvers.
func serveExample(t *testing.T, keys map[string]string) *dns01test.Server {
	t.Helper()
	server := dns01test.Serve(t, keys)
	server.Add("example.com.")
	server.Set(t, "example.com. 300 IN SOA ns1.example.com. hostmaster.example.com. 1 3600 600 86400 300")
	return server
}

func (d *debtor) provider(name string, settings fields) {
	d.t.Helper()
	base := fields{"identifiers": "example.com,*.example.com", "nameserver": d.relay.address}
	d.write("config/dns/rfc2136/"+name, with(base, settings))
}

// restart is the same storage under a new process.
func (d *debtor) restart() {
	d.t.Helper()
	d.unmount()
	d.mount = mountOn(d.t, d.storage)
}

// hold keeps the CA from going on with any order until the test lets it.
func (d *debtor) hold() (release func()) {
	d.ca.On(acmetest.Order, d.ca.Edit(statusOf("pending")))
	return func() { d.ca.On(acmetest.Order, nil) }
}

// holdsOrder waits until the CA is at work with an order, while it is held.
func (d *debtor) holdsOrder(role string, data fields) (id string) {
	d.t.Helper()
	id = d.write("role/"+role+"/new-order", data)["order_id"].(string)
	d.awaitStatus(role, id, "processing-challenge")
	return id
}

// values are those at the record of a name.
func (d *debtor) values(name string) []string { return d.server.TXT("_acme-challenge." + name + ".") }

func (d *debtor) owed() []string { return storedBelow(d.t, d.storage, debts.Prefix) }

// isFree waits until nothing is owed, and demands that no record is left.
func (d *debtor) isFree(names ...string) {
	d.t.Helper()
	eventually(d.t, "every debt to be paid", func() bool { return len(d.owed()) == 0 })
	for _, name := range names {
		if left := d.values(name); len(left) > 0 {
			d.t.Errorf("%s is left with %q", name, left)
		}
	}
}

// atRest waits until no debt is waiting to be looked at, or to be tried again.
func (d *debtor) atRest() {
	d.t.Helper()
	collector := d.b.running().debts
	eventually(d.t, "the collector to have nothing to do", func() bool { return collector.Len() == 0 })
}

// has demands so many values at a name, and so many debts.
func (d *debtor) has(name string, values, owed int) {
	d.t.Helper()
	if got := d.values(name); len(got) != values {
		d.t.Errorf("%s has the values %q, want %d", name, got, values)
	}
	if got := d.owed(); len(got) != owed {
		d.t.Errorf("the debts are %q, want %d", got, owed)
	}
}

// relay passes messages on to a name server, unless it judges otherwise.
type relay struct {
	address, to string

	mu      sync.Mutex
	rule    func(update *dns.Msg) (rcode int)
	refused int
}

// judge sets the rule for updates; nil passes all of them on.
func (r *relay) judge(rule func(*dns.Msg) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rule, r.refused = rule, 0
}

// refusals is how many updates were not passed on since the rule was set.
func (r *relay) refusals() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

func (r *relay) decide(q *dns.Msg) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q.Opcode != dns.OpcodeUpdate || r.rule == nil {
		return dns.RcodeSuccess
	}
	rcode := r.rule(q)
	if rcode != dns.RcodeSuccess {
		r.refused++
	}
	return rcode
}

func (r *relay) serve(w dns.ResponseWriter, q *dns.Msg) {
	answer := new(dns.Msg).SetReply(q)
	if rcode := r.decide(q); rcode != dns.RcodeSuccess {
		answer.Rcode = rcode
	} else if passed, err := dns.Exchange(q, r.to); err == nil {
		answer = passed
	}
	_ = w.WriteMsg(answer) // who asked may be gone
}

// removals answers every removal of a record of these names, or of all, with a
// response code.
func removals(rcode int, names ...string) func(*dns.Msg) int {
	return func(update *dns.Msg) int {
		h := update.Ns[0].Header()
		one := len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return h.Name == "_acme-challenge."+name+"." })
		if h.Class == dns.ClassNONE && one {
			return rcode
		}
		return dns.RcodeSuccess
	}
}

// storedDebt reads the only debt.
func storedDebt(t testing.TB, s logical.Storage) *debt {
	t.Helper()
	keys := storedBelow(t, s, debts.Prefix)
	if len(keys) != 1 {
		t.Fatalf("the debts are %q, want one", keys)
	}
	return storedDebtAt(t, s, keys[0])
}

func storedDebtAt(t testing.TB, s logical.Storage, key string) *debt {
	t.Helper()
	d, err := debts.Get(t.Context(), s, strings.TrimPrefix(key, debts.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
