package acceptance

import (
	"slices"
	"strings"
	"testing"
)

func (s dnsSite) wildcardAndApex(t *testing.T) {
	domain := newDomain(bindZone)
	s.updater(t, s.primary, domain, nil)
	role := s.roleFor(t, domain, nil)
	o := s.orderFor(t, role, "*."+domain, domain)
	status := o.await(t, stateCompleted) // which nobody has done anything for
	s.checkAutomatic(t, status, "*."+domain, domain)
	s.verified(t, o.read(t, o.path()+"/fetch-cert"), "*."+domain, domain)
	noProofs(t, s.primary.Addr, bindZone, domain)
	added := slices.DeleteFunc(writes(t, s.primary, domain), func(line string) bool { return !strings.Contains(line, "adding an RR") })
	if len(added) != 2 {
		t.Errorf("one record was to be written for each identifier, not\n%s", strings.Join(added, "\n"))
	}
}

// otherScripts holds that names in any script are proven under their A-labels.
func (s dnsSite) otherScripts(t *testing.T) {
	domain := newDomain(bindZone)
	s.updater(t, s.primary, domain, fields{"identifiers": "*.bücher." + domain + "."})
	o := s.orderFor(t, s.roleFor(t, domain, nil), "*.Straße.bücher."+domain)
	o.await(t, stateCompleted)
	s.verified(t, o.read(t, o.path()+"/fetch-cert"), "*.xn--strae-oqa.xn--bcher-kva."+domain)
	checkWriter(t, s.primary, "_acme-challenge.xn--strae-oqa.xn--bcher-kva."+domain, s.primary.Keys["hmac-sha256"])
	noProofs(t, s.primary.Addr, bindZone, domain)
}

// checkAutomatic checks that only the challenges that Vault does not fulfil are shown as somebody's work.
func (s dnsSite) checkAutomatic(t *testing.T, status fields, identifiers ...string) {
	t.Helper()
	for _, identifier := range identifiers {
		for _, each := range status.object(t, "challenges")[identifier].([]any) {
			c := fields(each.(map[string]any))
			want := "true"
			if c.text(t, "challenge_type") == "dns-01" {
				want = "false"
			}
			if got := c.text(t, "requires_manual_fulfillment"); got != want {
				t.Errorf("%s by %s: requires_manual_fulfillment is %s, want %s", identifier, c["challenge_type"], got, want)
			}
		}
	}
}

func (s dnsSite) everyAlgorithm(t *testing.T) {
	for algorithm, key := range s.primary.Keys {
		domain := newDomain(bindZone)
		s.updater(t, s.primary, domain, signedBy(s.primary, key))
		s.orderFor(t, s.roleFor(t, domain, nil), domain).await(t, stateCompleted)
		noProofs(t, s.primary.Addr, bindZone, domain)
		for _, line := range writes(t, s.primary, domain) {
			if !strings.Contains(line, "/key "+key.Name+":") {
				t.Errorf("%s: not signed with its key: %s", algorithm, line)
			}
		}
	}
}

// sharedName orders one name with several roles of two accounts. All values have to be there at the same time,
// which the stale server sees to: no order goes on before that has caught up.
func (s dnsSite) sharedName(t *testing.T) {
	domain := newDomain(lateZone)
	record := "_acme-challenge." + domain
	insert(t, s.late, lateZone, record+`. 5 IN TXT "somebody else's"`)
	s.updater(t, s.late, domain, nil)
	second := unique()
	s.write(t, "config/acme-account/"+second, accountBody(s.site, nil))
	ofSecond := fields{"acme_account_name": second}
	orders := []order{
		s.orderFor(t, s.roleFor(t, domain, nil), domain),
		s.orderFor(t, s.roleFor(t, domain, nil), domain, "*."+domain),
		s.orderFor(t, s.roleFor(t, domain, ofSecond), domain),
		s.orderFor(t, s.roleFor(t, domain, ofSecond), "*."+domain),
	}
	const values = 1 + 5 // somebody else's, and one for each identifier of each order
	if found := awaitProofs(t, s.late.Addr, lateZone, domain, values); len(found[record]) != values {
		t.Errorf("not all values are at one name: %v", found)
	}
	s.catchUp(t, domain)
	for _, o := range orders {
		o.await(t, stateCompleted)
	}
	left := awaitProofs(t, s.late.Addr, lateZone, domain, 1)
	if !slices.Equal(left[record], []string{"somebody else's"}) {
		t.Errorf("what is left is %v", left)
	}
}
