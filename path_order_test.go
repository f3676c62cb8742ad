package pkiexternalca

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

const newOrder = "role/web/new-order"

// numbered gives n names below example.com.
func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("n%d.example.com", i)
	}
	return names
}

func TestNewOrderIsChecked(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	csr := requestPEM(t, newKey(t), request509{DNSNames: []string{"www.example.com"}})
	for _, row := range []struct {
		reason string
		body   fields
		names  []string
	}{
		{"nothing", nil, []string{"identifiers or csr"}},
		{"no names", fields{"identifiers": []string{}}, []string{"identifiers or csr"}},
		{"two wishes at once", fields{"identifiers": "www.example.com", "csr": csr}, []string{"identifiers and csr"}},
		{"an empty name", fields{"identifiers": []string{"www.example.com", ""}}, []string{"identifiers", `""`}},
		{"a space", fields{"identifiers": []string{"www.example.com", "a b.example.com"}}, []string{"identifiers", "a b.example.com"}},
		{"more names than any CA takes", fields{"identifiers": numbered(101)}, []string{"identifiers", "100"}},
		{"far more", fields{"identifiers": numbered(5000)}, []string{"identifiers", "100"}},
		{"a URL", fields{"identifiers": "https://www.example.com/"}, []string{"identifiers", "scheme"}},
		{"an underscore", fields{"identifiers": "_dmarc.example.com"}, []string{"_dmarc.example.com", "underscore"}},
		{"IPv4", fields{"identifiers": "192.0.2.1"}, []string{"192.0.2.1", "allowed_ip_ranges"}},
		{"IPv6", fields{"identifiers": "2001:db8::1"}, []string{"2001:db8::1", "allowed_ip_ranges"}},
		{"IPv6 as in a URL", fields{"identifiers": "[2001:db8::1]"}, []string{"without brackets"}},
		{"IPv4 as inet_aton reads it", fields{"identifiers": "127.1"}, []string{"127.1", "IP address"}},
		{"a star inside", fields{"identifiers": "w*.example.com"}, []string{"w*.example.com", "star"}},
		{"a star below", fields{"identifiers": "www.*.example.com"}, []string{"star"}},
		{"two stars", fields{"identifiers": "*.*.example.com"}, []string{"star"}},
		{"nothing but a star", fields{"identifiers": "*"}, []string{"star"}},
		{"a label too long", fields{"identifiers": strings.Repeat("a", 64) + ".example.com"}, []string{"63"}},
		{"a name too long", fields{"identifiers": strings.Repeat("a.", 122) + "example.com"}, []string{"253"}},
		{"Punycode of nothing", fields{"identifiers": "xn--www-.example.com"}, []string{"xn--www-", "Punycode"}},
		{"an invisible joiner", fields{"identifiers": "w\u200dw.example.com"}, []string{`\u200d`, "IDNA"}},
		{"a null byte", fields{"identifiers": []string{"www.example.com\x00.evil.example"}}, []string{`\x00`}},
		{"every name that is none", fields{"identifiers": []string{"a_b.example.com", "ok.example.com", "[2001:db8::1]"}}, []string{"a_b.example.com", "[2001:db8::1]"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, row.body, row.names...)
		})
	}
	m.refused(http.StatusNotFound, logical.UpdateOperation, "role/none/new-order", fields{"identifiers": "www.example.com"}, "none")
	m.leavesNoOrder(ca)
}

// leavesNoOrder demands that refused requests had no effect.
func (m *mount) leavesNoOrder(ca *acmetest.ScriptServer) {
	m.t.Helper()
	for _, prefix := range []string{orders.Prefix, active.Prefix, orderKeys.Prefix} {
		if left := storedBelow(m.t, m.storage, prefix); len(left) > 0 {
			m.t.Errorf("refused orders left %q", left)
		}
	}
	if n := ca.Count(acmetest.NewOrder); n > 0 {
		m.t.Errorf("the CA was asked for %d orders", n)
	}
}

// TestRefusedNames: an order is refused as a whole, with every refused name and
// the option that would have made the difference.
func TestRefusedNames(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(fields{
		"allowed_domains":        []string{"foo.example.com", "bare.example", "*.glob.example"},
		"allowed_domain_options": []string{},
	})
	for name, why := range map[string]string{
		"foo.example.org":       "no entry",
		"bare.example":          "bare_domains",
		"www.foo.example.com":   "subdomains",
		"*.foo.example.com":     "wildcards",
		"a.glob.example":        "globs",
		"evil-foo.example.com":  "no entry",
		"f\u043e\u043e.example": "no entry", // Cyrillic
	} {
		m.refused(http.StatusBadRequest, logical.UpdateOperation, newOrder, fields{"identifiers": []string{"foo.example.com", name}}, "web", why)
	}
	m.refused(http.StatusBadRequest, logical.UpdateOperation, newOrder,
		fields{"identifiers": "foo.example.com,www.foo.example.com,bare.example,x.example"},
		`"www.foo.example.com": it is below`, `"bare.example": it is a bare`, `"x.example": `)
	m.leavesNoOrder(ca)
	m.order(fields{"identifiers": "foo.example.com"})
}

