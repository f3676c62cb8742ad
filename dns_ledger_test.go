package pkiexternalca

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

const internal = "config/dns/rfc2136/internal"

// hidden demands that a provider is not to be seen, though its settings are
// still stored.
func (d *debtor) hidden() {
	d.t.Helper()
	d.refused(http.StatusNotFound, logical.ReadOperation, internal, nil)
	for _, path := range []string{"config/dns/", "config/dns/rfc2136/"} {
		if listed := d.list(path, nil); len(listed) > 0 {
			d.t.Errorf("%s lists %q", path, listed)
		}
	}
	d.refused(http.StatusBadRequest, logical.UpdateOperation, "role/pinned", fields{
		"acme_account_name": "ca", "dns_provider_type": "rfc2136", "dns_provider_name": "internal",
	}, "there is no DNS provider")
	d.refused(http.StatusBadRequest, logical.UpdateOperation, "dns/test/workflow", fields{
		"identifier": "www.example.com", "provider_type": "rfc2136", "provider_name": "internal",
	}, "there is no DNS provider")
	if kept := storedBelow(d.t, d.storage, dnsprovider.Prefix); len(kept) != 1 {
		d.t.Errorf("the settings that are stored are %q", kept)
	}
}

// buried waits until nothing of a provider is left.
func (d *debtor) buried() {
	d.t.Helper()
	eventually(d.t, "the provider to go", func() bool { return len(storedBelow(d.t, d.storage, dnsprovider.Prefix)) == 0 })
}

// TestDeletedProviderPays: a provider that is deleted while it owes is kept for
// that alone. Nobody sees it, nobody is served by it, and with its last record it
// goes.
func TestDeletedProviderPays(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.relay.judge(removals(dns.RcodeRefused))
	d.obtain(fields{"identifiers": "www.example.com,api.example.com"})
	d.delete(internal, nil)
	d.hidden()
	d.delete(internal, nil) // a second time does no harm
	id := d.order(fields{"identifiers": "new.example.com"})
	status := d.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	for _, c := range status["challenges"].(map[string]any)["new.example.com"].([]any) {
		if c.(map[string]any)["requires_manual_fulfillment"] != "true" {
			t.Errorf("an order is given to a provider that was deleted: %v", c)
		}
	}
	d.unmount()
	d.relay.judge(removals(dns.RcodeRefused, "api.example.com"))
	d.restart()
	eventually(t, "one record to go", func() bool { return len(d.owed()) == 1 })
	d.hidden()
	d.unmount()
	d.relay.judge(nil)
	d.restart()
	d.isFree("www.example.com", "api.example.com")
	d.buried()
}

// TestDeletedProviderThatOwesNothing goes at once.
func TestDeletedProviderThatOwesNothing(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	d.obtain(fields{"identifiers": "www.example.com"})
	d.isFree("www.example.com")
	d.delete(internal, nil)
	if left := storedBelow(t, d.storage, dnsprovider.Prefix); len(left) > 0 {
		t.Errorf("the deletion left %q", left)
	}
}

// TestProviderDeletedBeforeItWrites: an order that was given to a provider ends
// when that is deleted, and writes nothing with it any more; one whose record is
// there already is finished.
func TestProviderDeletedBeforeItWrites(t *testing.T) {
	t.Parallel()
	for _, owes := range []bool{false, true} {
		d := newDebtor(t)
		d.provider("internal", fields{"identifiers": "www.example.com,other.example.com"})
		wish := fields{"identifiers": "www.example.com,manual.example.com"}
		id := d.order(wish)
		d.awaitStatus("web", id, "awaiting-challenge-fulfillment")
		release := d.hold()
		other := ""
		if owes {
			other = d.holdsOrder("web", fields{"identifiers": "other.example.com"})
		}
		d.delete(internal, nil)
		d.write("role/web/order/"+id+"/fulfilled-challenge", fields{"identifier": "manual.example.com", "challenge_type": "http-01"})
		d.endsAs(id, "error", `DNS provider "rfc2136/internal" was deleted`)
		d.has("www.example.com", 0, len(d.owed()))
		release()
		if owes {
			d.awaitStatus("web", other, "completed")
		}
		d.isFree("other.example.com")
		d.buried()
	}
}

