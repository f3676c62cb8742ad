package acmeclient_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// onlyHTTP1 is a transport for Script without HTTP/2.
func onlyHTTP1(t testing.TB, ca *acmetest.ScriptServer) *acmeclient.Server {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.TrustedCA)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	s, err := acmeclient.New(acmeclient.Config{DirectoryURL: ca.DirectoryURL, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A signed request is sent once, whatever becomes of the connection: sent
// again, it would be refused for its nonce although the first had been heard.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	for name, dialer := range map[string]func(testing.TB, *acmetest.ScriptServer) *acmeclient.Server{
		"HTTP/2": func(t testing.TB, ca *acmetest.ScriptServer) *acmeclient.Server {
			return dial(t, ca.DirectoryURL, ca.TrustedCA)
		},
		"HTTP/1.1": onlyHTTP1,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			client := register(t, dialer(t, ca), key(t, keys.EC256))
			for resource, handler := range map[acmetest.Resource]acmetest.Handler{acmetest.NewOrder: acmetest.Cut(), acmetest.Finalize: ca.Lost()} {
				ca.On(resource, handler)
			}
			_, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
			wantUnreachable(t, err, "placing an order at")
			ca.On(acmetest.NewOrder, nil)
			ca.PreAuthorize()
			placed, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.Finalize(t.Context(), placed.Finalize, csr(t, key(t, keys.EC256), dnsNames("x.example.com")))
			wantUnreachable(t, err, "finalizing the order at")
			if n, m := ca.Count(acmetest.NewOrder), ca.Count(acmetest.Finalize); n != 2 || m != 1 {
				t.Errorf("newOrder was heard %d times and finalize %d times, want 2 and 1", n, m)
			}
			if after, err := client.Order(t.Context(), placed.URL); err != nil || after.Status != acme.StatusValid {
				t.Errorf("the order is %s, %v; the CA had acted", after.Status, err)
			}
		})
	}
}

func wantUnreachable(t testing.TB, err error, doing string) {
	t.Helper()
	u, ok := errors.AsType[*acme.Unreachable](err)
	if !ok || !strings.HasPrefix(u.Doing, doing) {
		t.Errorf("got %v, want an Unreachable while %s", err, doing)
	}
}

// The HTTP status decides: proxies and some CAs limit rates with bare pages.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler acmetest.Handler
		want    acme.Problem
	}{
		"a page": {acmetest.HTML(429, "<h1>Too many</h1>"), acme.Problem{Status: 429, Detail: "Too many"}},
		"a page that asks for patience": {
			acmetest.With("Retry-After", "60", acmetest.HTML(503, "")), acme.Problem{Status: 503, RetryAfter: time.Minute},
		},
		"a document": {
			acmetest.With("Retry-After", "7200", acmetest.Problem(429, acme.RateLimited, "too many certificates")),
			acme.Problem{Status: 429, Type: acme.RateLimited, Detail: "too many certificates", RetryAfter: 2 * time.Hour},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
			ca.On(acmetest.NewOrder, test.handler)
			_, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
			p, ok := errors.AsType[*acme.Problem](err)
			if !ok || p.Error() != test.want.Error() || p.Status != test.want.Status || p.RetryAfter != test.want.RetryAfter || !acme.Temporary(err) {
				t.Errorf("got %#v", err)
			}
		})
	}
}

