package dnsprovider_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/framework"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
)

// cloud is the hosts of a service, which are on 127.0.0.1 in truth. A request
// to any other host fails the test.
type cloud struct {
	t     *testing.T
	hosts map[string]http.HandlerFunc

	mu     sync.Mutex
	faults []fault
	asked  []string // "GET api.example.com/path"
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	pool   *x509.CertPool
}

// fault is an answer that takes the place of the right one, for requests that
// begin with what it is for: "POST api.example.com/zones".
type fault struct {
	on     string
	times  int // 0 for always
	status int
	header http.Header
	body   string
	// before is called in place of an answer, which then is the right one.
	before func()
}

// serveCloud starts the hosts. That of metadata services is served without TLS.
func serveCloud(t *testing.T, hosts map[string]http.HandlerFunc) *cloud {
	t.Helper()
	c := &cloud{t: t, hosts: hosts, pool: x509.NewCertPool()}
	secure, plain := httptest.NewUnstartedServer(c), httptest.NewServer(c)
	// Clients that go before they have greeted would be told about on standard error.
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	c.pool.AddCert(secure.Certificate())
	c.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		to := secure.Listener.Addr().String()
		if strings.HasSuffix(address, ":80") {
			to = plain.Listener.Addr().String()
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	return c
}

// options leads requests to all hosts of the internet to the cloud.
func (c *cloud) options() dnsprovider.Options {
	transport := &http.Transport{
		DialContext: c.dial,
		// The certificate is for example.com, whichever host is meant.
		TLSClientConfig: &tls.Config{RootCAs: c.pool, ServerName: "example.com"},
	}
	c.t.Cleanup(transport.CloseIdleConnections)
	return dnsprovider.Options{Transport: transport}
}

// ServeHTTP implements http.Handler.
func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := r.Method + " " + r.Host + r.URL.Path
	c.mu.Lock()
	c.asked = append(c.asked, asked)
	c.mu.Unlock()
	if f, ok := c.fault(asked); ok {
		if f.before == nil {
			answer(w, f)
			return
		}
		f.before()
	}
	host, ok := c.hosts[r.Host]
	if !ok {
		c.t.Errorf("%s was asked, which has nothing to do with the service", asked)
		http.Error(w, "no such host", http.StatusBadGateway)
		return
	}
	host(w, r)
}

func answer(w http.ResponseWriter, f fault) {
	for name, values := range f.header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.status)
	_, _ = io.WriteString(w, f.body) // the client may have enough of it
}

// inject makes requests fail from now on.
func (c *cloud) inject(f fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.times == 0 {
		f.times = 1 << 30
	}
	c.faults = append(c.faults, f)
}

func (c *cloud) fault(asked string) (fault, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.faults {
		if f := &c.faults[i]; f.times > 0 && strings.HasPrefix(asked, f.on) {
			f.times--
			return *f, true
		}
	}
	return fault{}, false
}

// count tells how many requests began so.
func (c *cloud) count(on string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, asked := range c.asked {
		if strings.HasPrefix(asked, on) {
			n++
		}
	}
	return n
}

// create makes the settings of a provider called "one".
func create(kind string, raw map[string]any) (dnsprovider.Entry, error) {
	t := dnsprovider.Find(kind)
	all := map[string]any{"identifiers": "example.com"}
	for name, v := range raw {
		all[name] = v
	}
	return t.Create("one", &framework.FieldData{Raw: all, Schema: t.Schema(nil)}, time.Unix(0, 0))
}

// open makes a provider whose requests go to the cloud.
func (c *cloud) open(t *testing.T, kind string, raw map[string]any) dns01.Provider {
	t.Helper()
	e, err := create(kind, raw)
	if err != nil {
		t.Fatalf("settings of %s: %v", kind, err)
	}
	p, err := e.Open(c.options())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// proof is a record with a value as challenges have them.
func proof(name string) dns01.Record {
	return dns01.Record{Name: name, Value: "gfj9Xq_Rg85nM-A1Zs2v7QYh3bWk0LxTnUiOe4cVd8E", TTL: 2 * time.Minute}
}

// failed demands a *dns01.Failure in which no secret shows.
func failed(t *testing.T, err error, secrets ...string) *dns01.Failure {
	t.Helper()
	f, ok := errors.AsType[*dns01.Failure](err)
	if !ok {
		t.Fatalf("got %v, want a failure", err)
	}
	for _, s := range secrets {
		if strings.Contains(err.Error(), s) {
			t.Errorf("the error shows a credential: %v", err)
		}
	}
	return f
}
