package acceptance

import (
	"net"
	"testing"
)

const statePropagating = "vault-challenge-propagating"

// laggard holds that an order waits for the slowest name server, says which that is and what it answers, and gives
// up with that.
func (s dnsSite) laggard(t *testing.T) {
	domain := newDomain(lateZone)
	s.updater(t, s.late, "patient."+domain, nil)
	s.updater(t, s.late, "hasty."+domain, hasty(nil))
	role := s.roleFor(t, domain, nil)
	patient, hasty := s.orderFor(t, role, "patient."+domain), s.orderFor(t, role, "hasty."+domain)
	host, _, err := net.SplitHostPort(s.stale.Public)
	if err != nil {
		t.Fatal(err)
	}
	sees := []string{"not seen at 1 of 2 servers", "ns2." + lateZone, host, "NXDOMAIN"}
	s.endsWith(t, hasty, append(sees, "_acme-challenge.hasty."+domain, "given up")...)
	noProofs(t, s.late.Addr, lateZone, "hasty."+domain)

	patient.await(t, statePropagating)
	patient.complains(t, append(sees, "_acme-challenge.patient."+domain)...)
	insert(t, s.stale, lateZone, "_acme-challenge.patient."+domain+`. 5 IN TXT "an older one"`)
	patient.complains(t, "not seen at 1 of 2 servers", "other values", "an older one")
	s.catchUp(t, domain)
	patient.await(t, stateCompleted)
	noProofs(t, s.late.Addr, lateZone, domain)
}

// checks holds that a provider says whom to ask. The resolver knows of the one server only that has the record.
func (s dnsSite) checks(t *testing.T) {
	domain := newDomain(lateZone)
	for name, settings := range map[string]fields{
		"nobody":   {"propagation_check": "none"},
		"resolver": {"propagation_check": "recursive"},
		"both":     {"propagation_check": "recursive", "nameservers": []string{s.resolver.Addr, s.stale.Addr}, "propagation_timeout": "2s"},
	} {
		s.updater(t, s.late, name+"."+domain, settings)
	}
	role := s.roleFor(t, domain, nil)
	both := s.orderFor(t, role, "both."+domain)
	s.orderFor(t, role, "nobody."+domain, "resolver."+domain).await(t, stateCompleted)
	s.endsWith(t, both, "not seen at 1 of 2 servers: "+s.stale.Addr+": no such name", "_acme-challenge.both."+domain)
	noProofs(t, s.late.Addr, lateZone, domain)
}
