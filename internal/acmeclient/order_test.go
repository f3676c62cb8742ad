package acmeclient_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// scripted starts a fake CA and makes an account there.
func scripted(t testing.TB) (*acmetest.ScriptServer, *acmeclient.Client) {
	t.Helper()
	ca := acmetest.Script(t)
	return ca, register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
}

func TestIdentifierSet(t *testing.T) {
	t.Parallel()
	type list = []acme.Identifier
	dns := func(v string) acme.Identifier { return acme.Identifier{Type: acme.DNS, Value: v} }
	ip := func(v string) acme.Identifier { return acme.Identifier{Type: acme.IP, Value: v} }
	for name, test := range map[string]struct {
		asked, answered list
		same            bool
	}{
		"the same":                      {list{dns("a.example")}, list{dns("a.example")}, true},
		"in another order":              {list{dns("a.example"), dns("b.example")}, list{dns("b.example"), dns("a.example")}, true},
		"in another case":               {list{dns("a.EXAMPLE")}, list{dns("A.example")}, true},
		"without the repetition":        {list{dns("a.example"), dns("A.example")}, list{dns("a.example")}, true},
		"an address, spelt canonically": {list{ip("2001:DB8:0::1")}, list{ip("2001:db8::1")}, true},
		"one fewer":                     {list{dns("a.example"), dns("b.example")}, list{dns("a.example")}, false},
		"one more":                      {list{dns("a.example")}, list{dns("a.example"), dns("www.a.example")}, false},
		"another one":                   {list{dns("a.example")}, list{dns("b.example")}, false},
		"none":                          {list{dns("a.example")}, list{}, false},
		"without the star":              {list{dns("*.a.example")}, list{dns("a.example")}, false},
		"an address turned into a name": {list{ip("192.0.2.1")}, list{dns("192.0.2.1")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca, client := scripted(t)
			ca.On(acmetest.NewOrder, ca.Edit(func(d map[string]any, _ http.Header) { d["identifiers"] = test.answered }))
			_, err := client.NewOrder(t.Context(), acme.NewOrder{Identifiers: test.asked})
			if test.same != (err == nil) || (err != nil && !errors.Is(err, acmeclient.ErrIdentifiersChanged)) {
				t.Errorf("got %v", err)
			}
			if acme.Temporary(err) {
				t.Error("asking again would not help")
			}
		})
	}
}

func TestNewOrderWithoutLocation(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{"": "it is empty", "http://ca.example/order/1": "not an https URL"} {
		ca, client := scripted(t)
		ca.On(acmetest.NewOrder, ca.Edit(func(_ map[string]any, h http.Header) { h.Set("Location", location) }))
		_, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
		wantUnreachable(t, err, "placing an order at")
		if !strings.Contains(err.Error(), "the URL of the order in the answer: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", location, err)
		}
	}
}

// What is asked for, and only that, is sent: some CAs refuse members they do
// not know.
func TestNewOrderMessage(t *testing.T) {
	t.Parallel()
	for want, wish := range map[string]acme.NewOrder{
		`{"identifiers":[{"type":"dns","value":"x.example.com"}]}`: dnsNames("x.example.com"),
		`{"identifiers":[{"type":"ip","value":"192.0.2.1"}],"profile":"shortlived","replaces":"aki.serial"}`: {
			Identifiers: []acme.Identifier{{Type: acme.IP, Value: "192.0.2.1"}}, Profile: "shortlived", Replaces: "aki.serial",
		},
	} {
		ca, client := scripted(t)
		// The fake CA knows no certificate that could be replaced.
		if _, err := client.NewOrder(t.Context(), wish); err != nil && !acme.Gone(err) {
			t.Fatal(err)
		}
		if got := string(ca.Requests(acmetest.NewOrder)[0].Payload); got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	}
}

// An order may be ready or valid from the start, and one that is reused comes
// with the Location it had.
func TestOrderAtOnce(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	ca.PreAuthorize()
	ca.ReuseOrders()
	ready, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
	if err != nil || ready.Status != acme.StatusReady {
		t.Fatalf("%s, %v", ready.Status, err)
	}
	finalized, err := client.Finalize(t.Context(), ready.Finalize, csr(t, key(t, keys.EC256), dnsNames("x.example.com")))
	if err != nil || finalized.Status != acme.StatusValid || finalized.URL != "" {
		t.Fatalf("%+v, %v", finalized, err)
	}
	again, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
	if err != nil || again.URL != ready.URL || again.Status != acme.StatusValid || again.Certificate != finalized.Certificate {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestOrderDocument(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	placed, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	ca.On(acmetest.Order, acmetest.With("Retry-After", "3", acmetest.JSON(200, map[string]any{
		"status": "on-hold", "expires": "yesterday", "extra": []int{1},
		"error": map[string]any{"type": "t", "detail": "one\ntwo", "subproblems": []any{map[string]any{"type": "s"}}},
	})))
	order, err := client.Order(t.Context(), placed.URL)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case order.Status != "on-hold":
		t.Errorf("status %q: one that is unknown is for others to judge", order.Status)
	case !order.Expires.IsZero():
		t.Errorf("expires %v: what cannot be read is as good as absent", order.Expires)
	case order.RetryAfter != 3*time.Second:
		t.Errorf("retry after %v", order.RetryAfter)
	case order.Error.Detail != "one two" || len(order.Error.Subproblems) != 1 || order.Error.Status != 0:
		t.Errorf("error %#v", order.Error)
	case order.URL != placed.URL:
		t.Errorf("url %q", order.URL)
	}
}

// RFC 8555 §7.1.3 allows a CA to forget what has expired.
func TestOrderIsGone(t *testing.T) {
	t.Parallel()
	_, client := scripted(t)
	placed, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Order(t.Context(), placed.URL+"99"); !acme.Gone(err) || acme.Temporary(err) {
		t.Errorf("got %v", err)
	}
}

// badCSR leaves an order ready (RFC 8555 §7.4).
func TestBadCSR(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	ca.PreAuthorize()
	placed, err := client.NewOrder(t.Context(), dnsNames("a.example.com", "b.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Finalize(t.Context(), placed.Finalize, csr(t, key(t, keys.EC256), dnsNames("a.example.com"))); !acme.IsProblem(err, acme.BadCSR) {
		t.Errorf("got %v", err)
	}
	if after, err := client.Order(t.Context(), placed.URL); err != nil || after.Status != acme.StatusReady {
		t.Errorf("%s, %v", after.Status, err)
	}
}
