package pkiexternalca

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

const issue = "role/web/issue"

// patient is how long tests let a request wait: for as long as it may.
const patient = "30s"

// withWillingCA mounts the engine with a CA that wants no challenges.
func withWillingCA(t testing.TB, options ...option) (*mount, *acmetest.ScriptServer) {
	t.Helper()
	m, ca := withFakeCA(t, options...)
	ca.PreAuthorize()
	m.withRole(nil)
	return m, ca
}

// TestIssue: one call, one certificate; the next call gives the same.
func TestIssue(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	first := m.write(issue, fields{"identifiers": "b.example.com,A.example.com", "wait": patient})
	id := first["order_id"].(string)
	if first["cached"] != false {
		t.Error("a new certificate is said to have been there already")
	}
	m.holdsWhatTheCACertified(ca, id, "a.example.com,b.example.com")
	fetched := m.read("role/web/order/"+id+"/fetch-cert", nil)
	if want := with(fetched, fields{"order_id": id, "cached": false}); !sameJSON(t, withoutOutlook(first), want) {
		t.Errorf("the answer is %v, want that of fetch-cert with order_id and cached", first)
	}
	for _, name := range []string{"secret_id", "secret_id_ttl", "metadata"} {
		if _, found := first[name]; found {
			t.Errorf("the answer has %s, by which Vault Agent would schedule", name)
		}
	}
	again := m.write(issue, fields{"identifiers": "a.example.com,B.EXAMPLE.com."})
	if want := with(fetched, fields{"order_id": id, "cached": true}); !sameJSON(t, withoutOutlook(again), want) {
		t.Errorf("the second answer is %v, want the same certificate", again)
	}
	bundle := m.write(issue, fields{"identifiers": "a.example.com,b.example.com", "certificate_format": "pem_bundle"})
	if want := m.read("role/web/order/"+id+"/fetch-cert", fields{"certificate_format": "pem_bundle"}); bundle["certificate"] != want["certificate"] {
		t.Error("the format is not that which was asked for")
	}
	if n := ca.Count(acmetest.NewOrder); n != 1 {
		t.Errorf("the CA was asked for %d orders", n)
	}
}

// TestIssueIsChecked: what is wrong with a request is told before there is an
// order.
func TestIssueIsChecked(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	for _, row := range []struct {
		reason string
		body   fields
		words  []string
	}{
		{"nothing to certify", nil, []string{"identifiers or csr is required"}},
		{"two wishes", fields{"identifiers": "a.example.com", "csr": "x"}, []string{"both"}},
		{"a name that the role does not allow", fields{"identifiers": "a.example.org"}, []string{"a.example.org", "web"}},
		{"a name that is none", fields{"identifiers": "a b"}, []string{"a b"}},
		{"no CSR", fields{"csr": "x"}, []string{"csr"}},
		{"more patience than there is", fields{"identifiers": "a.example.com", "wait": 31}, []string{"wait", "30s"}},
		{"time that does not pass", fields{"identifiers": "a.example.com", "wait": -1}, []string{"wait"}},
		{"both measures", fields{"identifiers": "a.example.com", "min_validity_duration": 1, "min_validity_percentage": 1}, []string{"both"}},
		{"nearly all of a life: an order with every call", fields{"identifiers": "a.example.com", "min_validity_percentage": 91}, []string{"90"}},
		{"less than nothing", fields{"identifiers": "a.example.com", "min_validity_percentage": -1}, []string{"min_validity_percentage"}},
		{"no format", fields{"identifiers": "a.example.com", "certificate_format": "x"}, []string{"certificate_format"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, issue, row.body, row.words...)
		})
	}
	m.refused(http.StatusNotFound, logical.UpdateOperation, "role/none/issue", fields{"identifiers": "a.example.com"}, "none")
	m.refused(http.StatusMethodNotAllowed, logical.ReadOperation, issue, fields{"identifiers": "a.example.com"}, "POST", "vault write")
	m.leavesNoOrder(ca)
}

