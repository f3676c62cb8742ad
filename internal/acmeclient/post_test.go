package acmeclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// RFC 8555 §6.5: after badNonce the request is made anew with the nonce of that
// very answer, not with one that is fetched.
func TestBadNonceIsAnsweredWithItsOwnNonce(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	ca.RejectNonces(4)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	for range 3 {
		if _, err := client.NewOrder(t.Context(), dnsNames("x.example.com")); err != nil {
			t.Fatal(err)
		}
	}
	if got := ca.RefusedNonces(); got != 12 {
		t.Errorf("%d refusals for 4 requests, want 12", got)
	}
	if got := ca.Count(acmetest.NewNonce); got != 1 {
		t.Errorf("nonces were fetched %d times, want once", got)
	}
}

// A CA that was restarted knows none of the nonces it gave.
func TestForgottenNonces(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	ca.ForgetNonces()
	if _, err := client.NewOrder(t.Context(), dnsNames("x.example.com")); err != nil {
		t.Fatal(err)
	}
	if got := ca.RefusedNonces(); got != 1 {
		t.Errorf("%d refusals, want 1", got)
	}
}

// Two CAs never see each other's nonces, not even behind the same account key.
func TestServersDoNotShareNonces(t *testing.T) {
	t.Parallel()
	k := key(t, keys.EC256)
	for range 2 {
		ca := acmetest.Script(t)
		client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), k)
		if _, err := client.NewOrder(t.Context(), dnsNames("x.example.com")); err != nil {
			t.Fatal(err)
		}
		if got := ca.RefusedNonces(); got != 0 {
			t.Errorf("%d refusals", got)
		}
	}
}

// A CA that leaves the nonce out of its answers costs a request more each time,
// and one whose nonce is not base64url is treated alike (RFC 8555 §6.5.1).
func TestAnswersWithoutNonce(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "not/base64url", "a b"} {
		ca := acmetest.Script(t)
		client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
		ca.On(acmetest.NewOrder, ca.Edit(func(_ map[string]any, h http.Header) { h.Set("Replay-Nonce", value) }))
		for range 2 {
			if _, err := client.NewOrder(t.Context(), dnsNames("x.example.com")); err != nil {
				t.Fatal(err)
			}
		}
		if got := ca.Count(acmetest.NewNonce); got != 2 {
			t.Errorf("%q: nonces were fetched %d times, want 2", value, got)
		}
	}
}

func TestNewNonceWithoutNonce(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	ca.On(acmetest.NewNonce, ca.Edit(func(_ map[string]any, h http.Header) { h.Set("Replay-Nonce", "") }))
	_, err := dial(t, ca.DirectoryURL, ca.TrustedCA).FindAccount(t.Context(), key(t, keys.EC256))
	if err == nil || !strings.Contains(err.Error(), "has no Replay-Nonce header") {
		t.Errorf("got %v", err)
	}
}

// fakeCA is a transport for tests in which time must be faked, which a real
// connection does not allow. It is asked for everything but directory and nonces.
type fakeCA func(*http.Request) (*http.Response, error)

func (f fakeCA) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case http.MethodGet:
		return respond(200, `{"newNonce":"https://ca.example/n","newAccount":"https://ca.example/a","newOrder":"https://ca.example/o"}`), nil
	case http.MethodHead:
		return respond(200, ""), nil
	}
	return f(r)
}

var minted atomic.Int64

func respond(status int, body string) *http.Response {
	h := http.Header{"Replay-Nonce": {"nonce" + strconv.FormatInt(minted.Add(1), 10)}}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func (f fakeCA) dial(t *testing.T) *acmeclient.Server {
	t.Helper()
	s, err := acmeclient.New(acmeclient.Config{DirectoryURL: "https://ca.example/directory", Transport: f})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const badNonce = `{"type":"urn:ietf:params:acme:error:badNonce","detail":"no"}`

// A CA that never accepts a nonce is given up, and every try is a JWS of its own.
func TestNoNonceIsEverGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]bool{}
		server := fakeCA(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			if seen[string(body)] {
				t.Error("the same JWS was sent twice")
			}
			seen[string(body)] = true
			return respond(400, badNonce), nil
		}).dial(t)
		client := server.Account("https://ca.example/acct/1", key(t, keys.EC256))
		_, err := client.Order(t.Context(), "https://ca.example/order/1")
		if !acme.IsProblem(err, acme.BadNonce) || !acme.Temporary(err) {
			t.Errorf("got %v", err)
		}
		if len(seen) != 100 {
			t.Errorf("%d tries", len(seen))
		}
	})
}

// Waiting between tries ends with the context.
func TestContextEndsTheTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakeCA(func(*http.Request) (*http.Response, error) { return respond(400, badNonce), nil }).dial(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := server.Account("https://ca.example/acct/1", key(t, keys.EC256)).Order(ctx, "https://ca.example/order/1")
		if _, ok := errors.AsType[*acme.Unreachable](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// A CA that does not answer is given up even if the caller sets no deadline;
// finalize is given more time than the others.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakeCA(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}).dial(t)
		client := server.Account("https://ca.example/acct/1", key(t, keys.EC256))
		for what, call := range map[string]func() error{
			"order":    func() error { _, err := client.Order(t.Context(), "https://ca.example/order/1"); return err },
			"finalize": func() error { _, err := client.Finalize(t.Context(), "https://ca.example/f/1", nil); return err },
		} {
			began := time.Now()
			if err := call(); !errors.Is(err, context.DeadlineExceeded) || !acme.Temporary(err) {
				t.Errorf("%s: got %v", what, err)
			}
			want := map[string]time.Duration{"order": time.Minute, "finalize": 90 * time.Second}[what]
			if took := time.Since(began); took != want {
				t.Errorf("%s was given %v, want %v", what, took, want)
			}
		}
	})
}
