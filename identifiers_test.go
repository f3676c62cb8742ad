package pkiexternalca

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// forLoopback is a role for the addresses of this machine, besides names.
var forLoopback = fields{"allowed_ip_ranges": []string{"127.0.0.0/8", "::1/128"}}

// TestAddresses: addresses are proven for real, by either challenge that can,
// next to a name.
func TestAddresses(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(forLoopback)
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			t.Parallel()
			m := m.in(t)
			wish := []string{"127.0.0.1", challenge + ".example.com"}
			if ca.IPv6 {
				wish = append(wish, "0:0:0:0:0:0:0:1")
			}
			id := m.order(fields{"identifiers": wish})
			status := m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
			challenges := status["challenges"].(fields)
			for _, name := range wish {
				if challenges[name] == nil {
					t.Errorf("no challenges are shown for %q, exactly as requested: %v", name, challenges)
				}
				spelling := strings.Replace(name, "0:0:0:0:0:0:0:1", "::1", 1) // for whoever answers
				m.fulfill(ca, id, spelling, challenge)
			}
			m.awaitStatus("web", id, "completed")
			leaf := verified(t, ca, m.read("role/web/order/"+id+"/fetch-cert", nil))
			if len(leaf.IPAddresses) != len(wish)-1 || !leaf.IPAddresses[0].Equal(net.IPv4(127, 0, 0, 1)) || len(leaf.DNSNames) != 1 {
				t.Errorf("the certificate is for %v and %v, want %q", leaf.IPAddresses, leaf.DNSNames, wish)
			}
			if cn := leaf.Subject.CommonName; net.ParseIP(cn) != nil {
				t.Errorf("the common name is %q", cn)
			}
		})
	}
}

// TestAddressesAreRefusedTogether: one answer tells of every identifier that
// cannot be had, and why.
func TestAddressesAreRefusedTogether(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	ranges := fields{"allowed_ip_ranges": "192.0.2.0/25,2001:db8::/32"}
	for _, row := range []struct {
		reason string
		role   fields
		wish   string
		words  []string
	}{
		{"no range, no address", nil, "192.0.2.1", []string{"192.0.2.1", "no range of allowed_ip_ranges holds it"}},
		{
			"names and addresses in one answer", ranges, "192.0.2.128,www.example.org,2001:db9::1,192.0.2.1",
			[]string{`"192.0.2.128": no range`, `"2001:db9::1": no range`, `"www.example.org": no entry`},
		},
		{"a range of IPv4 holds no IPv6", fields{"allowed_ip_ranges": "0.0.0.0/0"}, "2001:db8::1", []string{"2001:db8::1"}},
		{
			"an address has no record in DNS", with(ranges, fields{"allowed_challenge_types": "dns-01"}), "192.0.2.1,2001:db8::1",
			[]string{"192.0.2.1, 2001:db8::1 can be proven by http-01 or tls-alpn-01 only", "allowed_challenge_types"},
		},
		{
			"a wildcard and an address that nobody may have", with(ranges, fields{"allowed_challenge_types": "http-01"}), "*.example.com,198.51.100.1",
			[]string{`"198.51.100.1": no range`, "*.example.com can be proven by dns-01 only"},
		},
		{"brackets, a zone, an IPv4 address in disguise", ranges, "[2001:db8::1],fe80::1%eth0,::ffff:192.0.2.1", []string{"without brackets", "one machine", "write 192.0.2.1"}},
		{"a port", ranges, "192.0.2.1:443", []string{"192.0.2.1:443", "port"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m := m.in(t)
			m.delete("role/web", nil)
			m.withRole(row.role)
			m.refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, fields{"identifiers": row.wish}, row.words...)
		})
	}
	m.leavesNoOrder(ca)
}

// TestRangesOfARole: a range is kept as it is written, and one that would hold
// something else than it says is refused.
func TestRangesOfARole(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(fields{"allowed_ip_ranges": "2001:db8::/32, 192.0.2.0/24"})
	if got := m.read("role/web", nil)["allowed_ip_ranges"].([]string); !slices.Equal(got, []string{"2001:db8::/32", "192.0.2.0/24"}) {
		t.Errorf("the ranges are %q", got)
	}
	m.write("role/web", fields{"csr_generate_key_type": "ec-384"})
	if got := m.read("role/web", nil)["allowed_ip_ranges"].([]string); len(got) != 2 {
		t.Errorf("an update of something else has left the ranges %q", got)
	}
	for _, row := range []struct {
		body fields
		word string
	}{
		{fields{"allowed_ip_ranges": "192.0.2.1"}, "192.0.2.1/32"},
		{fields{"allowed_ip_ranges": "192.0.2.1/24,2001:db8::1/64"}, "2001:db8::/64"},
		{fields{"allowed_ip_ranges": "{{identity.entity.name}}"}, "allowed_ip_ranges"},
		{fields{"allowed_domains": "192.0.2.1"}, "addresses go into allowed_ip_ranges"},
	} {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web", row.body, row.word)
	}
}

