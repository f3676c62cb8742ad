package pkiexternalca

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/letsencrypt/pebble/v2/ca"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// offers makes the fake CA advertise profiles.
func offers(authority *acmetest.ScriptServer, profiles fields) {
	authority.On(acmetest.Directory, authority.Edit(func(directory map[string]any, _ http.Header) {
		directory["meta"] = fields{"profiles": profiles}
	}))
}

// TestProfile: the CA makes what the role asks it for.
func TestProfile(t *testing.T) {
	t.Parallel()
	const day = 24 * 60 * 60
	pebble := acmetest.Pebble(t, acmetest.AlwaysValid(), acmetest.Profiles(map[string]ca.Profile{
		"classic":    {Description: "ninety days", ValidityPeriod: 90 * day},
		"shortlived": {Description: "six days", ValidityPeriod: 6 * day},
	}))
	m := newMount(t)
	m.withAccount(pebble.DirectoryURL, pebble.TrustedCA)
	want := fields{"classic": "ninety days", "shortlived": "six days"}
	if got := m.read("config/acme-account/ca", nil)["profiles"]; !sameJSON(t, got, want) {
		t.Errorf("the account shows the profiles %v, want %v", got, want)
	}
	for profile, days := range map[string]float64{"shortlived": 6, "classic": 90} {
		m.withRole(fields{"profile": profile})
		id, certificate := m.obtain(fields{"identifiers": profile + ".example.com"})
		leaf := parseCertificate(t, certificate["certificate"].(string))
		if got := leaf.NotAfter.Sub(leaf.NotBefore).Hours() / 24; got < days-1 || got > days+1 {
			t.Errorf("the certificate of the profile %s is valid for %.1f days, want %.0f", profile, got, days)
		}
		if got := m.read("lookup/order/"+id, nil)["profile"]; got != profile {
			t.Errorf("the order shows the profile %v, want %s", got, profile)
		}
	}
}

// TestProfileIsLeftOut: a CA that knows no profiles must not see the member.
func TestProfileIsLeftOut(t *testing.T) {
	t.Parallel()
	m, authority := withFakeCA(t)
	m.withRole(nil)
	m.obtain(fields{"identifiers": "www.example.com"})
	if sent := string(authority.Requests(acmetest.NewOrder)[0].Payload); strings.Contains(sent, "profile") {
		t.Errorf("newOrder was sent %s", sent)
	}
}

// TestProfileThatIsNotOffered is told before the CA is asked, with what there is.
func TestProfileThatIsNotOffered(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason  string
		offered fields
		names   []string
	}{
		{"another one", fields{"classic": "", "tlsserver": ""}, []string{`no profile "shortlived"`, "classic, tlsserver"}},
		{"none at all", fields{}, []string{"no profiles", "shortlived"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			authority := acmetest.Script(t)
			offers(authority, row.offered)
			m := newMount(t)
			m.withAccount(authority.DirectoryURL, authority.TrustedCA)
			resp, _, _ := m.send(logical.UpdateOperation, "role/web", fields{"acme_account_name": "ca", "allowed_domains": "www.example.com", "profile": "shortlived"})
			for _, name := range row.names {
				if resp == nil || len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], name) {
					t.Fatalf("the role is answered by %v, without a warning of %s", resp, name)
				}
			}
			m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web/new-order", fields{"identifiers": "www.example.com"}, append(row.names, "profile of role", "write the ACME account")...)
			if n := authority.Count(acmetest.NewOrder); n != 0 {
				t.Errorf("the CA was asked %d times", n)
			}
			offers(authority, fields{"shortlived": "new"})
			m.withAccount(authority.DirectoryURL, authority.TrustedCA)
			m.obtain(fields{"identifiers": "www.example.com"})
		})
	}
}

// TestProfileOfAnUnknownDirectory: of an account that was stored before profiles
// were known, nothing is. The order finds out, and still asks for nothing in vain.
func TestProfileOfAnUnknownDirectory(t *testing.T) {
	t.Parallel()
	m, authority := withFakeCA(t)
	acct, err := accounts.Get(t.Context(), m.storage, "ca")
	if err != nil {
		t.Fatal(err)
	}
	acct.Profiles = nil
	if err := accounts.Put(t.Context(), m.storage, "ca", acct); err != nil {
		t.Fatal(err)
	}
	m.withRole(fields{"profile": "shortlived"})
	id := m.order(fields{"identifiers": "www.example.com"})
	status := m.awaitStatus("web", id, "error")
	if said := status["last_error"].(string); !strings.Contains(said, "the CA offers no profiles") || authority.Count(acmetest.NewOrder) != 0 {
		t.Errorf("the order ended with %q after %d requests for it", said, authority.Count(acmetest.NewOrder))
	}
}

