package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// gateway stands before a CA and counts the requests of one client.
type gateway struct {
	server   *httptest.Server
	requests atomic.Int64
}

func newGateway(p *testbed.Pebble) (*gateway, error) {
	target, err := url.Parse(p.DirectoryURL)
	if err != nil {
		return nil, err
	}
	target.Path = ""
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(p.TrustedCA)) {
		return nil, errors.New("the TLS certificate of Pebble cannot be read")
	}
	g := &gateway{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			g.requests.Add(1)
			r.SetURL(target)
			r.Out.Host = r.In.Host // the CA makes its URLs from it
		},
		Transport: &gentle{next: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64,
		}},
		ErrorLog: stdlog.New(io.Discard, "", 0),
	}
	g.server = httptest.NewUnstartedServer(proxy)
	g.server.EnableHTTP2 = true
	g.server.Config.ErrorLog = proxy.ErrorLog
	g.server.StartTLS()
	return g, nil
}

func (g *gateway) directoryURL() string { return g.server.URL + "/dir" }

// trustedCA is the certificate, in PEM, that makes the gateway trusted.
func (g *gateway) trustedCA() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw}))
}

// client is one that trusts the gateway and gives up after a while.
func (g *gateway) client() *http.Client {
	c := *g.server.Client()
	c.Timeout = 30 * time.Second
	return &c
}

func (g *gateway) close() {
	g.server.CloseClientConnections()
	g.server.Close()
}

// signing is how long the answer to finalize is held back.
const signing = 5 * time.Millisecond

// gentle asks Pebble so that it is fit to be measured.
//
// Pebble asks for a second's patience where it needs a few milliseconds; that
// second would be all there is to measure, so it is taken out of the answers.
//
// Pebble 2.10.1 can also lock up for good: when it is asked for an authorization
// while it makes an order, because either takes the other's lock, and when it is
// asked about an order at the very moment that it signs for it, because it takes
// a read lock twice. So it makes orders while nothing else is asked of it, and
// has some time to sign.
type gentle struct {
	next   http.RoundTripper
	orders sync.RWMutex
}

// RoundTrip implements http.RoundTripper.
func (g *gentle) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := g.ask(r)
	if err != nil {
		return nil, err
	}
	response.Header.Del("Retry-After")
	if !strings.HasPrefix(r.URL.Path, "/finalize-order/") {
		return response, nil
	}
	signed := time.NewTimer(signing)
	defer signed.Stop()
	select {
	case <-signed.C:
	case <-r.Context().Done():
	}
	return response, nil
}

func (g *gentle) ask(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/order-plz" {
		g.orders.Lock()
		defer g.orders.Unlock()
	} else {
		g.orders.RLock()
		defer g.orders.RUnlock()
	}
	return g.next.RoundTrip(r)
}
