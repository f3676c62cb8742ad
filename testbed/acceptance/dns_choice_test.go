package acceptance

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// checkWriter checks that every record at and below a domain was written with one key, and that there was one.
func checkWriter(t *testing.T, b *testbed.BIND, domain string, key testbed.TSIGKey) {
	t.Helper()
	lines := writes(t, b, domain)
	if len(lines) == 0 {
		t.Errorf("nobody wrote below %s", domain)
	}
	for _, line := range lines {
		if !strings.Contains(line, "/key "+key.Name+":") {
			t.Errorf("not written with %s: %s", key.Name, line)
		}
	}
}

// choices holds which provider writes: the one with the most specific identifier, unless the role names one.
func (s dnsSite) choices(t *testing.T) {
	domain := newDomain(bindZone)
	wide, exact, deep := s.primary.Keys["hmac-sha256"], s.primary.Keys["hmac-sha384"], s.primary.Keys["hmac-sha512"]
	with := func(key testbed.TSIGKey, identifier string) string {
		return s.updater(t, s.primary, domain, withIdentifiers(signedBy(s.primary, key), identifier))
	}
	pinned := with(wide, "*."+domain)
	with(exact, "www."+domain)
	with(deep, "*.deep."+domain)
	role := s.roleFor(t, domain, nil)
	s.orderFor(t, role, "www."+domain, "ftp."+domain, "www.deep."+domain, "a.b."+domain).await(t, stateCompleted)
	for name, key := range map[string]testbed.TSIGKey{
		"www." + domain: exact, "ftp." + domain: wide, "www.deep." + domain: deep, "a.b." + domain: wide,
	} {
		checkWriter(t, s.primary, "_acme-challenge."+name, key)
	}
	bound := s.roleFor(t, domain, fields{"dns_provider_type": "rfc2136", "dns_provider_name": pinned})
	s.orderFor(t, bound, "new.www.deep."+domain).await(t, stateCompleted)
	checkWriter(t, s.primary, "new.www.deep."+domain, wide)
	s.call(t, http.MethodDelete, "config/dns/rfc2136/"+pinned, nil).expect(t, http.StatusConflict, bound)
	o := s.orderFor(t, bound, domain) // which that provider does not cover
	o.await(t, stateAwaiting)
	noWrites(t, s.primary, "_acme-challenge."+domain)
	noProofs(t, s.primary.Addr, bindZone, domain)
}

// challengeAlias holds that a provider may write at a name of its own, for names whose zone it has no access to.
func (s dnsSite) challengeAlias(t *testing.T) {
	domain, proofs := newDomain(bindZone), newDomain(powerZone)
	s.delegated(t, domain, proofs)
	s.powered(t, domain, fields{"challenge_alias": proofs})
	o := s.orderFor(t, s.roleFor(t, domain, nil), domain, "*."+domain)
	o.await(t, stateCompleted)
	noProofs(t, s.power.Addr, powerZone, proofs)
	noWrites(t, s.primary, domain)
}

// hybrid holds that Vault proves what it can and waits for what it cannot, and writes nothing before that is there.
func (s dnsSite) hybrid(t *testing.T) {
	domain := newDomain(bindZone)
	files, text, vaults := "files."+domain, "text."+domain, "vaults."+domain
	insert(t, s.primary, bindZone, files+". 5 IN A 127.0.0.1")
	s.updater(t, s.primary, vaults, nil)
	o := s.orderFor(t, s.roleFor(t, domain, nil), files, text, vaults)
	o.await(t, stateAwaiting)
	c := o.challenge(t, text, "dns-01")
	insert(t, s.primary, bindZone, fmt.Sprintf("%s. 5 IN TXT %q", c.text(t, "dns_record_name"), c.text(t, "dns_record_value")))
	o.write(t, o.path()+"/fulfilled-challenge", fields{"identifier": text, "challenge_type": "dns-01"})
	o.await(t, stateAwaiting)
	noWrites(t, s.primary, vaults)
	o.fulfill(t, files)
	o.await(t, stateCompleted)
	s.verified(t, o.read(t, o.path()+"/fetch-cert"), files, text, vaults)
	left := awaitProofs(t, s.primary.Addr, bindZone, domain, 1)
	if len(left["_acme-challenge."+text]) != 1 {
		t.Errorf("the record that is not Vault's is to stay, not %v", left)
	}
}

// vanished holds that an order ends whose provider was deleted before it had written anything.
func (s dnsSite) vanished(t *testing.T) {
	domain := newDomain(bindZone)
	files := "files." + domain
	insert(t, s.primary, bindZone, files+". 5 IN A 127.0.0.1")
	label := "rfc2136/" + s.updater(t, s.primary, "vaults."+domain, nil)
	o := s.orderFor(t, s.roleFor(t, domain, nil), files, "vaults."+domain)
	o.await(t, stateAwaiting)
	s.must(t, http.MethodDelete, "config/dns/"+label, nil)
	o.fulfill(t, files)
	s.endsWith(t, o, label, "vaults."+domain)
	noWrites(t, s.primary, domain)
}

// withoutDNS holds that DNS is not touched for a role that does not allow dns-01.
func (s dnsSite) withoutDNS(t *testing.T) {
	domain := newDomain(bindZone)
	insert(t, s.primary, bindZone, domain+". 5 IN A 127.0.0.1")
	s.updater(t, s.primary, domain, nil)
	o := s.orderFor(t, s.roleFor(t, domain, fields{"allowed_challenge_types": "http-01"}), domain)
	o.complete(t)
	noWrites(t, s.primary, domain)
}
