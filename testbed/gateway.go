package testbed

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
)

// Gateway stands between clients and Pebble. It asks Pebble gently (see gentle), counts, writes down what was to
// be certified, can keep answers back, and can let requests go wrong.
type Gateway struct {
	DirectoryURL string
	TrustedCA    string // PEM; who trusts it can connect

	server   *httptest.Server
	requests atomic.Int64
	detained detained
	faults   faults
	ledger   ledger
}

// StartGateway starts a gateway on a port of 127.0.0.1.
func StartGateway(p *Pebble) (*Gateway, error) {
	target, err := url.Parse(p.DirectoryURL)
	if err != nil {
		return nil, err
	}
	target.Path = ""
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(p.TrustedCA)) {
		return nil, errors.New("the TLS certificate of Pebble cannot be read")
	}
	g := &Gateway{}
	next := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			g.requests.Add(1)
			r.SetURL(target)
			r.Out.Host = r.In.Host // the CA makes its URLs from it
		},
		Transport: g.faults.wrap(g.detained.wrap(g.ledger.wrap(&gentle{next: next}))),
		ErrorLog:  stdlog.New(io.Discard, "", 0),
	}
	g.server = httptest.NewUnstartedServer(proxy)
	g.server.EnableHTTP2 = true
	g.server.Config.ErrorLog = proxy.ErrorLog
	g.server.StartTLS()
	g.DirectoryURL = g.server.URL + "/dir"
	g.TrustedCA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.server.Certificate().Raw}))
	return g, nil
}

// Requests is how many requests there were.
func (g *Gateway) Requests() int64 { return g.requests.Load() }

// Client trusts the gateway and gives up after a while.
func (g *Gateway) Client() *http.Client {
	c := *g.server.Client()
	c.Timeout = 30 * time.Second
	return &c
}

// Stop ends the gateway and every connection to it.
func (g *Gateway) Stop() {
	g.Release()
	g.server.CloseClientConnections()
	g.server.Close()
}

// roundTrip is an http.RoundTripper that is a function.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Signing is how long a [Gateway] holds the answer to finalize back.
const Signing = 5 * time.Millisecond

// gentle asks Pebble so that it is fit to be measured, and to be asked a lot at once.
//
// Pebble asks for a second's patience where it needs a few milliseconds; that second would be all there is to
// measure, so it is taken out of the answers.
//
// Pebble 2.10.1 can also lock up for good: when it is asked for an authorization while it makes an order, because
// either takes the other's lock, and when it is asked about an order at the very moment that it signs for it,
// because it takes a read lock twice. So it makes orders while nothing else is asked of it, and has some time to
// sign.
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
	if !strings.HasPrefix(r.URL.Path, PathFinalize) {
		return response, nil
	}
	signed := time.NewTimer(Signing)
	defer signed.Stop()
	select {
	case <-signed.C:
	case <-r.Context().Done():
	}
	return response, nil
}

func (g *gentle) ask(r *http.Request) (*http.Response, error) {
	if r.URL.Path == PathNewOrder {
		g.orders.Lock()
		defer g.orders.Unlock()
	} else {
		g.orders.RLock()
		defer g.orders.RUnlock()
	}
	return g.next.RoundTrip(r)
}
