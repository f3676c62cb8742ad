package pkiexternalca

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/dns01/dns01test"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// believes is a CA that looks whether there is a record at all.
func believes(server *dns01test.Server) func(acme.Identifier, acme.ChallengeType) *acme.Problem {
	return func(id acme.Identifier, t acme.ChallengeType) *acme.Problem {
		name := "_acme-challenge." + domainOf(id.Value) + "."
		if t == acme.DNS01 && len(server.TXT(name)) == 0 {
			return &acme.Problem{Type: acme.Unauthorized, Detail: "there is no record at " + name}
		}
		return nil
	}
}

func domainOf(name string) string {
	if len(name) > 2 && name[:2] == "*." {
		return name[2:]
	}
	return name
}

// TestRecordsGoWithTheOrder: whatever an order comes to, its records go with it,
// and not before.
func TestRecordsGoWithTheOrder(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		end   string
		bring func(d *debtor, id string, release func())
	}{
		{"completed", func(_ *debtor, _ string, release func()) { release() }},
		{"error", func(d *debtor, _ string, _ func()) { d.ca.On(acmetest.Order, d.ca.Edit(statusOf("invalid"))) }},
		{"deleted by force", func(d *debtor, _ string, _ func()) { d.delete("role/web", fields{"force": true}) }},
	} {
		t.Run(row.end, func(t *testing.T) {
			t.Parallel()
			d := newDebtor(t)
			release := d.hold()
			id := d.holdsOrder("web", fields{"identifiers": "www.example.com,*.www.example.com"})
			d.atRest()
			d.has("www.example.com", 2, 2)
			row.bring(d, id, release)
			d.isFree("www.example.com")
		})
	}
}

// TestSharedRecord: two orders of one account share an authorization, and with it
// the record. It stays until both are final.
func TestSharedRecord(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.write("role/other", fields{"acme_account_name": "ca", "allowed_domains": "example.com", "allowed_domain_options": "subdomains"})
	d.ca.On(acmetest.Authorization, d.ca.Edit(func(document map[string]any, _ http.Header) {
		for _, c := range document["challenges"].([]any) {
			c.(map[string]any)["token"] = "the-same-token-for-everybody-who-asks"
		}
	}))
	release := d.hold()
	first := d.holdsOrder("other", fields{"identifiers": "www.example.com"})
	second := d.holdsOrder("web", fields{"identifiers": "www.example.com"})
	if owing := storedDebt(t, d.storage).Orders; len(owing) != 2 || owing[0] != order.ID(first) || owing[1] != order.ID(second) {
		t.Errorf("the record is needed by %v, want %s and %s", owing, first, second)
	}
	d.delete("role/other", fields{"force": true})
	d.atRest()
	d.has("www.example.com", 1, 1)
	release()
	d.awaitStatus("web", second, "completed")
	d.isFree("www.example.com")
}

// TestTwoAccountsAtOneName: the values of two accounts stand side by side, and
// each goes with its own order.
func TestTwoAccountsAtOneName(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.write("config/acme-account/second", accountAt(d.ca.DirectoryURL, d.ca.TrustedCA))
	d.write("role/other", fields{"acme_account_name": "second", "allowed_domains": "example.com", "allowed_domain_options": "subdomains"})
	release := d.hold()
	d.holdsOrder("other", fields{"identifiers": "www.example.com"})
	theirs := d.values("www.example.com")
	id := d.holdsOrder("web", fields{"identifiers": "www.example.com"})
	d.has("www.example.com", 2, 2)
	d.delete("role/other", fields{"force": true})
	eventually(t, "one value to go", func() bool { return len(d.values("www.example.com")) == 1 })
	if left := d.values("www.example.com"); left[0] == theirs[0] {
		t.Error("the wrong value was removed")
	}
	release()
	d.awaitStatus("web", id, "completed")
	d.isFree("www.example.com")
}

// TestRemovalIsTriedAgain: the certificate is there although the record cannot be
// removed, and the record goes when the service takes its removal.
func TestRemovalIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		rcode  int
	}{
		{"the service is down", dns.RcodeServerFailure},
		{"the service refuses", dns.RcodeRefused},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			d := newDebtor(t)
			d.relay.judge(removals(row.rcode))
			d.obtain(fields{"identifiers": "www.example.com"})
			eventually(t, "the removal to be tried twice", func() bool { return d.relay.refusals() > 1 })
			d.has("www.example.com", 1, 1)
			d.relay.judge(nil)
			d.isFree("www.example.com")
		})
	}
}

