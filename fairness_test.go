package pkiexternalca

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// orderMany places orders with a role for n0, n1 and so on below a name.
func (m *mount) orderMany(role, below string, count int) {
	m.t.Helper()
	var all sync.WaitGroup
	for part := range 8 {
		all.Go(func() {
			for n := part; n < count; n += 8 {
				m.write("role/"+role+"/new-order", fields{"identifiers": fmt.Sprintf("n%d.%s", n, below)})
			}
		})
	}
	all.Wait()
}

// gate holds what comes to a CA until it is opened, and counts what is there.
type gate struct {
	opened chan struct{}
	mu     sync.Mutex
	now    int
	peak   int
}

// shut puts a gate before everything at a CA but its directory, which is asked for
// by one, while the others wait.
func shut(ca *acmetest.ScriptServer) *gate {
	g := &gate{opened: make(chan struct{})}
	ca.OnAll(func(w http.ResponseWriter, r *acmetest.Request) {
		g.pass(1)
		defer g.pass(-1)
		<-g.opened
		ca.Default(w, r)
	})
	ca.On(acmetest.Directory, nil)
	return g
}

func (g *gate) pass(change int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += change
	g.peak = max(g.peak, g.now)
}

func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *gate) most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.peak
}

// TestADeadCAHoldsUpNobodyElse: with a thousand orders at a CA that never
// answers, one at another is done.
func TestADeadCAHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	m, dead := withFakeCA(t)
	m.withRole(nil)
	alive := acmetest.Script(t)
	m.write("config/acme-account/alive", accountAt(alive.DirectoryURL, alive.TrustedCA))
	m.write("role/other", fields{"acme_account_name": "alive", "allowed_domains": "example.com", "allowed_domain_options": "subdomains"})
	alive.PreAuthorize()
	g := shut(dead)
	defer close(g.opened)
	m.orderMany("web", "example.com", 1000)
	eventually(t, "the dead CA to have all that it may", func() bool { return g.waiting() == defaultRequests })
	id := m.write("role/other/new-order", fields{"identifiers": "www.example.com"})["order_id"].(string)
	m.awaitStatus("other", id, "completed")
	if most := g.most(); most != defaultRequests {
		t.Errorf("%d requests were in flight at the dead CA, want %d", most, defaultRequests)
	}
}

// TestRequestsInFlight: of an account there are as many as are allowed, whoever
// makes them, and never one more; and whoever orders one certificate when another
// role has just ordered a thousand is among the next.
func TestRequestsInFlight(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	m.write("role/other", fields{"acme_account_name": "ca", "allowed_domains": "example.org", "allowed_domain_options": "subdomains"})
	ca.PreAuthorize()
	m.write("config", fields{"max_requests_per_account": 5})
	g := shut(ca)
	m.orderMany("web", "example.com", 1000)
	eventually(t, "5 requests to be in flight", func() bool { return g.waiting() == 5 })
	m.write("config", fields{"max_requests_per_account": 12})
	eventually(t, "12 requests to be in flight", func() bool { return g.waiting() == 12 })
	var updated sync.WaitGroup
	updated.Go(func() { m.write("config/acme-account/ca", fields{"email_contacts": "new@example.com"}) })
	id := m.write("role/other/new-order", fields{"identifiers": "www.example.org"})["order_id"].(string)
	close(g.opened)
	m.awaitStatus("other", id, "completed")
	updated.Wait()
	if most := g.most(); most != 12 {
		t.Errorf("%d requests were in flight at once, want 12", most)
	}
	before := slices.IndexFunc(ca.Requests(acmetest.NewOrder), func(r acmetest.Request) bool {
		return bytes.Contains(r.Payload, []byte("www.example.org"))
	})
	if before > 3*12 {
		t.Errorf("%d orders of the other role came before one that was placed when 12 were under way", before)
	}
}

// TestAHungDNSServiceHoldsUpItsOwn: with more orders at a DNS service that never
// answers than there are places in a line, an order of the same account is done
// that needs no DNS.
func TestAHungDNSServiceHoldsUpItsOwn(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	hung := listenAndSayNothing(t)
	d.provider("internal", fields{"nameserver": hung.Addr().String()})
	d.write("role/http", fields{
		"acme_account_name": "ca", "allowed_domains": "example.com", "allowed_domain_options": "subdomains",
		"allowed_challenge_types": "http-01",
	})
	d.orderMany("web", "example.com", 100)
	eventually(t, "the line of the DNS service to be full", func() bool { return hung.count() >= perProvider })
	id := d.write("role/http/new-order", fields{"identifiers": "www.example.com"})["order_id"].(string)
	d.awaitStatus("http", id, "awaiting-challenge-fulfillment")
	d.write("role/http/order/"+id+"/fulfilled-challenge", fields{"identifier": "www.example.com", "challenge_type": "http-01"})
	d.ca.Judge(nil)
	d.awaitStatus("http", id, "completed")
}

// silence accepts connections and says nothing.
type silence struct {
	net.Listener
	mu    sync.Mutex
	heard int
}

func listenAndSayNothing(t *testing.T) *silence {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silence{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go s.serve()
	return s
}

func (s *silence) serve() {
	for {
		c, err := s.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }() // when the test has ended
		s.mu.Lock()
		s.heard++
		s.mu.Unlock()
	}
}

func (s *silence) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// TestAClockThatIsSetBack: what an order waits for is not waited for once more,
// nor until a time that the clock shows in a year.
func TestAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.PreAuthorize()
	ca.On(acmetest.NewOrder, acmetest.With("Retry-After", "86400", acmetest.HTML(http.StatusServiceUnavailable, "maintenance")))
	id := m.order(fields{"identifiers": "www.example.com"})
	eventually(t, "the order to wait for a day", func() bool { return time.Until(m.stored(id).Due) > time.Hour })
	m.unmount()
	ca.On(acmetest.NewOrder, nil)
	m = mountOn(t, m.storage, func(m *mount) { m.now = func() time.Time { return time.Now().AddDate(-1, 0, 0) } })
	m.awaitStatus("web", id, "completed")
}
