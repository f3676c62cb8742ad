package pkiexternalca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// thumbprint computes RFC 7638 for a P-256 key from the definition.
func thumbprint(t *testing.T, key crypto.Signer) string {
	t.Helper()
	public, err := key.Public().(*ecdsa.PublicKey).Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	x, y := public[1:33], public[33:]
	text := fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, base64URL(x), base64URL(y))
	sum := sha256.Sum256([]byte(text))
	return base64URL(sum[:])
}

func base64URL(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// TestChallenge: what is shown is what RFC 8555 §8.1 and §8.4 define, computed
// here a second time.
func TestChallenge(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "www.example.com,*.example.com,Example.com."})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	account := thumbprint(t, m.accountKey("ca"))
	for _, row := range []struct {
		identifier, kind, record string
	}{
		{"www.example.com", "http-01", ""},
		{"WWW.EXAMPLE.COM", "http-01", ""}, // any spelling of the name
		{"www.example.com", "tls-alpn-01", ""},
		{"www.example.com", "dns-01", "_acme-challenge.www.example.com"},
		{"*.example.com", "dns-01", "_acme-challenge.example.com"},
		{"example.com", "dns-01", "_acme-challenge.example.com"},
		{"Example.com.", "dns-01", "_acme-challenge.example.com"}, // as requested
	} {
		for _, path := range []string{"challenge", "challenges"} {
			got := m.read("role/web/order/"+id+"/"+path, fields{"identifier": row.identifier, "challenge_type": row.kind})
			token, _ := got["challenge_token"].(string)
			want := fields{"challenge_token": token, "challenge_auth": token + "." + account, "challenge_status": "pending", "expires": got["expires"]}
			if row.kind == "dns-01" {
				digest := sha256.Sum256([]byte(token + "." + account))
				want["dns_record_name"], want["dns_record_value"] = row.record, base64URL(digest[:])
			}
			if token == "" || !sameJSON(t, got, want) {
				t.Errorf("%s %s %s is %v, want %v", path, row.identifier, row.kind, got, want)
			}
			if _, err := time.Parse(time.RFC3339, got["expires"].(string)); err != nil {
				t.Errorf("expires: %v", err)
			}
		}
	}
	apex := m.read("role/web/order/"+id+"/challenge", fields{"identifier": "example.com", "challenge_type": "dns-01"})
	star := m.read("role/web/order/"+id+"/challenge", fields{"identifier": "*.example.com", "challenge_type": "dns-01"})
	if apex["dns_record_value"] == star["dns_record_value"] {
		t.Error("a name and its wildcard share one record name and must have two values there")
	}
}

func TestChallengeIsChecked(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(fields{"allowed_challenge_types": "http-01,dns-01"})
	id := m.order(fields{"identifiers": "www.example.com,*.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	for _, row := range []struct {
		reason string
		body   fields
		words  []string
	}{
		{"no identifier", fields{"challenge_type": "http-01"}, []string{"identifier", "www.example.com, *.example.com"}},
		{"no type", fields{"identifier": "www.example.com"}, []string{"challenge_type", "http-01"}},
		{"no name", fields{"identifier": "www example", "challenge_type": "http-01"}, []string{"identifier"}},
		{"no challenge type", fields{"identifier": "www.example.com", "challenge_type": "http"}, []string{"challenge_type", "tls-alpn-01"}},
		{"a name of another order", fields{"identifier": "mail.example.com", "challenge_type": "http-01"}, []string{"mail.example.com", "not an identifier"}},
		{"the name below the wildcard", fields{"identifier": "example.com", "challenge_type": "dns-01"}, []string{"example.com", "not an identifier"}},
		{"not allowed by the role", fields{"identifier": "www.example.com", "challenge_type": "tls-alpn-01"}, []string{"tls-alpn-01", "not allowed"}},
		{"not offered by the CA (RFC 8555 §8.3)", fields{"identifier": "*.example.com", "challenge_type": "http-01"}, []string{"http-01", "not offered"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m, path := m.in(t), "role/web/order/"+id
			m.refused(http.StatusBadRequest, logical.ReadOperation, path+"/challenge", row.body, row.words...)
			m.refused(http.StatusBadRequest, logical.UpdateOperation, path+"/fulfilled-challenge", row.body, row.words...)
		})
	}
	if status := m.awaitStatus("web", id, "awaiting-challenge-fulfillment"); strings.Contains(asJSON(t, status), "processing") {
		t.Errorf("a refused report changed the order: %v", status)
	}
}

// TestChallengeBeforeTheCAHasShownIt is a conflict with the state, which says
// when to come back.
func TestChallengeBeforeTheCAHasShownIt(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	of := func(name string) fields { return fields{"identifier": name, "challenge_type": "http-01"} }
	ca.On(acmetest.NewOrder, acmetest.HTML(http.StatusServiceUnavailable, "maintenance"))
	id := m.order(fields{"identifiers": "a.example.com,b.example.com"})
	path := "role/web/order/" + id
	eventually(t, "the CA's answer to be seen", func() bool { return m.read(path+"/status", nil)["last_error"] != "" })
	m.refused(http.StatusConflict, logical.ReadOperation, path+"/challenge", of("a.example.com"), "new", "next work at")
	m.refused(http.StatusConflict, logical.UpdateOperation, path+"/fulfilled-challenge", of("a.example.com"), "new")

	down := acmetest.HTML(http.StatusServiceUnavailable, "maintenance")
	ca.On(acmetest.Authorization, ca.Sequence(nil, down, down, down))
	ca.On(acmetest.NewOrder, nil)
	hidden := "b.example.com" // unless that is the one which is read: they are read abreast
	eventually(t, "one of two authorizations to be read", func() bool {
		status := m.read(path+"/status", nil)
		if _, read := status["challenges"].(fields)[hidden]; read {
			hidden = "a.example.com"
		}
		return status["order_status"] == "submitted" && len(status["challenges"].(fields)) == 1
	})
	m.refused(http.StatusConflict, logical.ReadOperation, path+"/challenge", of(hidden), "submitted")
	ca.On(acmetest.Authorization, nil)
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	m.read(path+"/challenge", of(hidden))
}

// TestChallengeInEveryState: who put a challenge in place needs it again to take
// it away, whatever has become of the order.
func TestChallengeInEveryState(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.AlwaysValid())
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	of := fields{"identifier": "www.example.com", "challenge_type": "http-01"}
	first := m.read("role/web/order/"+id+"/challenge", of)
	m.write("role/web/order/"+id+"/fulfilled-challenge", of)
	for _, state := range []string{"completed", "revoked"} {
		m.awaitStatus("web", id, state)
		got := m.read("role/web/order/"+id+"/challenge", of)
		if got["challenge_auth"] != first["challenge_auth"] || got["challenge_status"] != "valid" {
			t.Errorf("of an order that is %s the challenge is %v, was %v", state, got, first)
		}
		m.write("role/web/order/"+id+"/revoke", nil)
	}
}