// TestRestartWithDebts: a debt survives the process, and so does what a living
// order needs.
func TestRestartWithDebts(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.relay.judge(removals(dns.RcodeServerFailure))
	d.obtain(fields{"identifiers": "done.example.com"})
	release := d.hold()
	id := d.holdsOrder("web", fields{"identifiers": "www.example.com"})
	d.unmount()
	d.relay.judge(nil)
	d.restart()
	eventually(t, "the record of the finished order to go", func() bool { return len(d.values("done.example.com")) == 0 })
	d.atRest()
	d.has("www.example.com", 1, 1)
	release()
	d.awaitStatus("web", id, "completed")
	d.isFree("done.example.com", "www.example.com")
}

// TestDebtOfNobody: nobody waits for an order that is not there. The debt bears
// the date of the mount's clock.
func TestDebtOfNobody(t *testing.T) {
	t.Parallel()
	now := time.Date(2031, time.May, 4, 3, 2, 1, 0, time.UTC)
	d := newDebtor(t, func(m *mount) { m.now = func() time.Time { return now } })
	proof := order.Proof{Place: order.Place{Provider: "rfc2136/internal", Name: "_acme-challenge.www.example.com"}, Value: "value"}
	d.relay.judge(removals(dns.RcodeRefused))
	if err := (prover{d.b, d.storage}).Add(t.Context(), "019b76da-a800-7000-8000-000000000001", proof); err != nil {
		t.Fatal(err)
	}
	if owed := storedDebt(t, d.storage); !owed.Since.Equal(now) || owed.Proof != proof {
		t.Errorf("the debt is %+v", owed)
	}
	d.has("www.example.com", 1, 1)
	d.relay.judge(nil)
	d.restart()
	d.isFree("www.example.com")
}

// TestOutage: a service that does not answer is asked about one of its records at
// a time, however many are to be removed, and about all when it is back.
func TestOutage(t *testing.T) {
	t.Parallel()
	const count = 200
	d := newDebtor(t)
	d.provider("another", fields{"identifiers": "another.example.com"})
	d.relay.judge(func(update *dns.Msg) int {
		if name := update.Ns[0].Header().Name; name != "_acme-challenge.another.example.com." {
			return removals(dns.RcodeServerFailure)(update)
		}
		return dns.RcodeSuccess
	})
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("www%d.example.com", i)
		d.addRecord("rfc2136/internal", names[i])
	}
	d.addRecord("rfc2136/another", "another.example.com")
	d.restart()
	eventually(t, "the record of the other provider to go", func() bool { return len(d.values("another.example.com")) == 0 })
	eventually(t, "the service to be asked again and again", func() bool { return d.b.dns.outages.times("rfc2136/internal") > 1 })
	if n := d.relay.refusals(); n > 2*collectors {
		t.Errorf("while it was down the service was asked to remove a record %d times", n)
	}
	d.relay.judge(nil)
	d.isFree(names...)
}

// times is how often something has failed in a row.
func (f *failureLog) times(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.of[name]; at != nil {
		return at.times
	}
	return 0
}

// addRecord writes a record that nobody needs.
func (d *debtor) addRecord(label, name string) {
	d.t.Helper()
	proof := order.Proof{Place: order.Place{Provider: label, Name: "_acme-challenge." + name}, Value: "value"}
	if err := (prover{d.b, d.storage}).Add(d.t.Context(), "", proof); err != nil {
		d.t.Fatal(err)
	}
}

// TestRefusalIsOfOneRecord: what the service refuses of one record says nothing
// about others.
func TestRefusalIsOfOneRecord(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.relay.judge(removals(dns.RcodeRefused, "bad.example.com"))
	d.obtain(fields{"identifiers": "bad.example.com"})
	eventually(t, "the removal to be refused", func() bool { return d.relay.refusals() > 0 })
	d.obtain(fields{"identifiers": "www.example.com"})
	eventually(t, "the other record to go", func() bool { return len(d.owed()) == 1 })
	d.has("bad.example.com", 1, 1)
}

// TestCrowdAtOneName lets many orders come and go at the same names, while the
// provider is written again and again and the engine is stopped and started.
func TestCrowdAtOneName(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	var running sync.WaitGroup
	for range 12 {
		running.Go(func() {
			id := d.order(fields{"identifiers": "www.example.com,*.www.example.com"})
			d.awaitStatus("web", id, "completed")
		})
	}
	for range 5 {
		d.provider("internal", fields{"ttl": "30s"})
		d.b.stop(false)
		d.periodic()
	}
	running.Wait()
	d.isFree("www.example.com")
}