// TestProfileRefusedByTheCA: the CA has the last word, and its words are passed on.
func TestProfileRefusedByTheCA(t *testing.T) {
	t.Parallel()
	authority := acmetest.Script(t)
	offers(authority, fields{"shortlived": ""})
	authority.On(acmetest.NewOrder, acmetest.Problem(http.StatusBadRequest, acme.Namespace+"invalidProfile", "your account is not on the list"))
	m := newMount(t)
	m.withAccount(authority.DirectoryURL, authority.TrustedCA)
	m.withRole(fields{"profile": "shortlived"})
	status := m.awaitStatus("web", m.order(fields{"identifiers": "www.example.com"}), "error")
	if said := status["last_error"].(string); !strings.Contains(said, "invalidProfile") || !strings.Contains(said, "your account is not on the list") {
		t.Errorf("the order ended with %q", said)
	}
}

// TestAccountIsChangedWhileTheCAIsAway: what the CA offers is read when it can be,
// and is no condition.
func TestAccountIsChangedWhileTheCAIsAway(t *testing.T) {
	t.Parallel()
	authority := acmetest.Script(t)
	offers(authority, fields{"classic": "90 days"})
	m := newMount(t)
	m.withAccount(authority.DirectoryURL, authority.TrustedCA)
	authority.OnAll(acmetest.Cut())
	trusted := string(authority.TrustedCA) + string(selfSigned(t))
	resp, status, problem := m.send(logical.UpdateOperation, "config/acme-account/ca", fields{"trusted_ca": trusted})
	if status != http.StatusOK || len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], "could not be read") {
		t.Fatalf("status %d (%s), answer %v; want 200 and a warning", status, problem, resp)
	}
	if read := m.read("config/acme-account/ca", nil); read["trusted_ca"] != trusted || !sameJSON(t, read["profiles"], fields{"classic": "90 days"}) {
		t.Errorf("the account is %v", read)
	}
}

// TestPreferredChain chooses among the chains that Pebble offers for a certificate.
func TestPreferredChain(t *testing.T) {
	t.Parallel()
	authority := acmetest.CA(t, acmetest.AlwaysValid(), acmetest.AlternateRoots(2), acmetest.ChainLength(2))
	m := newMount(t)
	m.withAccount(authority.DirectoryURL, authority.TrustedCA)
	for i := range authority.Issuer.GetNumberOfRootCerts() {
		root := authority.Issuer.GetRootCert(i).Cert.Subject.CommonName
		m.withRole(fields{"preferred_chain": root})
		id, certificate := m.obtain(fields{"identifiers": "www.example.com"})
		verified(t, authority, certificate)
		chain := certificate["ca_chain"].([]string)
		if last := parseCertificate(t, chain[len(chain)-1]); last.Issuer.CommonName != root {
			t.Errorf("the chain ends below %q, want %q", last.Issuer.CommonName, root)
		}
		if note := m.read("lookup/order/"+id, nil)["note"]; note != "" {
			t.Errorf("the order has the note %v", note)
		}
	}
	m.withRole(fields{"preferred_chain": "DST Root CA X3"})
	id, certificate := m.obtain(fields{"identifiers": "www.example.com"})
	verified(t, authority, certificate)
	if note := m.read("role/web/order/"+id+"/status", nil)["note"].(string); !strings.Contains(note, `"DST Root CA X3"`) {
		t.Errorf("the order has the note %q, and should tell that the chain is not the preferred one", note)
	}
}

// TestProfileThatIsOfferedNoMore: what has been issued is served on.
func TestProfileThatIsOfferedNoMore(t *testing.T) {
	t.Parallel()
	authority := acmetest.Script(t)
	authority.PreAuthorize()
	offers(authority, fields{"shortlived": ""})
	m := newMount(t)
	m.withAccount(authority.DirectoryURL, authority.TrustedCA)
	m.withRole(fields{"profile": "shortlived"})
	m.obtain(fields{"identifiers": "www.example.com"})
	offers(authority, fields{})
	m.unmount()
	later := mountOn(t, m.storage) // which has not read the directory itself
	later.withAccount(authority.DirectoryURL, authority.TrustedCA)
	later.write("role/web/issue", fields{"identifiers": "www.example.com"})
	later.read("role/web/cached", fields{"identifiers": "www.example.com"})
	later.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web/issue", fields{"identifiers": "new.example.com"}, "no profiles")
}
