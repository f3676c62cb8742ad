package pkiexternalca

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// edit changes one member of what the fake CA answers.
func edit(name string, value any) func(*acmetest.ScriptServer) acmetest.Handler {
	return func(ca *acmetest.ScriptServer) acmetest.Handler {
		return ca.Edit(func(document map[string]any, _ http.Header) { document[name] = value })
	}
}

// once lets the CA misbehave a single time.
func once(h acmetest.Handler) func(*acmetest.ScriptServer) acmetest.Handler {
	return func(ca *acmetest.ScriptServer) acmetest.Handler { return ca.Times(1, h) }
}

func lost(ca *acmetest.ScriptServer) acmetest.Handler { return ca.Times(1, ca.Lost()) }

// does lets the fake CA act and answers something else.
func does(answer acmetest.Handler) func(*acmetest.ScriptServer) acmetest.Handler {
	return func(ca *acmetest.ScriptServer) acmetest.Handler {
		return ca.Times(1, func(w http.ResponseWriter, r *acmetest.Request) {
			ca.Default(httptest.NewRecorder(), r)
			answer(w, r)
		})
	}
}

// offering makes authorizations offer more challenges.
func offering(more ...any) func(*acmetest.ScriptServer) acmetest.Handler {
	return func(ca *acmetest.ScriptServer) acmetest.Handler {
		return ca.Edit(func(document map[string]any, _ http.Header) {
			document["challenges"] = append(more, document["challenges"].([]any)...)
		})
	}
}

var unknownChallenge = fields{"type": "dns-persist-01", "status": "pending", "url": "/challenge/x", "issuer-domain-names": []string{"ca.example"}}

// trick is something that a CA does at a resource, and that an order gets over.
type trick struct {
	section string // of RFC 8555, unless it says another
	name    string
	at      acmetest.Resource
	answer  func(*acmetest.ScriptServer) acmetest.Handler
}

var tricks = []trick{
	{"7.4", "the answer to newOrder is lost", acmetest.NewOrder, lost},
	{"7.5", "the answer with an authorization is lost", acmetest.Authorization, lost},
	{"7.5.1", "the answer to a challenge is lost, and telling again is refused", acmetest.Challenge, lost},
	{"7.4", "the answer to finalize is lost, and sending the CSR again is refused", acmetest.Finalize, lost},
	{"7.4.2", "the download is cut off", acmetest.Certificate, lost},
	{"6.5", "a web page in the place of an order", acmetest.NewOrder, once(acmetest.HTML(http.StatusOK, "<h1>Welcome</h1>"))},
	{"6.5", "a proxy's page in the place of an authorization", acmetest.Authorization, once(acmetest.HTML(http.StatusBadGateway, "<h1>Bad Gateway</h1>"))},
	{"6.6", "429 as a web page without Retry-After", acmetest.NewOrder, once(acmetest.HTML(http.StatusTooManyRequests, "<h1>Slow down</h1>"))},
	{"6.6", "429 when the certificate is there already", acmetest.Certificate, once(acmetest.With("Retry-After", "1", acmetest.HTML(http.StatusTooManyRequests, "")))},
	{"6.7", "a fault of the CA's", acmetest.Finalize, once(acmetest.Problem(http.StatusInternalServerError, acme.ServerInternal, "oops"))},
	{"6.4", "a redirect", acmetest.Order, once(acmetest.With("Location", "https://evil.example/", acmetest.HTML(http.StatusFound, "")))},
	{"7.1.3", "members that nobody knows", acmetest.NewOrder, edit("x-extension", fields{"a": 1})},
	{"7.1.3", "a relative URL", acmetest.NewOrder, func(ca *acmetest.ScriptServer) acmetest.Handler {
		return ca.Edit(func(document map[string]any, header http.Header) {
			path := header.Get("Location")[strings.Index(header.Get("Location"), "/order/"):]
			document["finalize"] = path + "/finalize"
			header.Set("Location", path)
		})
	}},
	{"7.1.4", "challenge types that nobody knows", acmetest.Authorization, offering(unknownChallenge, fields{"type": "sectigo-dns-01", "status": "pending"})},
	{"7.4", "finalize is refused though the CSR was taken", acmetest.Finalize, does(acmetest.Problem(http.StatusForbidden, acme.OrderNotReady, "the order is valid"))},
	{"7.4", "badCSR for a common name", acmetest.Finalize, once(acmetest.Problem(http.StatusBadRequest, acme.BadCSR, "no common names here"))},
	{"7.4", "the order looks ready after the CSR was taken", acmetest.Finalize, edit("status", "ready")},
	{"7.4", "processing for a while", acmetest.Finalize, edit("status", "processing")},
	{"7.4", "valid, but the certificate cannot be had yet", acmetest.Certificate, once(acmetest.Problem(http.StatusForbidden, acme.Unauthorized, "pending approval"))},
	{"7.4", "valid, without the URL of the certificate at first", acmetest.Finalize, func(ca *acmetest.ScriptServer) acmetest.Handler {
		return ca.Edit(func(document map[string]any, _ http.Header) { delete(document, "certificate") })
	}},
	{"7.1.3", "an order that expired before it was made", acmetest.NewOrder, edit("expires", "2020-01-01T00:00:00Z")},
	{"7.1.6", "an order that stays pending for a while", acmetest.Order, func(ca *acmetest.ScriptServer) acmetest.Handler {
		return ca.Times(3, edit("status", "pending")(ca))
	}},
}

