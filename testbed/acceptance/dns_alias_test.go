package acceptance

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// delegated makes the record of a domain's proofs, at the primary, an alias of another name.
func (s dnsSite) delegated(t *testing.T, domain, target string) {
	t.Helper()
	insert(t, s.primary, bindZone, fmt.Sprintf("_acme-challenge.%s. 5 IN CNAME %s.", domain, target))
}

// delegation holds that proofs are written where aliases lead, over several names and from BIND to PowerDNS.
// Whoever owns the first name need not be able to write at it.
func (s dnsSite) delegation(t *testing.T) {
	for _, owner := range []string{"with a provider for the name", "without one"} {
		t.Run(owner, func(t *testing.T) {
			t.Parallel()
			domain, proof := newDomain(bindZone), newDomain(powerZone)
			s.delegated(t, domain, "hop."+domain)
			insert(t, s.primary, bindZone, fmt.Sprintf("hop.%s. 5 IN CNAME hop.%s.", domain, proof))
			if err := s.power.AddCNAME(t.Context(), powerZone, "hop."+proof, "here."+proof); err != nil {
				t.Fatal(err)
			}
			s.powered(t, proof, nil)
			if owner != "without one" {
				s.updater(t, s.primary, domain, nil)
			}
			o := s.orderFor(t, s.roleFor(t, domain, nil), domain, "*."+domain)
			o.await(t, stateCompleted)
			s.verified(t, o.read(t, o.path()+"/fetch-cert"), domain, "*."+domain)
			noProofs(t, s.power.Addr, powerZone, proof)
			noWrites(t, s.primary, domain)
		})
	}
}

// strayAliases holds that aliases cannot steer a provider's credentials to names that it was not made for.
func (s dnsSite) strayAliases(t *testing.T) {
	circle, victim, quiet := newDomain(bindZone), newDomain(bindZone), newDomain(bindZone)
	elsewhere := newDomain(bindZone)
	insert(t, s.primary, bindZone, fmt.Sprintf("hop.%s. 5 IN CNAME _acme-challenge.%[1]s.", circle))
	s.powered(t, newDomain(quietZone), nil) // so there are credentials for that server
	before := serial(t, s.power.Addr, quietZone)
	for _, row := range []struct {
		why, domain, target string
		words               []string
	}{
		{"a circle", circle, "hop." + circle, []string{"circle", "_acme-challenge." + circle, "hop." + circle}},
		{"a name that the same key could write", victim, "proof." + elsewhere, []string{"proof." + elsewhere, "identifiers"}},
		{"a name that another provider could write", quiet, "proof." + quietZone, []string{"proof." + quietZone, "identifiers"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			s.delegated(t, row.domain, row.target)
			s.updater(t, s.primary, row.domain, nil)
			o := s.orderFor(t, s.roleFor(t, row.domain, nil), row.domain)
			s.endsWith(t, o, append(row.words, "_acme-challenge."+row.domain)...)
			noWrites(t, s.primary, row.domain)
		})
	}
	noWrites(t, s.primary, elsewhere)
	if after := serial(t, s.power.Addr, quietZone); after != before {
		t.Errorf("zone %s was changed: its serial was %d and is %d", quietZone, before, after)
	}
}

// serial is that of a zone, which every change counts up.
func serial(t *testing.T, server, zone string) uint32 {
	t.Helper()
	client := dns.Client{Net: "tcp"}
	answer, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(dns.Fqdn(zone), dns.TypeSOA), server)
	if err != nil {
		t.Fatal(err)
	}
	for _, rr := range answer.Answer {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa.Serial
		}
	}
	t.Fatalf("%s has no SOA record: %v", zone, answer)
	return 0
}