// TestFulfilledChallenge follows one order through its reports.
func TestFulfilledChallenge(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	defer release()
	ca.On(acmetest.Challenge, func(w http.ResponseWriter, r *acmetest.Request) {
		<-released
		ca.Default(w, r)
	})
	id := m.order(fields{"identifiers": "a.example.com,b.example.com"})
	path := "role/web/order/" + id + "/fulfilled-challenge"
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	report := func(name, kind string) fields { return fields{"identifier": name, "challenge_type": kind} }

	m.write(path, report("a.example.com", "http-01"))
	before := m.record(orders.Prefix + orderPath(order.ID(id)))
	m.write(path, report("a.example.com", "http-01")) // repeated
	if after := m.record(orders.Prefix + orderPath(order.ID(id))); after != before {
		t.Error("a report that says nothing new was stored, which a step that is being taken would have to be taken again for")
	}
	m.write(path, report("A.example.com", "dns-01")) // changed, until the CA is told
	if n := ca.Count(acmetest.Challenge); n > 0 {
		t.Errorf("an order half done was handed to the CA by %d requests", n)
	}
	m.write(path, report("b.example.com", "tls-alpn-01"))
	m.awaitStatus("web", id, "notify-acme-server-challenges-completed")
	m.write(path, report("a.example.com", "dns-01")) // repeated after the fact
	m.refused(http.StatusConflict, logical.UpdateOperation, path, report("a.example.com", "http-01"), "not waiting", "notify-acme-server-challenges-completed")
	release()
	status := m.awaitStatus("web", id, "completed")
	m.write(path, report("a.example.com", "dns-01")) // repeated, even now
	m.refused(http.StatusConflict, logical.UpdateOperation, path, report("a.example.com", "http-01"), "completed")
	if after := m.read("role/web/order/"+id+"/status", nil); !sameJSON(t, status, after) {
		t.Errorf("a late report changed %v to %v", status, after)
	}
	var told []string
	for _, r := range ca.Requests(acmetest.Challenge) {
		told = append(told, r.URL[strings.LastIndex(r.URL, "/")+1:])
	}
	slices.Sort(told) // they are told abreast
	if got := strings.Join(told, ","); got != "dns-01,tls-alpn-01" {
		t.Errorf("the CA was told of %s", got)
	}
}

// TestFailedValidation: the CA's reasons for every name reach the caller.
func TestFailedValidation(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.Judge(func(i acme.Identifier, _ acme.ChallengeType) *acme.Problem {
		return &acme.Problem{Type: acme.Namespace + "connection", Detail: "no route to " + i.Value}
	})
	id := m.order(fields{"identifiers": "a.example.com,b.example.com"})
	m.report(id)
	m.awaitStatus("web", id, "error")
	why := m.read("role/web/order/"+id+"/status", nil)["last_error"].(string)
	for _, want := range []string{"urn:ietf:params:acme:error:connection", "no route to a.example.com", `"a.example.com"`} {
		if !strings.Contains(why, want) {
			t.Errorf("last_error %q does not say %q", why, want)
		}
	}
	m.refused(http.StatusConflict, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, "error", "no route to a.example.com")
	challenge := m.read("role/web/order/"+id+"/challenge", fields{"identifier": "a.example.com", "challenge_type": m.reported(id, "a.example.com")})
	if challenge["challenge_status"] != "invalid" {
		t.Errorf("the challenge is %v", challenge["challenge_status"])
	}
}

// reported gives the challenge type that an order shows for a name; after an
// attempt that is the one that was attempted (RFC 8555 §7.1.4).
func (m *mount) reported(id, name string) string {
	m.t.Helper()
	var shown map[string][]struct {
		Type string `json:"challenge_type"`
	}
	if err := json.Unmarshal([]byte(asJSON(m.t, m.read("role/web/order/"+id+"/status", nil)["challenges"])), &shown); err != nil {
		m.t.Fatal(err)
	}
	if len(shown[name]) == 0 {
		m.t.Fatalf("no challenge is shown for %s: %v", name, shown)
	}
	return shown[name][0].Type
}