// TestProviderMadeAgain: what a deleted provider owes passes to the next one of
// that name, which is paid at once with the settings that it has.
func TestProviderMadeAgain(t *testing.T) {
	t.Parallel()
	var clock stoppable
	d := newDebtor(t, func(m *mount) { m.now = clock.now })
	release := d.hold()
	d.holdsOrder("web", fields{"identifiers": "www.example.com"})
	d.provider("internal", fields{"nameserver": "127.0.0.1:1"}) // nobody listens there
	release()
	eventually(t, "the removal to fail", func() bool { return d.b.dns.outages.count() > 0 })
	clock.stop() // so that waiting alone does not help
	d.delete(internal, nil)
	d.hidden()
	d.has("www.example.com", 1, 1)
	d.provider("internal", nil)
	d.isFree("www.example.com")
	if got := d.read(internal, nil); got["name"] != "internal" {
		t.Errorf("the new provider reads %v", got)
	}
}

// TestCredentialsRotated: records that were written with the old credentials are
// removed with the new ones, as soon as they are there.
func TestCredentialsRotated(t *testing.T) {
	t.Parallel()
	var clock stoppable
	d := newDebtor(t, func(m *mount) { m.now = clock.now })
	d.server = serveExample(t, map[string]string{"vault.": tsigSecret})
	d.ca.Judge(believes(d.server))
	d.write("config", fields{"nameservers": d.server.Addr})
	d.provider("internal", fields{"nameserver": d.server.Addr, "tsig_key_name": "vault.", "tsig_secret": tsigSecret})
	release := d.hold()
	id := d.holdsOrder("web", fields{"identifiers": "www.example.com"})
	d.write(internal, fields{"tsig_secret": "d3Jvbmcgc2VjcmV0IGZvciB0ZXN0cw=="})
	release()
	d.awaitStatus("web", id, "completed")
	eventually(t, "the removal to be refused", func() bool { return d.b.dns.refusals.count() > 0 })
	clock.stop() // so that waiting alone does not help
	d.has("www.example.com", 1, 1)
	d.write(internal, fields{"tsig_secret": tsigSecret})
	d.isFree("www.example.com")
	if n := d.b.dns.refusals.count(); n != 0 {
		t.Errorf("%d refusals are remembered of records that are gone", n)
	}
}

// stoppable is a clock.
type stoppable struct{ at atomic.Pointer[time.Time] }

func (s *stoppable) now() time.Time {
	if at := s.at.Load(); at != nil {
		return *at
	}
	return time.Now()
}

func (s *stoppable) stop() {
	now := time.Now()
	s.at.Store(&now)
}

// count is how many things fail.
func (f *failureLog) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.of)
}

// TestProviderComesAndGoes deletes and makes a provider again and again under
// orders. Whatever becomes of them, no record is left, and the provider is what
// it was made last.
func TestProviderComesAndGoes(t *testing.T) {
	t.Parallel()
	d := newDebtor(t)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			id := d.order(fields{"identifiers": "www.example.com"})
			eventually(t, "the order to come to something", func() bool {
				o := d.read("role/web/order/"+id+"/status", nil)
				return strings.Contains("completed error awaiting-challenge-fulfillment", o["order_status"].(string))
			})
		})
	}
	for range 20 {
		d.delete(internal, nil)
		d.provider("internal", nil)
	}
	running.Wait()
	d.isFree("www.example.com")
	if listed := d.list("config/dns/", nil); len(listed) != 1 {
		t.Errorf("the providers are %q", listed)
	}
	d.delete(internal, nil)
	d.buried()
}
