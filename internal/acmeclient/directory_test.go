package acmeclient_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmeclient"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
	"vault-plugin-secrets-pki-external-ca/internal/keys"
)

// clock is a time that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func dialAt(t testing.TB, ca *acmetest.ScriptServer, c *clock) *acmeclient.Server {
	t.Helper()
	s, err := acmeclient.New(acmeclient.Config{DirectoryURL: ca.DirectoryURL, TrustedCA: ca.TrustedCA, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestDirectoryIsReadOnce(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	var everybody sync.WaitGroup
	for range 20 {
		everybody.Go(func() {
			if _, err := server.Directory(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	everybody.Wait()
	if n := ca.Count(acmetest.Directory); n != 1 {
		t.Errorf("it was read %d times", n)
	}
}

func TestDirectoryIsReadAgain(t *testing.T) {
	t.Parallel()
	ca, c := acmetest.Script(t), &clock{}
	server := dialAt(t, ca, c)
	website := func(site string) acmetest.Handler {
		return ca.Edit(func(d map[string]any, _ http.Header) { d["meta"] = map[string]any{"website": site} })
	}
	for _, step := range []struct {
		after   time.Duration
		handler acmetest.Handler
		want    string
		reads   int
		reason  string
	}{
		{0, website("first"), "first", 1, "there was none"},
		{59 * time.Minute, website("second"), "first", 1, "it is fresh"},
		{2 * time.Minute, website("second"), "second", 2, "an hour has passed"},
		{61 * time.Minute, acmetest.HTML(503, "maintenance"), "second", 3, "an old directory is better than none"},
		{30 * time.Second, website("third"), "second", 3, "a CA in trouble is not asked each time"},
		{31 * time.Second, website("third"), "third", 4, "but soon"},
	} {
		c.advance(step.after)
		ca.On(acmetest.Directory, step.handler)
		about, err := server.Directory(t.Context())
		if err != nil || about.Website != step.want || ca.Count(acmetest.Directory) != step.reads {
			t.Errorf("%s: got %q after %d reads, %v", step.reason, about.Website, ca.Count(acmetest.Directory), err)
		}
	}
}

func TestDirectoryIsNotACME(t *testing.T) {
	t.Parallel()
	edit := func(change func(map[string]any)) func(*acmetest.ScriptServer) acmetest.Handler {
		return func(ca *acmetest.ScriptServer) acmetest.Handler {
			return ca.Edit(func(d map[string]any, _ http.Header) { change(d) })
		}
	}
	always := func(h acmetest.Handler) func(*acmetest.ScriptServer) acmetest.Handler {
		return func(*acmetest.ScriptServer) acmetest.Handler { return h }
	}
	for name, test := range map[string]struct {
		handler func(*acmetest.ScriptServer) acmetest.Handler
		want    string
	}{
		"a page":             {always(acmetest.HTML(200, "<h1>Welcome</h1>")), `not the JSON that was expected`},
		"some other JSON":    {always(acmetest.JSON(200, map[string]any{"api": 1})), "not an ACME directory: it has no newNonce"},
		"ACME version 1":     {always(acmetest.JSON(200, map[string]any{"new-authz": "https://ca.example/"})), "not an ACME directory"},
		"no newOrder":        {edit(func(d map[string]any) { delete(d, "newOrder") }), "it has no newOrder"},
		"http inside":        {edit(func(d map[string]any) { d["newOrder"] = "http://ca.example/o" }), `the URL of the newOrder in the answer: "http://ca.example/o" is not an https URL`},
		"a redirect":         {always(acmetest.With("Location", "https://www.ca.example/", acmetest.HTML(301, ""))), "is a redirect"},
		"nothing there":      {always(acmetest.Problem(404, "", "no such page")), "HTTP status 404: no such page"},
		"not for everybody":  {always(acmetest.HTML(403, "Forbidden")), "HTTP status 403: Forbidden"},
		"an unreadable meta": {edit(func(d map[string]any) { d["meta"] = "none" }), "not the JSON that was expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := acmetest.Script(t)
			ca.On(acmetest.Directory, test.handler(ca))
			server := dial(t, ca.DirectoryURL, ca.TrustedCA)
			_, err := server.Directory(t.Context())
			wantUnreachable(t, err, "reading the directory "+ca.DirectoryURL)
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to say %q", err, test.want)
			}
			_, err = server.Account("https://ca.example/acct/1", key(t, keys.EC256)).Order(t.Context(), "https://ca.example/order/1")
			if err == nil || acme.Gone(err) {
				t.Errorf("reading an order meanwhile: %v; it must not seem to be gone", err)
			}
		})
	}
}

// RFC 8555 does not demand absolute URLs.
func TestRelativeURLs(t *testing.T) {
	t.Parallel()
	ca := acmetest.Script(t)
	base := strings.TrimSuffix(ca.DirectoryURL, "/directory")
	relative := func(d map[string]any, h http.Header) {
		for name, value := range d {
			if text, ok := value.(string); ok {
				d[name] = strings.TrimPrefix(text, base)
			}
		}
		if list, ok := d["authorizations"].([]any); ok {
			list[0] = strings.TrimPrefix(list[0].(string), base)
		}
		h.Set("Location", strings.TrimPrefix(h.Get("Location"), base))
	}
	for _, resource := range []acmetest.Resource{acmetest.Directory, acmetest.NewAccount, acmetest.NewOrder, acmetest.Order} {
		ca.On(resource, ca.Edit(relative))
	}
	client := register(t, dial(t, ca.DirectoryURL, ca.TrustedCA), key(t, keys.EC256))
	order, err := client.NewOrder(t.Context(), dnsNames("x.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	if order.URL != base+"/order/1" || order.Finalize != base+"/order/1/finalize" || order.Authorizations[0] != base+"/authorization/1" {
		t.Errorf("got %+v", order)
	}
	if _, err := client.Order(t.Context(), order.URL); err != nil {
		t.Error(err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// While a CA is down, whoever waits for its directory waits once, not once for
// everybody before him.
func TestDirectoryFailureIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := acmeclient.New(acmeclient.Config{
			DirectoryURL: "https://ca.example/directory",
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := server.Directory(hurried); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		before, began := server.Requests(), time.Now()
		var everybody sync.WaitGroup
		for range 10 {
			everybody.Go(func() {
				if _, err := server.Directory(t.Context()); !acme.Temporary(err) {
					t.Errorf("got %v", err)
				}
			})
		}
		everybody.Wait()
		if took, requests := time.Since(began), server.Requests()-before; took != time.Minute || requests != 1 {
			t.Errorf("%d requests in %v, want 1 in a minute", requests, took)
		}
	})
}

// What one caller does with the answer is no business of the next.
func TestDirectoryIsNotShared(t *testing.T) {
	t.Parallel()
	ca := acmetest.Pebble(t)
	server := dial(t, ca.DirectoryURL, ca.TrustedCA)
	for range 2 {
		about, err := server.Directory(t.Context())
		if err != nil || about.CAAIdentities[0] != "ca.example" || len(about.Profiles) != 1 {
			t.Fatalf("%+v, %v", about, err)
		}
		about.CAAIdentities[0] = "evil.example"
		clear(about.Profiles)
	}
}