// TestAddressWithDNSChallenge: a CA that offers what cannot be is not followed.
func TestAddressWithDNSChallenge(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(fields{"allowed_ip_ranges": "192.0.2.0/24"})
	id := m.order(fields{"identifiers": "192.0.2.1"})
	status := m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	for _, shown := range status["challenges"].(fields)["192.0.2.1"].([]any) {
		if shown.(fields)["challenge_type"] == "dns-01" {
			t.Error("dns-01 is shown for an address")
		}
	}
	challenge := fields{"identifier": "192.0.2.1", "challenge_type": "dns-01"}
	m.refused(http.StatusBadRequest, logical.ReadOperation, "role/web/order/"+id+"/challenge", challenge, "challenge_type", "no IP address")
	m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web/order/"+id+"/fulfilled-challenge", challenge, "challenge_type", "no IP address")
}

// TestAddressesOfACSR: what is a name and what an address is told by its type, and
// every one of them has to be allowed.
func TestAddressesOfACSR(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(fields{"allowed_ip_ranges": "192.0.2.0/24,2001:db8::/32"})
	key := newKey(t)
	names, v4, v6 := []string{"www.example.com"}, net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")
	id, _ := m.obtain(fields{"csr": requestPEM(t, key, request509{
		Subject: pkix.Name{CommonName: "192.0.2.1"}, DNSNames: names, IPAddresses: []net.IP{v4, v6},
	})})
	if got := m.read("lookup/order/"+id, nil)["identifiers"].([]string); !slices.Equal(got, []string{"www.example.com", "192.0.2.1", "2001:db8::1"}) {
		t.Errorf("the identifiers are %q", got)
	}
	placed := ca.Count(acmetest.NewOrder)
	for _, row := range []struct {
		reason string
		wish   request509
		words  []string
	}{
		{"an address that is not allowed", request509{DNSNames: names, IPAddresses: []net.IP{net.IPv4(198, 51, 100, 1)}}, []string{"198.51.100.1", "allowed_ip_ranges"}},
		{"an address that calls itself a name", request509{DNSNames: []string{"192.0.2.1"}}, []string{"192.0.2.1", "an IP address is not a DNS name"}},
		{"an address as common name alone", request509{DNSNames: names, Subject: pkix.Name{CommonName: "192.0.2.1"}}, []string{"common name", "IP address"}},
		{"an IPv4 address in sixteen bytes", request509{ExtraExtensions: []pkix.Extension{mapped(t)}}, []string{"write 192.0.2.1"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, fields{"csr": requestPEM(t, key, row.wish)}, row.words...)
		})
	}
	if n := ca.Count(acmetest.NewOrder); n != placed {
		t.Errorf("the CA was asked %d times more", n-placed)
	}
}

// mapped is a subject alternative name that is an IPv4 address in the form of an
// IPv6 address.
func mapped(t *testing.T) pkix.Extension {
	t.Helper()
	names, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 7, Bytes: net.ParseIP("::ffff:192.0.2.1").To16()}})
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: names}
}

// TestAddressesAndIdentities: no address belongs to anybody, and what was ordered
// with a name of somebody's does.
func TestAddressesAndIdentities(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t, known(&logical.Entity{ID: "alice", Name: "alice"}, &logical.Entity{ID: "bob", Name: "bob"}))
	m.withRole(fields{"allowed_domains": "{{identity.entity.name}}.example.com", "allowed_ip_ranges": "192.0.2.0/24"})
	alone, _ := m.as("alice").obtain(fields{"identifiers": "192.0.2.1"})
	mixed, _ := m.as("alice").obtain(fields{"identifiers": "192.0.2.1,alice.example.com"})
	bob := m.as("bob")
	bob.read("role/web/order/"+alone+"/fetch-cert", nil)
	bob.read("role/web/cached", fields{"identifiers": "192.0.2.1"})
	bob.refused(http.StatusForbidden, logical.ReadOperation, "role/web/order/"+mixed+"/fetch-cert", nil, "alice.example.com")
	bob.refused(http.StatusForbidden, logical.ReadOperation, "role/web/cached", fields{"identifiers": "alice.example.com,192.0.2.1"}, "alice.example.com")
	m.write("role/web", fields{"allowed_ip_ranges": []string{}})
	bob.refused(http.StatusForbidden, logical.ReadOperation, "role/web/cached", fields{"identifiers": "192.0.2.1"}, "allowed_ip_ranges")
}