// What is no answer of an ACME server, and how it is told.
func TestUnusableAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler acmetest.Handler
		want    string
	}{
		"a page":              {acmetest.HTML(200, "<title>Sign in</title>"), "not the JSON that was expected"},
		"JSON, but no order":  {acmetest.JSON(200, map[string]any{"hello": "world"}), "has no status"},
		"a redirect":          {acmetest.With("Location", "https://elsewhere.example/", acmetest.HTML(307, "")), `redirect (HTTP status 307, to "https://elsewhere.example/")`},
		"too long":            {acmetest.HTML(200, strings.Repeat("x", 1<<20+1)), "more than 1048576 bytes"},
		"an http URL":         {acmetest.JSON(200, map[string]any{"status": "valid", "certificate": "http://ca.example/c"}), "not an https URL"},
		"a URL with a user":   {acmetest.JSON(200, map[string]any{"status": "valid", "finalize": "https://me:pw@ca.example/c"}), "has a user"},
		"a file":              {acmetest.JSON(200, map[string]any{"status": "valid", "authorizations": []string{"file:///etc/passwd"}}), "not an https URL"},
		"a status of a kind":  {acmetest.JSON(200, map[string]any{"status": 5}), "not the JSON that was expected"},
		"a connection lost":   {acmetest.Cut(), ""},
		"too many parts":      {acmetest.JSON(200, map[string]any{"status": "valid", "authorizations": make([]string, 1001)}), "at most 1000 of each"},
		"long beyond measure": {acmetest.JSON(200, map[string]any{"status": "valid", "finalize": "https://ca.example/" + strings.Repeat("x", 3000)}), "at most 2048"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
			ca.On(acmetest.Order, test.handler)
			_, err := client.Order(t.Context(), strings.Replace(ca.DirectoryURL, "directory", "order/1", 1))
			wantUnreachable(t, err, "reading the order https://127.0.0.1:")
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "pw") {
				t.Errorf("got %v, want it to say %q", err, test.want)
			}
		})
	}
}

// An answer that trickles in is given up when the context ends.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	ctx, cancel := context.WithCancel(t.Context())
	ca.On(acmetest.Order, func(w http.ResponseWriter, r *acmetest.Request) {
		_, _ = w.Write([]byte(`{"status":`))
		w.(http.Flusher).Flush()
		cancel()
		acmetest.Hang()(w, r)
	})
	_, err := client.Order(ctx, strings.Replace(ca.DirectoryURL, "directory", "order/1", 1))
	wantUnreachable(t, err, "reading the order")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRequestHeaders(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	s, err := acmeclient.New(acmeclient.Config{DirectoryURL: ca.DirectoryURL, TrustedCA: ca.TrustedCA, UserAgent: "plugin/1.2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	register(t, s, key(t, keys.EC256))
	for _, resource := range []acmetest.Resource{acmetest.Directory, acmetest.NewNonce, acmetest.NewAccount} {
		h := ca.Requests(resource)[0].Header
		if h.Get("User-Agent") != "plugin/1.2" || h.Get("Accept-Language") == "" {
			t.Errorf("%s: %v (RFC 8555 §6.1 wants both)", resource, h)
		}
		if h.Get("Replay-Nonce") != "" {
			t.Errorf("%s: the nonce belongs into the JWS", resource)
		}
	}
	if got := s.Requests(); got != 3 {
		t.Errorf("%d requests were counted, want 3", got)
	}
}

func TestUntrustedServer(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	_, err := dial(t, ca.DirectoryURL, nil).Directory(t.Context())
	wantUnreachable(t, err, "reading the directory")
	if !strings.Contains(err.Error(), "trusted CA") {
		t.Errorf("got %v, want advice", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.StartTLS()
	t.Cleanup(old.Close)
	_, err := dial(t, old.URL, nil).Directory(t.Context())
	wantUnreachable(t, err, "reading the directory")
	if !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("got %v", err)
	}
}

// An outage ends, and nothing that was learnt before is lost by it.
func TestOutage(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	placed, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	ca.OnAll(acmetest.Cut())
	for range 3 {
		_, err = client.Order(t.Context(), placed.URL)
		wantUnreachable(t, err, "") // the first time it is the order, then a nonce
	}
	ca.OnAll(nil)
	if _, err := client.Order(t.Context(), placed.URL); err != nil {
		t.Error(err)
	}
}

// A URL with a password, wherever it came from, is not sent and not shown.
func TestPasswordInURL(t *testing.T) {
	t.Parallel()
	ca, client := scripted(t)
	_, err := client.Order(t.Context(), "https://user:secret@ca.example/order/1")
	wantUnreachable(t, err, "reading the order https://user:xxxxx@ca.example/order/1")
	if strings.Contains(err.Error(), "secret") || ca.Count(acmetest.Order) != 0 {
		t.Errorf("got %v", err)
	}
}
