package acceptance

import (
	"strings"
	"testing"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// TestProfilesAndChains types what the document about them does, at a CA with two roots.
func TestProfilesAndChains(t *testing.T) {
	t.Parallel()
	s := newSite(t, testbed.PebbleOptions{Env: []string{"PEBBLE_ALTERNATE_ROOTS=1"}})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.vault(t, "read", "-field=profiles", mount+"/config/acme-account/pebble"); !strings.Contains(got, "default") {
		t.Errorf("the account shows the profiles %s", got)
	}
	for number := range 2 {
		root, err := s.Pebble.RootNumber(t.Context(), number)
		if err != nil {
			t.Fatal(err)
		}
		preferred, err := testbed.ParseCertificate(root)
		if err != nil {
			t.Fatal(err)
		}
		s.checkChain(t, preferred.Subject.CommonName, true)
	}
	s.checkChain(t, "DST Root CA X3", false)
	role, domain := s.newRole(t, nil)
	s.vault(t, "write", mount+"/role/"+role, "profile=shortlived")
	s.call(t, "POST", "role/"+role+"/new-order", fields{"identifiers": domain}).expect(t, 400, "no profile", "shortlived", "default")
}

// checkChain orders a certificate with a preferred chain, and looks at what came of it.
func (s site) checkChain(t *testing.T, preferred string, there bool) {
	t.Helper()
	role, domain := s.newRole(t, nil)
	s.vault(t, "write", mount+"/role/"+role, "preferred_chain="+preferred)
	o, cert := s.issue(t, role, domain)
	chain := cert.texts(t, "ca_chain")
	last, err := testbed.ParseCertificate(chain[len(chain)-1])
	if err != nil {
		t.Fatal(err)
	}
	note := s.vault(t, "read", "-field=note", mount+"/lookup/order/"+o.id)
	if (last.Issuer.CommonName == preferred) != there || (note == "") != there {
		t.Errorf("wanted %q: the chain ends below %q, and the note is %q", preferred, last.Issuer.CommonName, note)
	}
}
