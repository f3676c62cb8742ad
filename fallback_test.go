package pkiexternalca

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// withFallback is a mount whose role has the account "ca" and, to turn to, the
// account "second" at another CA. Neither CA wants proof.
func withFallback(t *testing.T, options ...option) (m *mount, first, second *acmetest.ScriptServer) {
	t.Helper()
	return withFallbackOn(t, &logical.InmemStorage{}, options...)
}

func withFallbackOn(t *testing.T, s logical.Storage, options ...option) (m *mount, first, second *acmetest.ScriptServer) {
	t.Helper()
	first, second = acmetest.Script(t), acmetest.Script(t)
	m = mountOn(t, s, options...)
	m.withAccount(first.DirectoryURL, first.TrustedCA)
	m.write("config/acme-account/second", accountAt(second.DirectoryURL, second.TrustedCA))
	m.withRole(fields{"fallback_acme_accounts": "second"})
	first.PreAuthorize()
	second.PreAuthorize()
	return m, first, second
}

// servedBy demands which account serves an order, and which it has turned away
// from, with a word of why.
func (m *mount) servedBy(id, account, from, why string) {
	m.t.Helper()
	got := m.read("role/web/order/"+id+"/status", nil)
	if got["acme_account_name"] != account {
		m.t.Errorf("the order is served by %v, want %s", got["acme_account_name"], account)
	}
	tried := got["fallback_from"].([]any)
	if from == "" && len(tried) == 0 {
		return
	}
	if len(tried) != 1 || tried[0].(fields)["acme_account_name"] != from || !strings.Contains(tried[0].(fields)["reason"].(string), why) {
		m.t.Errorf("the order has turned away from %v, want %s because of %q", tried, from, why)
	}
}

var exhausted = rateLimited("too many new orders (300) from this account in the last 3h0m0s", "10800")

// TestFallbackFromACAThatIsAway: the order is tried for half a minute with the first
// account, then served by the second, and the next order begins with the first.
func TestFallbackFromACAThatIsAway(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		answer acmetest.Handler
		why    string
	}{
		{"nobody answers", acmetest.Cut(), "directory"},
		{"a fault of the CA", acmetest.HTML(http.StatusBadGateway, "bad gateway"), "502"},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			clock := &leaping{}
			m, first, second := withFallback(t, clock.option)
			first.OnAll(row.answer)
			id := m.refusedByCA("www.example.com")
			m.servedBy(id, "ca", "", "")
			eventually(t, "three tries", func() bool { return m.stored(id).Failures >= 3 })
			m = clock.leap(m, time.Minute)
			m.awaitStatus("web", id, "completed")
			m.servedBy(id, "second", "ca", row.why)
			if got := m.read("role/web/order/"+id+"/status", nil); got["last_error"] != "" {
				t.Errorf("a completed order has the error %v", got["last_error"])
			}
			leaf := parseCertificate(t, m.read("role/web/order/"+id+"/fetch-cert", nil)["certificate"].(string))
			first.OnAll(nil)
			m.write("role/web/order/"+id+"/revoke", nil)
			if !second.Revoked(leaf) {
				t.Error("the CA that issued the certificate was not told of its revocation")
			}
			next, _ := m.obtain(fields{"identifiers": "next.example.com"})
			m.servedBy(next, "ca", "", "")
		})
	}
}

// TestFallbackFromALimit: a limit beyond what an order can wait makes it turn at
// once, and those that follow begin with the second account, without asking.
func TestFallbackFromALimit(t *testing.T) {
	t.Parallel()
	m, first, second := withFallback(t)
	first.On(acmetest.NewOrder, exhausted)
	id, _ := m.obtain(fields{"identifiers": "www.example.com"})
	m.servedBy(id, "second", "ca", "too many new orders")
	if m.read("config/acme-account/ca/limits", nil)["held"] != true || m.read("config/acme-account/second/limits", nil)["held"] != false {
		t.Error("the limit is not that of the account that has it")
	}
	asked := first.Count(acmetest.NewOrder)
	next, _ := m.obtain(fields{"identifiers": "next.example.com"})
	m.servedBy(next, "second", "ca", "too many new orders")
	if n := first.Count(acmetest.NewOrder); n != asked {
		t.Errorf("the first CA was asked %d times more", n-asked)
	}
	second.On(acmetest.NewOrder, exhausted)
	last := m.refusedByCA("last.example.com")
	m.refused(http.StatusTooManyRequests, logical.UpdateOperation, "role/web/new-order", fields{"identifiers": "more.example.com"}, `account "ca"`, "held back")
	second.On(acmetest.NewOrder, nil)
	m.delete("config/acme-account/second/limits", nil)
	m.awaitStatus("web", last, "completed")
}

// TestHeldBackUntilTheFirstIsOver: where all accounts have a limit, an order is told
// of the one that is over first, or a renewal would wait for the last.
func TestHeldBackUntilTheFirstIsOver(t *testing.T) {
	t.Parallel()
	clock := &leaping{}
	m, first, second := withFallback(t, clock.option)
	first.On(acmetest.NewOrder, rateLimited("too many new orders", "1200"))
	second.On(acmetest.NewOrder, exhausted)
	m.refusedByCA("www.example.com")
	eventually(t, "both CAs to have been asked", func() bool { return m.read("config/acme-account/second/limits", nil)["held"] == true })
	m.refused(http.StatusTooManyRequests, logical.UpdateOperation, "role/web/new-order", fields{"identifiers": "next.example.com"}, `account "ca"`, "(retry_after=1")
	first.On(acmetest.NewOrder, nil)
	m = clock.leap(m, 21*time.Minute)
	id, _ := m.obtain(fields{"identifiers": "later.example.com"})
	m.servedBy(id, "ca", "", "")
}

