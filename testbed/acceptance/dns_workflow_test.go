package acceptance

import (
	"net/http"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// try asks for a trial of a provider.
func (s dnsSite) try(t *testing.T, identifier, kind, name string, more ...string) answer {
	t.Helper()
	body := fields{"identifier": identifier, "provider_type": kind, "provider_name": name}
	for _, field := range more {
		body[field] = true
	}
	return s.call(t, http.MethodPost, "dns/test/workflow", body)
}

// checkTrial checks what both a success and a failure tell of a trial.
func (a answer) checkTrial(t *testing.T, success bool, identifier, kind, name, record string) {
	t.Helper()
	for field, want := range map[string]any{
		"success": success, "identifier": identifier, "provider_type": kind, "provider_name": name, "record_name": record,
	} {
		if a.Data[field] != want {
			t.Errorf("%s is %v, want %v", field, a.Data[field], want)
		}
	}
	if len(a.Data) != 6 || a.Data.text(t, "message") == "" {
		t.Errorf("the answer is %v", a.Data)
	}
}

// trials holds that a provider can be tried out, at the very place where an order would write.
func (s dnsSite) trials(t *testing.T) {
	domain, proofs := newDomain(bindZone), newDomain(powerZone)
	bind, power := s.updater(t, s.primary, domain, fields{"ttl": "7s"}), s.powered(t, proofs, nil)
	s.delegated(t, "alias."+domain, "here."+proofs)
	aliased := s.updater(t, s.primary, "aliased."+domain, fields{"challenge_alias": "_proofs." + domain})

	for _, row := range []struct{ identifier, kind, name, record string }{
		{domain, "rfc2136", bind, "_acme-challenge." + domain + "."},
		{"*." + domain, "rfc2136", bind, "_acme-challenge." + domain + "."},
		{"x.aliased." + domain, "rfc2136", aliased, "_proofs." + domain + "."},
		{"www." + proofs, "powerdns", power, "_acme-challenge.www." + proofs + "."},
		{"alias." + domain, "powerdns", power, "here." + proofs + "."},
	} {
		a := s.try(t, row.identifier, row.kind, row.name)
		a.expect(t, http.StatusOK)
		a.checkTrial(t, true, row.identifier, row.kind, row.name, row.record)
	}
	noProofs(t, s.primary.Addr, bindZone, domain)
	noProofs(t, s.power.Addr, powerZone, proofs)

	s.try(t, domain, "rfc2136", bind, "omit_cleanup").expect(t, http.StatusOK)
	left := awaitProofs(t, s.primary.Addr, bindZone, domain, 1)
	if len(left["_acme-challenge."+domain]) != 1 {
		t.Errorf("the record was to be left in place, not %v", left)
	}
	if ttl := ttlOf(t, s.primary, "_acme-challenge."+domain); ttl != 7 {
		t.Errorf("the record's time to live is %d seconds, want 7", ttl)
	}
}

// ttlOf is the time to live of the TXT records at a name.
func ttlOf(t *testing.T, b *testbed.BIND, name string) uint32 {
	t.Helper()
	client := dns.Client{Net: "tcp"}
	answer, _, err := client.ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT), b.Addr)
	if err != nil || len(answer.Answer) == 0 {
		t.Fatalf("%s has no TXT record: %v, %v", name, answer, err)
	}
	return answer.Answer[0].Header().Ttl
}

// failedTrials holds that a trial which fails says why, in the errors and in the data.
func (s dnsSite) failedTrials(t *testing.T) {
	domain, late := newDomain(bindZone), newDomain(lateZone)
	powerless := s.updater(t, s.primary, domain, signedBy(s.primary, s.primary.Powerless))
	lagging := s.updater(t, s.late, late, hasty(nil))
	for _, row := range []struct {
		why, identifier, name string
		words                 []string
	}{
		{"the server refuses", domain, powerless, []string{"failed to create DNS TXT record", "rfc2136/" + powerless, "zone " + bindZone, "REFUSED"}},
		{"the record is not seen", late, lagging, []string{"failed to verify DNS TXT record", "ns2." + lateZone, "NXDOMAIN"}},
	} {
		t.Run(row.why, func(t *testing.T) {
			t.Parallel()
			a := s.try(t, row.identifier, "rfc2136", row.name)
			a.expect(t, http.StatusBadRequest, row.words...)
			a.checkTrial(t, false, row.identifier, "rfc2136", row.name, "_acme-challenge."+row.identifier+".")
			for _, word := range row.words {
				if !strings.Contains(a.Data.text(t, "message"), word) {
					t.Errorf("the message lacks %q: %s", word, a.Data["message"])
				}
			}
			s.checkNoSecret(t, a.Body)
			noProofs(t, s.late.Addr, lateZone, late)
		})
	}
	t.Run("what cannot be tried", func(t *testing.T) {
		t.Parallel()
		s.try(t, "", "rfc2136", lagging).expect(t, http.StatusBadRequest, "identifier")
		s.try(t, "a b", "rfc2136", lagging).expect(t, http.StatusBadRequest, "identifier")
		s.try(t, "other."+domain+".example", "rfc2136", lagging).expect(t, http.StatusBadRequest, "identifier", "rfc2136/"+lagging)
		s.try(t, late, "", lagging).expect(t, http.StatusBadRequest, "provider_type")
		s.try(t, late, "bind", lagging).expect(t, http.StatusBadRequest, "provider_type", "bind", "rfc2136")
		s.try(t, late, "rfc2136", "").expect(t, http.StatusBadRequest, "provider_name")
		s.try(t, late, "rfc2136", "nobody").expect(t, http.StatusBadRequest, "provider_name", "nobody")
	})
}