// TestWildcardsNeedDNS: no other challenge proves one (RFC 8555 §8.3, RFC 8737 §3).
func TestWildcardsNeedDNS(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(fields{"allowed_challenge_types": "http-01,tls-alpn-01"})
	m.refused(http.StatusBadRequest, logical.UpdateOperation, newOrder,
		fields{"identifiers": "www.example.com,*.example.com,*.a.example.com"}, "*.example.com", "*.a.example.com", "dns-01", "allowed_challenge_types")
	m.leavesNoOrder(ca)
	m.order(fields{"identifiers": "www.example.com"})
}

// TestSameNamesAreOne: every spelling of a name is that name. The first one is
// what the order shows.
func TestSameNamesAreOne(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(fields{"allowed_domains": []string{"example.com", "räksmörgås.se"}})
	many := append(numbered(100), "N7.example.com.", "n99.EXAMPLE.com")
	for _, row := range []struct {
		reason    string
		sent      []string
		shown     []string
		requested []string // by the CA
	}{
		{"case and the trailing dot", []string{"WWW.example.com", "www.example.com", "www.example.com."}, []string{"WWW.example.com"}, []string{"www.example.com"}},
		{"U-label and A-label", []string{"RÄKSMÖRGÅS.se", "xn--rksmrgs-5wao1o.se"}, []string{"RÄKSMÖRGÅS.se"}, []string{"xn--rksmrgs-5wao1o.se"}},
		{"decomposed letters", []string{"ra\u0308ksmo\u0308rga\u030as.se"}, []string{"ra\u0308ksmo\u0308rga\u030as.se"}, []string{"xn--rksmrgs-5wao1o.se"}},
		{"ideographic dots and full-width letters", []string{"ｗｗｗ。example。com"}, []string{"ｗｗｗ。example。com"}, []string{"www.example.com"}},
		{"a hundred that are sent as more", many, numbered(100), numbered(100)},
		{"a wildcard is another name", []string{"example.com", "*.EXAMPLE.com"}, []string{"example.com", "*.EXAMPLE.com"}, []string{"example.com", "*.example.com"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m, before := m.in(t), ca.Count(acmetest.NewOrder)
			id := m.order(fields{"identifiers": row.sent, "force_new": true})
			status := m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
			if got := status["identifiers"].([]string); !slices.Equal(got, row.shown) {
				t.Errorf("identifiers are %q, want %q", got, row.shown)
			}
			for _, name := range row.shown {
				if _, found := status["challenges"].(fields)[name]; !found {
					t.Errorf("there are no challenges for %q", name)
				}
			}
			var wish acme.NewOrder
			if err := ca.Requests(acmetest.NewOrder)[before].Decode(&wish); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, i := range wish.Identifiers {
				got = append(got, i.Value)
			}
			if !slices.Equal(got, row.requested) {
				t.Errorf("the CA was asked for %q, want %q", got, row.requested)
			}
		})
	}
}

// TestRedundantNamesAreToldOf: public CAs refuse them, private ones may not.
func TestRedundantNamesAreToldOf(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	resp, status, problem := m.send(logical.UpdateOperation, newOrder, fields{"identifiers": "www.example.com,*.example.com,a.b.example.com"})
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, problem)
	}
	if len(resp.Warnings) != 1 || !strings.Contains(resp.Warnings[0], "www.example.com is covered by *.example.com") {
		t.Errorf("the warnings are %q", resp.Warnings)
	}
	id, err := uuid.Parse(resp.Data["order_id"].(string))
	if err != nil || id.Version() != 7 || resp.Data["reused"] != false || len(resp.Data) != 2 {
		t.Errorf("the answer is %v, want an order_id that is a UUIDv7, not reused", resp.Data)
	}
}