// TestNoFallbackFromAJudgement: names that one CA does not take for proven are not
// tried with another, neither by the order nor by those that follow.
func TestNoFallbackFromAJudgement(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		script func(*acmetest.ScriptServer)
	}{
		{"a name that the CA will not have", func(ca *acmetest.ScriptServer) {
			ca.On(acmetest.NewOrder, acmetest.Problem(http.StatusBadRequest, acme.RejectedIdentifier, "policy forbids"))
		}},
		{"CAA records", func(ca *acmetest.ScriptServer) {
			ca.On(acmetest.Finalize, acmetest.Problem(http.StatusForbidden, acme.CAA, "policy forbids"))
		}},
		{"a CSR that is not as the CA wants", func(ca *acmetest.ScriptServer) {
			ca.On(acmetest.Finalize, acmetest.Problem(http.StatusBadRequest, acme.BadCSR, "policy forbids"))
		}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, first, second := withFallback(t)
			row.script(first)
			id := m.fails("www.example.com")
			m.servedBy(id, "ca", "", "")
			m.send(logical.UpdateOperation, "role/web/new-order", fields{"identifiers": "www.example.com"})
			eventually(t, "all orders to end", func() bool { return m.list("role/web/active-orders", nil) == nil })
			if n := second.Count(acmetest.NewOrder); n != 0 {
				t.Errorf("the second CA was asked for %d orders", n)
			}
		})
	}
}

// TestOneWishAcrossFallbacks: who asks for what is under way gets that order,
// whichever account it has turned to.
func TestOneWishAcrossFallbacks(t *testing.T) {
	t.Parallel()
	m, first, second := withFallback(t)
	first.On(acmetest.NewOrder, exhausted)
	second.On(acmetest.NewOrder, acmetest.HTML(http.StatusBadGateway, "bad gateway"))
	id := m.refusedByCA("www.example.com")
	eventually(t, "the order to have turned", func() bool { return m.stored(id).Account == "second" })
	if again, reused := m.places("role/web/new-order", fields{"identifiers": "www.example.com"}); !reused || again != id {
		t.Errorf("order %s, reused: %t; want %s", again, reused, id)
	}
}

// TestAccountsOfARole holds which accounts a role may name to turn to.
func TestAccountsOfARole(t *testing.T) {
	t.Parallel()
	m, _, _ := withFallback(t)
	for _, row := range []struct {
		reason string
		names  any
		texts  []string
	}{
		{"one that is not there", "second,none", []string{"none", "create it first"}},
		{"the role's own", "ca", []string{`"ca"`, "already"}},
		{"one twice", "second,second", []string{`"second"`, "once"}},
		{"no name", []string{""}, []string{"no ACME account"}},
		{"a way out", "../role/web", []string{"no ACME account"}},
		{"too many", strings.Repeat("second,", 9) + "second", []string{"10 accounts", "at most 8"}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			m.in(t).refused(http.StatusBadRequest, logical.UpdateOperation, "role/web", fields{"fallback_acme_accounts": row.names},
				append(row.texts, "fallback_acme_accounts")...)
		})
	}
	if got := m.write("role/web", fields{"auto_renew": false})["fallback_acme_accounts"]; !sameJSON(t, got, []string{"second"}) {
		t.Errorf("a write of something else made the accounts %v", got)
	}
	m.refused(http.StatusConflict, logical.DeleteOperation, "config/acme-account/second", nil, "web")
	if got := m.write("role/web", fields{"fallback_acme_accounts": []string{}})["fallback_acme_accounts"]; !sameJSON(t, got, []string{}) {
		t.Errorf("the accounts are %v", got)
	}
	m.delete("config/acme-account/second", nil)
}

// TestKeysOfFallbacksAreNotCertified: RFC 8555 §11.1 holds for every account that an
// order may turn to.
func TestKeysOfFallbacksAreNotCertified(t *testing.T) {
	t.Parallel()
	m, _, _ := withFallback(t)
	for _, name := range []string{"ca", "second"} {
		csr := requestPEM(t, m.accountKey(name), request509{DNSNames: []string{"www.example.com"}})
		m.refused(http.StatusBadRequest, logical.UpdateOperation, "role/web/new-order", fields{"csr": csr}, "ACME account", name)
	}
}

// TestAccountsThatServe: an account that an order has turned to is kept, and its
// key too, also when the role names it no more; one that it has yet to turn to may
// go, and is passed over.
func TestAccountsThatServe(t *testing.T) {
	t.Parallel()
	m, first, second := withFallback(t)
	m.write("config/acme-account/third", accountAt(first.DirectoryURL, first.TrustedCA))
	m.withRole(fields{"fallback_acme_accounts": "second,third"})
	first.On(acmetest.NewOrder, exhausted)
	second.On(acmetest.NewOrder, acmetest.HTML(http.StatusBadGateway, "bad gateway"))
	id := m.refusedByCA("www.example.com")
	eventually(t, "the order to have turned", func() bool { return m.stored(id).Account == "second" })
	m.withRole(fields{"fallback_acme_accounts": []string{}})
	m.refused(http.StatusConflict, logical.DeleteOperation, "config/acme-account/second", nil, id)
	m.refused(http.StatusConflict, logical.UpdateOperation, "config/acme-account/second/rotate-key", nil, id, "force")
	m.delete("config/acme-account/third", nil)
	second.On(acmetest.NewOrder, exhausted)
	eventually(t, "the account that has gone to be passed over", func() bool {
		return strings.Contains(m.record("order/"+orderPath(m.stored(id).ID)), `"account":"third"`)
	})
	second.On(acmetest.NewOrder, nil)
	m.delete("config/acme-account/second/limits", nil)
	m.awaitStatus("web", id, "completed")
}
