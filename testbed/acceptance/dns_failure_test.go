package acceptance

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// failure is a DNS provider that cannot do its work, and what the order has to say of it.
type failure struct {
	why      string
	settings fields
	words    []string
}

// refusedUpdates holds that orders end, soon and with a cause that tells an operator where to look.
func (s dnsSite) refusedUpdates(t *testing.T) {
	closed, err := testbed.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	rows := []failure{
		{"a wrong secret", fields{"tsig_secret": "d3Jvbmc="}, []string{"BADSIG", "key-hmac-sha256"}},
		{"a wrong algorithm", fields{"tsig_algorithm": "hmac-sha512"}, []string{"BADKEY", "hmac-sha512"}},
		{"an unknown key", fields{"tsig_key_name": "nobody"}, []string{"BADKEY", "nobody"}},
		{"a key that the zone gives no right", signedBy(s.primary, s.primary.Powerless), []string{"zone " + bindZone, "REFUSED"}},
		{"no key", fields{"tsig_key_name": "", "tsig_secret": ""}, []string{"zone " + bindZone, "REFUSED"}},
		{"a server that knows no key", fields{"nameserver": s.power.Addr}, []string{"NOTAUTH", "key-hmac-sha256", s.power.Addr}},
		{"a server that has other zones", signedBy(s.late, s.late.Keys["hmac-sha256"]), []string{"no zone for", s.late.Addr}},
		{"a server that is not there", fields{"nameserver": testbed.Loopback(closed)}, []string{"refused", testbed.Loopback(closed)}},
	}
	for _, row := range rows {
		t.Run(row.why, func(t *testing.T) {
			t.Parallel()
			s.failsFor(t, row)
		})
	}
}

// refusedRequests is the same for PowerDNS.
func (s dnsSite) refusedRequests(t *testing.T) {
	closed, err := testbed.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []failure{
		{"a wrong key", fields{"api_key": "wrong"}, []string{"401"}},
		{"an unknown server", fields{"server_id": "nobody"}, []string{"404", "nobody"}},
		{"a zone that it has not", nil, []string{"no zone"}},
		{"a server that is not there", fields{"base_url": "http://" + testbed.Loopback(closed)}, []string{"refused", testbed.Loopback(closed)}},
	} {
		t.Run(row.why, func(t *testing.T) {
			t.Parallel()
			domain := newDomain(bindZone)
			label := "powerdns/" + s.powered(t, domain, hasty(row.settings))
			o := s.orderFor(t, s.roleFor(t, domain, nil), domain)
			s.endsWith(t, o, append(row.words, label, "_acme-challenge."+domain)...)
		})
	}
}

// hasty are settings with little patience.
func hasty(settings fields) fields {
	more := fields{"propagation_timeout": "2s"}
	maps.Copy(more, settings)
	return more
}

func (s dnsSite) failsFor(t *testing.T, f failure) {
	domain := newDomain(bindZone)
	label := "rfc2136/" + s.updater(t, s.primary, domain, hasty(f.settings))
	o := s.orderFor(t, s.roleFor(t, domain, nil), "*."+domain)
	s.endsWith(t, o, append(f.words, label, "_acme-challenge."+domain, "*."+domain)...)
	noProofs(t, s.primary.Addr, bindZone, domain)
}

// endsWith waits for the order to fail and checks that its last error holds each of the words, and no secret.
func (s dnsSite) endsWith(t *testing.T, o order, words ...string) {
	t.Helper()
	said := o.await(t, stateError).text(t, "last_error")
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("last_error lacks %q: %s", word, said)
		}
	}
	s.checkNoSecret(t, said)
}

// complains waits until the order, which is not final, says each of the words in its last error.
func (o order) complains(t *testing.T, words ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := testbed.Until(ctx, func(ctx context.Context) error {
		a, err := o.send(ctx, o.Vault.Token, "GET", o.path()+"/status", nil)
		if err != nil {
			return err
		}
		said := fmt.Sprint(a.Data["last_error"])
		for _, word := range words {
			if !strings.Contains(said, word) {
				return fmt.Errorf("order %s is %v, and last_error lacks %q: %s", o.id, a.Data["order_status"], word, said)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// outages stops a name server, and then breaks its zone: orders wait, and say for what, and complete when the
// server is back. One whose provider is less patient ends.
func (s dnsSite) outages(t *testing.T) {
	down := s.beforeAnOutage(t)
	s.fragile.Stop()
	down.check(t, "refused")
	if err := s.fragile.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	down.end(t)

	broken := s.beforeAnOutage(t)
	mend, err := s.fragile.Break(fragileZone)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.fragile.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken.check(t, "SERVFAIL")
	if err := mend(); err != nil {
		t.Fatal(err)
	}
	if err := s.fragile.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken.end(t)
}

// outage is a set of orders that meet a name server which fails.
type outage struct {
	dnsSite
	domain, manual, label string
	role                  string
	begun, hasty          order  // which have been accepted before, the second from an impatient provider
	late                  order  // which comes when the server has failed
	doomed                string // a role whose order has a record in place
}

// beforeAnOutage makes orders that wait for a challenge that is not Vault's, so that it is known when Vault writes.
func (s dnsSite) beforeAnOutage(t *testing.T) *outage {
	domain, manual := newDomain(fragileZone), newDomain("example.com")
	byResolvers := fields{"propagation_check": "recursive"} // nobody leads to this server
	o := &outage{dnsSite: s, domain: domain, manual: manual}
	o.label = "rfc2136/" + s.updater(t, s.fragile, domain, byResolvers)
	s.updater(t, s.fragile, "hasty."+domain, hasty(byResolvers))
	o.role = s.roleFor(t, domain, fields{"allowed_domains": []string{domain, manual}})
	o.begun = s.orderFor(t, o.role, "begun."+domain, manual)
	o.hasty = s.orderFor(t, o.role, "hasty."+domain, manual)
	o.begun.await(t, stateAwaiting)
	o.hasty.await(t, stateAwaiting)
	s.updater(t, s.fragile, "doomed."+domain, fields{"propagation_check": "recursive", "nameservers": s.stale.Addr}) // which will not see it
	o.doomed = s.roleFor(t, domain, nil)
	s.orderFor(t, o.doomed, "doomed."+domain)
	awaitProofs(t, s.fragile.Addr, fragileZone, domain, 1)
	return o
}

func (o *outage) check(t *testing.T, cause string) {
	o.must(t, http.MethodDelete, "role/"+o.doomed+"?force=true", nil)
	o.late = o.orderFor(t, o.role, "late."+o.domain)
	o.begun.fulfill(t, o.manual)
	o.hasty.fulfill(t, o.manual)
	o.begun.complains(t, cause, o.label, "_acme-challenge.begun."+o.domain, o.fragile.Addr)
	o.late.complains(t, "SERVFAIL", "_acme-challenge.late."+o.domain, o.resolver.Addr)
	o.endsWith(t, o.hasty, cause, "_acme-challenge.hasty."+o.domain, "given up")
}

func (o *outage) end(t *testing.T) {
	o.begun.await(t, stateCompleted)
	o.late.await(t, stateCompleted)
	noProofs(t, o.fragile.Addr, fragileZone, o.domain)
}