// TestTricks: an order is completed whatever a CA does, as long as it lets it.
func TestTricks(t *testing.T) {
	t.Parallel()
	cas := newCrowd(t)
	defer cas.wait()
	for _, row := range tricks {
		cas.run("RFC 8555 "+row.section+": "+row.name, func(t *testing.T) {
			m, ca := withFakeCA(t)
			m.withRole(nil)
			ca.On(row.at, row.answer(ca))
			id := m.order(fields{"identifiers": "www.example.com,*.www.example.com"})
			m.report(id)
			m.awaitStatus("web", id, "completed")
			if ca.Count(row.at) == 0 {
				t.Error("the CA never got to its trick")
			}
			m.holdsWhatTheCACertified(ca, id, "www.example.com,*.www.example.com")
		})
	}
}

// TestNoncesThatAreRefused: nine in ten, from the beginning (RFC 8555 §6.5).
func TestNoncesThatAreRefused(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	ca.RejectNonces(10)
	m := newMount(t)
	m.withAccount(ca.DirectoryURL, ca.TrustedCA)
	m.withRole(nil)
	m.obtain(fields{"identifiers": "a.example.com,b.example.com"})
	m.write("config/acme-account/ca/rotate-key", nil)
	if ca.RefusedNonces() < 20 {
		t.Errorf("only %d nonces were refused", ca.RefusedNonces())
	}
}

// TestAuthorizationsThatAreValid: what is proven already needs no challenge, nor
// somebody to report one (RFC 8555 §7.1.3).
func TestAuthorizationsThatAreValid(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		reason string
		at     acmetest.Resource
		answer func(*acmetest.ScriptServer) acmetest.Handler
	}{
		{"the order is ready at once", acmetest.NewOrder, func(*acmetest.ScriptServer) acmetest.Handler { return nil }},
		{"the order is pending at first", acmetest.NewOrder, edit("status", "pending")},
		{"no challenge is offered any more", acmetest.Authorization, edit("challenges", []any{})},
		{"only unknown challenges are offered", acmetest.Authorization, edit("challenges", []any{unknownChallenge})},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			m, ca := withFakeCA(t)
			m.withRole(nil)
			ca.PreAuthorize()
			ca.On(row.at, row.answer(ca))
			id := m.order(fields{"identifiers": "www.example.com"})
			m.awaitStatus("web", id, "completed")
			m.holdsWhatTheCACertified(ca, id, "www.example.com")
			if n := ca.Count(acmetest.Challenge); n > 0 {
				t.Errorf("the CA was told of %d challenges", n)
			}
		})
	}
}

// givesOneOrder has the CA answer every newOrder with the same order, until it is
// told to make another one.
func givesOneOrder(ca *acmetest.ScriptServer) (another func()) {
	var mu sync.Mutex
	var pending *httptest.ResponseRecorder
	ca.On(acmetest.NewOrder, func(w http.ResponseWriter, r *acmetest.Request) {
		mu.Lock()
		defer mu.Unlock()
		if pending == nil {
			pending = httptest.NewRecorder()
			ca.Default(pending, r)
		}
		for name, values := range pending.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(pending.Code)
		_, _ = w.Write(pending.Body.Bytes())
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		pending = nil
	}
}

// TestOneOrderForTwo: Boulder answers newOrder with the pending order that it has
// for the same names. Two local orders must not share it: one of the two keys
// would be certified for both (RFC 8555 §7.4).
func TestOneOrderForTwo(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	another := givesOneOrder(ca)
	first := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", first, "awaiting-challenge-fulfillment")
	second := m.order(fields{"identifiers": "www.example.com", "force_new": true})
	eventually(t, "the second order to meet the first", func() bool {
		return strings.Contains(m.read("role/web/order/"+second+"/status", nil)["last_error"].(string), first)
	})
	another() // an order that is valid is not given again
	m.report(first)
	m.awaitStatus("web", first, "completed")
	m.report(second)
	m.awaitStatus("web", second, "completed")
	keys := map[string]bool{}
	m.holdsWhatTheCACertified(ca, second, "www.example.com")
	for _, id := range []string{first, second} {
		keys[m.read("role/web/order/"+id+"/fetch-cert", nil)["private_key"].(string)] = true
	}
	if len(keys) != 2 {
		t.Error("two orders have one key")
	}
}

// TestOneOrderForTwoAfterARestart: who has an order at the CA is known from the
// stored orders.
func TestOneOrderForTwoAfterARestart(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.ReuseOrders()
	first := m.order(fields{"identifiers": "www.example.com"})
	m.awaitStatus("web", first, "awaiting-challenge-fulfillment")
	m.unmount()
	m = mountOn(t, m.storage)
	second := m.order(fields{"identifiers": "www.example.com", "force_new": true})
	eventually(t, "the second order to meet the first", func() bool {
		return strings.Contains(m.read("role/web/order/"+second+"/status", nil)["last_error"].(string), first)
	})
}

// TestManyOrdersAtOnce: of the same names and of others, at a CA that is down for
// a while.
func TestManyOrdersAtOnce(t *testing.T) {
	t.Parallel()
	m, ca := withFakeCA(t)
	m.withRole(nil)
	ca.On(acmetest.NewOrder, acmetest.HTML(http.StatusServiceUnavailable, "maintenance"))
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = m.order(fields{"identifiers": fmt.Sprintf("n%d.example.com", i%10), "force_new": true})
	}
	eventually(t, "the CA to be asked", func() bool { return ca.Count(acmetest.NewOrder) >= len(ids) })
	ca.On(acmetest.NewOrder, nil)
	for _, id := range ids {
		m.report(id)
		m.awaitStatus("web", id, "completed")
	}
}