// TestIssueWithoutACertificate: each refusal says whose turn it is, and names the
// order.
func TestIssueWithoutACertificate(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		at     acmetest.Resource
		does   acmetest.Handler
		wait   int
		status int
		words  []string
	}{
		{"nobody wants to wait", acmetest.NewOrder, acmetest.Hang(), 0, http.StatusServiceUnavailable, []string{"not ready", "order_status=new retry_after=2)"}},
		{"the CA is slow", acmetest.Finalize, acmetest.Hang(), 1, http.StatusServiceUnavailable, []string{"not ready", "order_status=fetching-certificate retry_after="}},
		{
			"the CA is down and says for how long", acmetest.NewOrder,
			acmetest.With("Retry-After", "3600", acmetest.HTML(http.StatusServiceUnavailable, "maintenance")), 1,
			http.StatusServiceUnavailable,
			[]string{"maintenance", "retry_after=3"},
		},
		{"the CA refuses", acmetest.NewOrder, acmetest.Problem(http.StatusForbidden, "rejectedIdentifier", "not this one"), 30, http.StatusBadRequest, []string{"not this one", "order_status=error)"}},
		{
			"somebody has to prove the names", acmetest.NewOrder, nil, 30, http.StatusConflict,
			[]string{"a.example.com (http-01 or ", "*.example.com (dns-01)", "/challenge", "/fulfilled-challenge", "DNS provider", "order_status=awaiting-challenge-fulfillment)"},
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, ca := withFakeCA(t)
			if row.does != nil {
				ca.PreAuthorize()
			}
			m.withRole(nil)
			ca.On(row.at, row.does)
			words := append([]string{"(order_id="}, row.words...)
			m.refused(row.status, logical.UpdateOperation, issue, fields{"identifiers": "a.example.com,*.example.com", "wait": row.wait}, words...)
		})
	}
}

// TestIssueNamesFewOfMany: a hundred names that wait would fill a screen.
func TestIssueNamesFewOfMany(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.refused(http.StatusConflict, logical.UpdateOperation, issue, fields{"identifiers": numbered(100), "wait": patient}, "and 95 more")
}

// TestIssueAfterAFailure: whoever asks next does not cause an order at once, and
// is told why.
func TestIssueAfterAFailure(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	ca.On(acmetest.NewOrder, acmetest.Problem(http.StatusForbidden, "rejectedIdentifier", "not this one"))
	wish := fields{"identifiers": "a.example.com", "wait": patient}
	m.refused(http.StatusBadRequest, logical.UpdateOperation, issue, wish, "not this one")
	for range 10 {
		m.refused(http.StatusTooManyRequests, logical.UpdateOperation, issue, wish, "not this one", "retry_after=")
	}
	if n := ca.Count(acmetest.NewOrder); n != 1 {
		t.Errorf("the CA was asked %d times", n)
	}
	ca.On(acmetest.NewOrder, nil)
	m.write(issue, fields{"identifiers": "b.example.com", "wait": patient}) // others are not held up
	storage := m.storage
	m.unmount()
	later := mountOn(t, storage, clockAhead(5*time.Minute))
	if later.write(issue, wish)["cached"] != false {
		t.Error("minutes later there is no new certificate")
	}
}

// TestIssueForACSR: the key of the request decides, and the certificate is of use
// to nobody else.
func TestIssueForACSR(t *testing.T) {
	t.Parallel()
	m, ca := withWillingCA(t)
	key, names := newKey(t), []string{"a.example.com"}
	first := m.write(issue, fields{"csr": requestPEM(t, key, request509{DNSNames: names}), "wait": patient})
	if _, shown := first["private_key"]; shown {
		t.Error("the answer has a private key")
	}
	if leaf := parseCertificate(t, first["certificate"].(string)); !keys.Same(leaf.PublicKey, key.Public()) {
		t.Error("the certificate is for another key")
	}
	again := m.write(issue, fields{"csr": requestPEM(t, key, request509{DNSNames: names})}) // signed anew
	if again["cached"] != true || again["serial_number"] != first["serial_number"] {
		t.Error("the same key has another certificate")
	}
	other := m.write(issue, fields{"csr": requestPEM(t, newKey(t), request509{DNSNames: names}), "wait": patient})
	if other["cached"] != false || other["serial_number"] == first["serial_number"] {
		t.Error("another key has the same certificate")
	}
	m.refused(http.StatusNotFound, logical.ReadOperation, cached, fields{"identifiers": "a.example.com"}, "no certificate")
	ours := m.write(issue, fields{"identifiers": "a.example.com", "wait": patient})
	if ours["cached"] != false || ours["private_key"] == nil {
		t.Error("who brings no key has got somebody's certificate")
	}
	if n := ca.Count(acmetest.NewOrder); n != 3 {
		t.Errorf("the CA was asked for %d orders", n)
	}
}

