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
	"sync/atomic"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// gateway stands before a CA and counts the requests of one client.
//
// It takes Retry-After out of the answers: Pebble asks for a second where it
// needs a few milliseconds, and that second would be all there is to measure.
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
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Retry-After")
			return nil
		},
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 64,
		},
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

func (g *gateway) close() {
	g.server.CloseClientConnections()
	g.server.Close()
}