// TestOrderStatus holds every field of the answer, while the order waits and
// when it is done.
func TestOrderStatus(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t, acmetest.AlwaysValid())
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(fields{"allowed_challenge_types": "dns-01"})
	id := m.order(fields{"identifiers": "*.Example.com"})
	status := m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	if got := m.list("role/web/active-orders", nil); !slices.Equal(got, []string{id}) {
		t.Errorf("the active orders are %q", got)
	}
	for _, name := range []string{"creation_date", "last_update", "next_work_date", "expires"} {
		at, err := time.Parse(time.RFC3339, status[name].(string))
		if err != nil || at.IsZero() {
			t.Errorf("%s is %v", name, status[name])
		}
		delete(status, name)
	}
	expires := status["challenges"].(fields)["*.Example.com"].([]any)[0].(fields)["expires"].(string)
	if _, err := time.Parse(time.RFC3339, expires); err != nil {
		t.Errorf("a challenge expires %q", expires)
	}
	want := fields{
		"order_id": id, "role_name": "web", "acme_account_name": "ca", "identifiers": []string{"*.Example.com"}, "csr": "",
		"order_status": "awaiting-challenge-fulfillment", "status": "awaiting_challenge_fulfillment",
		"challenges": fields{"*.Example.com": []any{fields{
			"challenge_type": "dns-01", "challenge_status": "pending", "expires": expires, "requires_manual_fulfillment": "true",
		}}},
		"last_error": "", "serial_number": "", "profile": "", "note": "", "fallback_from": []any{},
		"renews": "", "renewed_by": "",
	}
	if !sameJSON(t, status, want) {
		t.Errorf("the status is %s, want %s", asJSON(t, status), asJSON(t, want))
	}

	m.report(id)
	status = m.awaitStatus("web", id, "completed")
	if status["status"] != "completed" || status["next_work_date"] != "0001-01-01T00:00:00Z" || status["last_error"] != "" {
		t.Errorf("a completed order is %v", status)
	}
	if got := m.read("role/web/order/"+id+"/fetch-cert", nil)["serial_number"]; got != status["serial_number"] {
		t.Errorf("serial_number is %v, that of the certificate %v", status["serial_number"], got)
	}
	m.refused(http.StatusNotFound, logical.ListOperation, "role/web/active-orders", nil)
}

// TestOrderExpires: an order that nobody proves ends with its term at the CA, and
// names what was missing.
func TestOrderExpires(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	id := m.order(fields{"identifiers": "a.example.com,B.example.com"})
	m.awaitStatus("web", id, "awaiting-challenge-fulfillment")
	m.write("role/web/order/"+id+"/fulfilled-challenge", fields{"identifier": "a.example.com", "challenge_type": "http-01"})
	m.unmount()
	later := time.Now().Add(25 * time.Hour) // the fake CA's orders live for a day
	m = mountOn(t, m.storage, func(m *mount) { m.now = func() time.Time { return later } })
	status := m.read("role/web/order/"+id+"/status", nil)
	eventually(t, "the order to end", func() bool {
		status = m.read("role/web/order/"+id+"/status", nil)
		return status["order_status"] == "expired"
	})
	if why := status["last_error"].(string); !strings.Contains(why, "B.example.com") || strings.Contains(why, "a.example.com") {
		t.Errorf("last_error is %q", why)
	}
	m.refused(http.StatusConflict, logical.ReadOperation, "role/web/order/"+id+"/fetch-cert", nil, "expired", "B.example.com")
	eventually(t, "the order to be listed no more", func() bool { return m.list("role/web/active-orders", nil) == nil })
}

// TestOrdersThatAreNotThere: under every path of an order.
func TestOrdersThatAreNotThere(t *testing.T) {
	t.Parallel()
	m, _ := withFakeCA(t)
	m.withRole(nil)
	m.write("role/other", fields{"acme_account_name": "ca"})
	id := m.order(fields{"identifiers": "www.example.com"})
	unknown, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	challenge := fields{"identifier": "www.example.com", "challenge_type": "http-01"}
	for _, row := range []struct {
		path string
		op   logical.Operation
		body fields
	}{
		{"status", logical.ReadOperation, nil},
		{"challenge", logical.ReadOperation, challenge},
		{"challenges", logical.ReadOperation, challenge},
		{"fulfilled-challenge", logical.UpdateOperation, challenge},
		{"fetch-cert", logical.ReadOperation, nil},
		{"revoke", logical.UpdateOperation, fields{"reason": "superseded"}},
	} {
		for _, order := range []string{
			"role/web/order/" + unknown.String(), "role/web/order/1", "role/web/order/" + uuid.NewString(),
			"role/web/order/" + strings.ToUpper(id), "role/other/order/" + id, "role/none/order/" + id,
		} {
			m.refused(http.StatusNotFound, row.op, order+"/"+row.path, row.body)
		}
	}
}