// TestIssueFollowsTheRole: a certificate by old rules, or one that was revoked, is
// not the current one.
func TestIssueFollowsTheRole(t *testing.T) {
	t.Parallel()
	m, _ := withWillingCA(t)
	wish := fields{"identifiers": "a.example.com", "wait": patient}
	seen := []string{m.write(issue, wish)["order_id"].(string)}
	for _, change := range []func(){
		func() { m.write("role/web", fields{"csr_generate_key_type": "ec-384"}) },
		func() { m.write("role/web/order/"+seen[1]+"/revoke", nil) },
		func() { m.obtain(fields{"identifiers": "a.example.com"}) },
	} {
		change()
		got := m.write(issue, wish)
		seen = append(seen, got["order_id"].(string))
	}
	if slices.Contains(seen[:2], seen[2]) || seen[0] == seen[1] {
		t.Errorf("the certificates are of the orders %q", seen)
	}
	if got := m.write(issue, wish); got["cached"] != true || slices.Contains(seen[:3], got["order_id"].(string)) {
		t.Error("the certificate that was issued last, by new-order, is not the current one")
	}
	m.write("role/web", fields{"allowed_domains": "example.org"})
	m.refused(http.StatusBadRequest, logical.UpdateOperation, issue, wish, "a.example.com")
}

// TestIssueBelongsToIdentities: two entities share what both may have, and
// nothing else.
func TestIssueBelongsToIdentities(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t, known(&logical.Entity{ID: "alice", Name: "alice"}, &logical.Entity{ID: "bob", Name: "bob"}))
	ca.PreAuthorize()
	m.withRole(fields{"allowed_domains": "shared.example.com,{{identity.entity.name}}.users.example.com"})
	hers := fields{"identifiers": "alice.users.example.com", "wait": patient}
	first := m.as("alice").write(issue, hers)
	for _, who := range []string{"bob", ""} {
		m.as(who).refused(http.StatusBadRequest, logical.UpdateOperation, issue, hers, "alice.users.example.com")
	}
	if again := m.as("alice").write(issue, hers); again["serial_number"] != first["serial_number"] {
		t.Error("she has another certificate")
	}
	both := fields{"identifiers": "shared.example.com", "wait": patient}
	if a, b := m.as("alice").write(issue, both), m.as("bob").write(issue, both); a["private_key"] != b["private_key"] {
		t.Error("two entities do not share what both may have")
	}

	// What is hers is checked again when it is handed over.
	arrived, gate := make(chan struct{}), make(chan struct{})
	ca.On(acmetest.Finalize, func(w http.ResponseWriter, r *acmetest.Request) {
		close(arrived)
		<-gate
		ca.Default(w, r)
	})
	answered := make(chan string)
	go func() {
		_, _, problem := m.as("alice").send(logical.UpdateOperation, issue, fields{"identifiers": "x.alice.users.example.com", "wait": patient})
		answered <- problem
	}()
	<-arrived
	m.write("role/web", fields{"allowed_domains": "{{identity.entity.id}}-x.users.example.com"})
	close(gate)
	if problem := <-answered; !strings.Contains(problem, "not yours") {
		t.Errorf("a certificate whose names are hers no more is answered with: %s", problem)
	}
}
