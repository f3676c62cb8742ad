package acmeclient_test

import (
	"strings"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// Every kind of account key signs every kind of request, in the way that a CA
// which verifies them all accepts.
func TestIssueWithEveryKindOfAccountKey(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t, acmetest.Strict())
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	for _, kind := range keys.AccountKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			client := register(t, server, key(t, kind))
			name := string(kind) + ".example.com"
			chain := issue(t, ca, client, dnsNames(name), acme.HTTP01)
			verify(t, ca.Roots, chain.Certificates, name)
		})
	}
}

func TestIssueByEveryChallenge(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t, acmetest.Strict())
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	for name, test := range map[string]struct {
		by     acme.ChallengeType
		wish   acme.NewOrder
		verify []string
	}{
		"http-01, two names":                    {acme.HTTP01, dnsNames("a.example.com", "b.example.com"), []string{"a.example.com", "b.example.com"}},
		"tls-alpn-01":                           {acme.TLSALPN01, dnsNames("t.example.com"), []string{"t.example.com"}},
		"dns-01, wildcard and apex at one name": {acme.DNS01, dnsNames("*.example.net", "example.net"), []string{"x.example.net", "example.net"}},
		"an address (RFC 8738)":                 {acme.HTTP01, acme.NewOrder{Identifiers: []acme.Identifier{{Type: acme.IP, Value: "127.0.0.1"}}}, []string{"127.0.0.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chain := issue(t, ca, client, test.wish, test.by)
			verify(t, ca.Roots, chain.Certificates, test.verify...)
		})
	}
}

// A CA that refuses nine good nonces in ten is slow, and nothing else.
func TestIssueWhileNoncesAreRejected(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t, acmetest.RejectNonces(90))
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	chain := issue(t, ca, client, dnsNames("nonce.example.com"), acme.HTTP01)
	verify(t, ca.Roots, chain.Certificates, "nonce.example.com")
}

// One certificate for one name costs seven requests: newOrder, authorization,
// answer, order, finalize, order, certificate. Nonces come with the answers.
func TestRequestsPerCertificate(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t, acmetest.AlwaysValid())
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	client := register(t, server, key(t, keys.EC256))
	before, reads := server.Requests(), int64(0)
	placed, err := client.NewOrder(t.Context(), dnsNames("count.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	fulfil(t, ca, client, placed, acme.HTTP01)
	reads -= server.Requests()
	ready := await(t, client, placed.URL, acme.StatusReady)
	reads += server.Requests()
	if _, err := client.Finalize(t.Context(), ready.Finalize, csr(t, key(t, keys.EC256), dnsNames("count.example.com"))); err != nil {
		t.Fatal(err)
	}
	reads -= server.Requests()
	valid := await(t, client, placed.URL, acme.StatusValid)
	reads += server.Requests()
	if _, err := client.Certificate(t.Context(), valid.Certificate); err != nil {
		t.Fatal(err)
	}
	if got := server.Requests() - before - reads; got != 5 {
		t.Errorf("%d requests besides reading the order, want 5", got)
	}
}

func TestDirectoryOfPebble(t *testing.T) {
	t.Parallel()
	profiles := map[string]ca.Profile{"classic": {Description: "ninety days"}, "shortlived": {Description: "six days"}}
	ca := acmetest.Pebble(t, acmetest.Profiles(profiles), acmetest.RequireEAB(map[string]string{"kid-1": strings.Repeat("A", 43)}))
	about, err := dial(t, ca.DirectoryURL, ca.TrustedCA).Directory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !about.ExternalAccountRequired || !about.RenewalInfo || about.Profiles["shortlived"] != "six days" || about.CAAIdentities[0] != "ca.example" {
		t.Errorf("got %+v", about)
	}
}

func TestProfileIsPassedOn(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	wish := dnsNames("profile.example.com")
	wish.Profile = "no-such-profile"
	_, err := client.NewOrder(t.Context(), wish)
	if !acme.IsProblem(err, acme.Namespace+"invalidProfile") {
		t.Errorf("got %v", err)
	}
}

func TestAlternateChains(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t, acmetest.AlternateRoots(2), acmetest.ChainLength(3))
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	chain := issue(t, ca, client, dnsNames("chains.example.com"), acme.HTTP01)
	if len(chain.Certificates) != 4 || len(chain.Alternates) != 2 {
		t.Fatalf("%d certificates and alternates %q, want 4 and 2", len(chain.Certificates), chain.Alternates)
	}
	leaf := verify(t, ca.Roots, chain.Certificates, "chains.example.com")
	for _, url := range chain.Alternates {
		other, err := client.Certificate(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if !verify(t, ca.Roots, other.Certificates, "chains.example.com").Equal(leaf) {
			t.Errorf("%s has another leaf", url)
		}
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	for _, reason := range []int{0, 4} {
		leaf := issue(t, ca, client, dnsNames("revoke.example.com"), acme.HTTP01).Certificates[0]
		if err := client.Revoke(t.Context(), leaf, reason); err != nil {
			t.Errorf("reason %d: %v", reason, err)
		}
		if err := client.Revoke(t.Context(), leaf, reason); err == nil {
			t.Errorf("reason %d: revoked twice", reason)
		}
	}
	leaf := issue(t, ca, client, dnsNames("revoke.example.com"), acme.HTTP01).Certificates[0]
	if err := client.Revoke(t.Context(), leaf, 7); !acme.IsProblem(err, acme.Namespace+"badRevocationReason") {
		t.Errorf("a reason that does not exist: %v", err)
	}
}

// A failed challenge tells why, in the order as in the challenge.
func TestFailedChallenge(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	placed, err := client.NewOrder(t.Context(), dnsNames("fails.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	authorization, err := client.Authorization(t.Context(), placed.Authorizations[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, challenge := range authorization.Challenges {
		if challenge.Type == acme.HTTP01 {
			ca.Set(challenge.Token, "something else")
			if err := client.Answer(t.Context(), challenge.URL); err != nil {
				t.Fatal(err)
			}
		}
	}
	for authorization.Status == acme.StatusPending {
		if authorization, err = client.Authorization(t.Context(), authorization.URL); err != nil {
			t.Fatal(err)
		}
	}
	order, err := client.Order(t.Context(), placed.URL)
	if err != nil {
		t.Fatal(err)
	}
	if order.Status != acme.StatusInvalid || order.Error == nil || order.Error.Type != acme.Unauthorized {
		t.Errorf("order %s, error %v", order.Status, order.Error)
	}
	if c := authorization.Challenges[0]; c.Error == nil || !strings.Contains(c.Error.Detail, "something else") {
		t.Errorf("challenge %+v", c)
	}
}
