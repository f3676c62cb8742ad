package acmeclient_test

import (
	"crypto/x509"
	"errors"
	"net/http"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// certID names the certificate of a chain.
func certID(t *testing.T, chain acme.Chain) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(chain.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	id, err := acme.CertID(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRenewalInfoOfPebble(t *testing.T) {
	t.Parallel()
	ca := acmetest.CA(t, acmetest.Strict())
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	about, err := server.Directory(t.Context())
	if err != nil || !about.RenewalInfo {
		t.Fatalf("the CA offers renewal information: %t, %v", about.RenewalInfo, err)
	}
	client := register(t, server, key(t, keys.EC256))
	wish := dnsNames("renew.example.com")
	first := certID(t, issue(t, ca, client, wish, acme.HTTP01))
	info, err := server.RenewalInfo(t.Context(), first)
	if err != nil || !info.Start.Before(info.End) || info.RetryAfter <= 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	wish.Replaces = first
	if second := certID(t, issue(t, ca, client, wish, acme.HTTP01)); second == first {
		t.Error("the certificate was not replaced")
	}
	if _, err := client.NewOrder(t.Context(), wish); !acme.IsProblem(err, acme.AlreadyReplaced) {
		t.Errorf("a certificate was replaced twice: %v", err)
	}
}

func TestRenewalInfoOfOddCAs(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	explained := acmetest.Suggestion(start, start.Add(time.Hour))
	explained["explanationURL"] = "https://ca.example/why"
	scripted := acmetest.Suggestion(start, start.Add(time.Hour))
	scripted["explanationURL"] = "javascript:alert(1)"
	for name, test := range map[string]struct {
		answer acmetest.Handler
		want   acme.RenewalInfo
		fails  bool
		reason string
	}{
		"with an explanation": {
			acmetest.With("Retry-After", "60", acmetest.JSON(200, explained)),
			acme.RenewalInfo{Start: start, End: start.Add(time.Hour), ExplanationURL: "https://ca.example/why", RetryAfter: time.Minute},
			false,
			"RFC 9773 §4.2: it is to be shown to the operator",
		},
		"a page that is none": {
			acmetest.JSON(200, scripted),
			acme.RenewalInfo{Start: start, End: start.Add(time.Hour)},
			false,
			"people will click on it",
		},
		"a window that ends before it begins": {
			acmetest.JSON(200, acmetest.Suggestion(start, start.Add(-time.Hour))),
			acme.RenewalInfo{Start: start, End: start.Add(-time.Hour)},
			false,
			"what to make of it is not decided here",
		},
		"no window":      {acmetest.JSON(200, map[string]any{}), acme.RenewalInfo{}, true, "times that are zero are no window"},
		"no JSON":        {acmetest.HTML(200, "<h1>hello</h1>"), acme.RenewalInfo{}, true, "a page of a proxy"},
		"a fault":        {acmetest.HTML(503, "later"), acme.RenewalInfo{}, true, "the CA is down"},
		"not known":      {acmetest.Problem(404, acme.Malformed, "no such certificate"), acme.RenewalInfo{}, true, "another CA's certificate"},
		"a redirect":     {acmetest.With("Location", "https://other.example/", acmetest.JSON(302, nil)), acme.RenewalInfo{}, true, "redirects are refused everywhere"},
		"a year 292 mio": {acmetest.JSON(200, map[string]any{"suggestedWindow": map[string]any{"start": "292277026596-01-01T00:00:00Z"}}), acme.RenewalInfo{}, true, "no time that can be stored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			ca.On(acmetest.RenewalInfo, test.answer)
			got, err := dial(t, ca.DirectoryURL, ca.TrustedCA).RenewalInfo(t.Context(), "a.b")
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("%+v, %v; want %+v: %s", got, err, test.want, test.reason)
			}
		})
	}
}

func TestRenewalInfoIsOptional(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	ca.On(acmetest.Directory, ca.Edit(func(d map[string]any, _ http.Header) { delete(d, "renewalInfo") }))
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	if about, err := server.Directory(t.Context()); err != nil || about.RenewalInfo {
		t.Errorf("offered: %t, %v", about.RenewalInfo, err)
	}
	if _, err := server.RenewalInfo(t.Context(), "a.b"); !errors.Is(err, acme.ErrViolation) {
		t.Errorf("got %v", err)
	}
}
