package pkiexternalca

import (
	"crypto/ed25519"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// ending is something that a CA does which an order cannot get over: it ends, and
// says what whoever ordered it needs to know.
type ending struct {
	section string // of RFC 8555, unless it says another
	name    string
	script  func(*acmetest.ScriptServer)
	state   string
	words   []string
}

func answers(at acmetest.Resource, h acmetest.Handler) func(*acmetest.ScriptServer) {
	return func(ca *acmetest.ScriptServer) { ca.On(at, h) }
}

func edits(at acmetest.Resource, name string, value any) func(*acmetest.ScriptServer) {
	return func(ca *acmetest.ScriptServer) { ca.On(at, edit(name, value)(ca)) }
}

func certifies(change func(*x509.Certificate)) func(*acmetest.ScriptServer) {
	return func(ca *acmetest.ScriptServer) { ca.Certify(change) }
}

var subproblems = fields{
	"type": acme.Namespace + "rejectedIdentifier", "detail": "not these names",
	"subproblems": []any{
		fields{"type": acme.Namespace + "caa", "detail": "CAA forbids it", "identifier": fields{"type": "dns", "value": "www.example.com"}},
		fields{"type": acme.Namespace + "rejectedIdentifier", "detail": "blocked", "identifier": fields{"type": "dns", "value": "b.example.com"}},
	},
}

var endings = []ending{
	{
		"6.7.1", "every name has a reason of its own", answers(acmetest.NewOrder, acmetest.JSON(http.StatusForbidden, subproblems)),
		"error",
		[]string{"not these names", `"www.example.com": CAA forbids it`, `"b.example.com": blocked`},
	},
	{
		"7.3.3", "terms of service that a human has to accept", answers(acmetest.NewOrder, acmetest.JSON(http.StatusForbidden, fields{
			"type": acme.UserActionRequired, "detail": "the terms have changed", "instance": "https://ca.example/terms",
		})), "error", []string{"userActionRequired", "the terms have changed", "https://ca.example/terms"},
	},
	{
		"6.6", "names that are paused until a human acts", answers(acmetest.NewOrder, acmetest.Problem(http.StatusTooManyRequests, acme.RateLimited,
			"paused: https://ca.example/sfe/v1/unpause?jwt=x")), "error", []string{"rateLimited", "/sfe/v1/unpause"},
	},
	{
		"7.3.6", "the account was deactivated", answers(acmetest.NewOrder, acmetest.Problem(http.StatusUnauthorized, acme.Unauthorized, "the account is deactivated")),
		"error",
		[]string{"unauthorized", "deactivated"},
	},
	{
		"7.3.1", "the CA has lost its memory", answers(acmetest.NewOrder, acmetest.Problem(http.StatusBadRequest, acme.AccountDoesNotExist, "who?")),
		"error",
		[]string{"accountDoesNotExist", "who?"},
	},
	{
		"7.4", "other names than those asked for", edits(acmetest.NewOrder, "identifiers", []any{fields{"type": "dns", "value": "evil.example"}}),
		"error",
		[]string{"identifiers", "evil.example"},
	},
	{"7.1.6", "a status that nobody knows", edits(acmetest.Order, "status", "frozen"), "error", []string{"frozen"}},
	{"7.1.6", "invalid without a word", edits(acmetest.Order, "status", "invalid"), "error", []string{"invalid", "no reason"}},
	{
		"7.1.6", "an authorization that was revoked", edits(acmetest.Authorization, "status", "revoked"),
		"error",
		[]string{"www.example.com", "revoked"},
	},
	{
		"7.1.4", "challenges that nobody can fulfil", edits(acmetest.Authorization, "challenges", []any{unknownChallenge}),
		"error",
		[]string{"www.example.com", "dns-persist-01"},
	},
	{"7.1.3", "the order has expired and is gone", answers(acmetest.Order, acmetest.Problem(http.StatusNotFound, acme.Malformed, "no such order")), "expired", []string{"no such order"}},
	{"7.1.3", "an authorization has expired and is gone", answers(acmetest.Authorization, acmetest.Problem(http.StatusGone, acme.Malformed, "no such authorization")), "expired", []string{"no such authorization"}},
	{"7.5.1", "a challenge is refused", answers(acmetest.Challenge, acmetest.Problem(http.StatusBadRequest, acme.Malformed, "not now")), "error", []string{"not now", "www.example.com"}},
	{
		"8", "the CA cannot see the challenge", func(ca *acmetest.ScriptServer) {
			ca.Judge(func(acme.Identifier, acme.ChallengeType) *acme.Problem {
				return &acme.Problem{Type: acme.Namespace + "dns", Detail: "NXDOMAIN"}
			})
		}, "error", []string{"urn:ietf:params:acme:error:dns", "NXDOMAIN", "www.example.com", "http-01"},
	},
	{"7.4", "a CSR that the CA does not like at all", answers(acmetest.Finalize, acmetest.Problem(http.StatusBadRequest, acme.BadCSR, "never")), "error", []string{"badCSR", "never"}},
	{"7.4", "an order of somebody else's, valid at once", func(ca *acmetest.ScriptServer) {
		ca.On(acmetest.NewOrder, ca.Edit(func(document map[string]any, _ http.Header) {
			document["status"], document["certificate"] = "valid", "/certificate/1"
		}))
	}, "error", []string{"valid", "not ours"}},
	{"7.4.2", "a certificate for another key", certifies(func(c *x509.Certificate) { c.PublicKey = ed25519.PublicKey(make([]byte, 32)) }), "error", []string{"another key"}},
	{"7.4.2", "a certificate without the name", certifies(func(c *x509.Certificate) { c.DNSNames = []string{"evil.example"} }), "error", []string{"does not name"}},
	{"7.4.2", "a certificate that is over", certifies(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "error", []string{"expired"}},
}

// TestEndings: the order ends with words, not with a spin, and what is left of it
// blocks nobody.
func TestEndings(t *testing.T) {
	t.Parallel()
	cas := newCrowd(t)
	defer cas.wait()
	for _, row := range endings {
		cas.run("RFC 8555 "+row.section+": "+row.name, func(t *testing.T) {
			m, ca := withFakeCA(t)
			m.withRole(nil)
			row.script(ca)
			id := m.order(fields{"identifiers": "www.example.com"})
			m.report(id)
			var status fields
			eventually(t, "the order to end", func() bool {
				status = m.read("role/web/order/"+id+"/status", nil)
				return status["order_status"] == row.state
			})
			for _, word := range row.words {
				if !strings.Contains(status["last_error"].(string), word) {
					t.Errorf("last_error %q does not say %q", status["last_error"], word)
				}
			}
			if status["next_work_date"] != "0001-01-01T00:00:00Z" {
				t.Errorf("next_work_date of an order that is over is %v", status["next_work_date"])
			}
			m.refused(http.StatusConflict, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, row.state, row.words[0])
			m.refused(http.StatusNotFound, logical.ReadOperation, cached, fields{"identifiers": "www.example.com"})
			eventually(t, "the mark of the order to go", func() bool { return len(storedBelow(t, m.storage, active.Prefix)) == 0 })
			m.delete("role/web", nil)
		})
	}
}

// TestForeignOrderInTheCSRWorkflow: an order that is valid at once may be that of
// the same request, or of another. The certificate's key tells (RFC 8555 §7.4).
func TestForeignOrderInTheCSRWorkflow(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.ReuseOrders()
	csr := requestPEM(t, newKey(t), request509{DNSNames: []string{"www.example.com"}})
	_, first := m.obtain(fields{"csr": csr})
	_, again := m.obtain(fields{"csr": csr})
	if first["serial_number"] != again["serial_number"] {
		t.Error("the CA made two certificates for one request")
	}
	other := requestPEM(t, newKey(t), request509{DNSNames: []string{"www.example.com"}})
	id := m.order(fields{"csr": other})
	eventually(t, "the order to end", func() bool { return m.read("role/web/order/"+id+"/status", nil)["order_status"] == "error" })
	m.refused(http.StatusConflict, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, "another key")
}

// TestHostileTokens: a token becomes part of a file's path, so only base64url is
// one (RFC 8555 §8.1).
func TestHostileTokens(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.On(acmetest.Authorization, ca.Edit(func(document map[string]any, _ http.Header) {
		for _, c := range document["challenges"].([]any) {
			if c := c.(map[string]any); c["type"] == "http-01" {
				c["token"] = "../../../etc/cron.d/x"
			}
		}
	}))
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	resp, status, problem := m.send(logical.ReadOperation, "role/web/order/"+id+"/challenge", fields{"identifier": "www.example.com", "challenge_type": "http-01"})
	if text := asJSON(t, resp) + problem; strings.Contains(text, "cron") {
		t.Errorf("status %d: a path is shown as a token: %s", status, text)
	}
	if dns := m.read("role/web/order/"+id+"/challenge", fields{"identifier": "www.example.com", "challenge_type": "dns-01"}); dns["challenge_token"] == "" {
		t.Errorf("the other challenge is %v", dns)
	}
}
