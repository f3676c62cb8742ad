package acmetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// ResponderServer answers challenges on 127.0.0.1, and on ::1 where the machine
// has IPv6.
type ResponderServer struct {
	// HTTPPort is where http-01 is answered.
	HTTPPort int
	// TLSPort is where tls-alpn-01 is answered.
	TLSPort int
	// IPv6 tells whether ::1 answers as well.
	IPv6 bool
	// Resolver is the address of the DNS server, "127.0.0.1:port", over UDP and
	// TCP. Every name has the address 127.0.0.1 there.
	Resolver string

	records *challtestsrv.ChallSrv
}

// Responder starts a web server, a TLS server and a DNS server. The three share
// nothing with those of other tests.
func Responder(t testing.TB) *ResponderServer {
	t.Helper()
	// The library's own servers cannot be used: they take fixed ports, and all
	// its DNS servers of a process share one set of records.
	records, err := challtestsrv.New(challtestsrv.Config{
		Log:          newLogger(t, "responder"),
		HTTPOneAddrs: []string{"127.0.0.1:0"}, // one is demanded; it is never started
	})
	if err != nil {
		t.Fatalf("making the responder: %v", err)
	}
	records.SetDefaultDNSIPv6("") // we listen on IPv4 only
	web, secure := listenBoth(t), listenBoth(t)
	config := alpnConfig(t, records)
	for _, l := range web {
		serve(t, l, records)
	}
	for _, l := range secure {
		serve(t, tls.NewListener(l, config), records)
	}
	return &ResponderServer{
		HTTPPort: port(web), TLSPort: port(secure), IPv6: len(web) > 1 && len(secure) > 1,
		Resolver: serveDNS(t, records), records: records,
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	return l
}

// listenBoth takes a port of 127.0.0.1, and the same one of ::1 where that can
// be had.
func listenBoth(t testing.TB) []net.Listener {
	t.Helper()
	both := []net.Listener{listen(t)}
	if l, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", port(both))); err == nil {
		both = append(both, l)
	}
	return both
}

func port(l []net.Listener) int { return l[0].Addr().(*net.TCPAddr).Port }

// serve answers on the listener until the test ends.
func serve(t testing.TB, l net.Listener, h http.Handler) {
	t.Helper()
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: newLogger(t, "responder's web server")}
	go func() { _ = server.Serve(l) }() // always ends with an error: that of Close
	t.Cleanup(func() { _ = server.Close() })
}

func alpnConfig(t testing.TB, records *challtestsrv.ChallSrv) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making the key for tls-alpn-01: %v", err)
	}
	names := records.ServeChallengeCertFunc(key)
	return &tls.Config{
		NextProtos: []string{challtestsrv.ACMETLS1Protocol},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if address, ok := reversed(hello.ServerName); ok {
				keyAuth, _ := records.GetTLSALPNChallenge(address.String())
				return certifyAddress(key, address, keyAuth)
			}
			return names(hello)
		},
		MinVersion: tls.VersionTLS12,
	}
}

// Set answers http-01 for a token with a key authorization.
func (r *ResponderServer) Set(token, keyAuth string) { r.records.AddHTTPOneChallenge(token, keyAuth) }

// Unset ends what Set began.
func (r *ResponderServer) Unset(token string) { r.records.DeleteHTTPOneChallenge(token) }

// SetALPN answers tls-alpn-01 for a host name with a key authorization.
func (r *ResponderServer) SetALPN(host, keyAuth string) { r.records.AddTLSALPNChallenge(host, keyAuth) }

// AddTXT adds a value to the TXT records of a name.
func (r *ResponderServer) AddTXT(name, value string) { r.records.AddDNSTXTRecord(name, value) }

// ClearTXT removes every TXT record of a name.
func (r *ResponderServer) ClearTXT(name string) { r.records.DeleteDNSTXTRecord(name) }

// TXT gives the TXT records of a name.
func (r *ResponderServer) TXT(name string) []string { return r.records.GetDNSTXTRecords(name) }

// SetCNAME makes a name an alias.
func (r *ResponderServer) SetCNAME(name, target string) { r.records.AddDNSCNAMERecord(name, target) }

// FailDNS makes every query for a name end with SERVFAIL.
func (r *ResponderServer) FailDNS(name string) { r.records.AddDNSServFailRecord(name) }

// Fulfil publishes what a challenge asks for, whatever its type. It takes the
// key authorization and the value for DNS, which is its digest.
func (r *ResponderServer) Fulfil(a acme.Authorization, c acme.Challenge, keyAuth, dnsValue string) error {
	switch c.Type {
	case acme.HTTP01:
		r.Set(c.Token, keyAuth)
	case acme.DNS01:
		r.AddTXT("_acme-challenge."+a.Identifier.Value, dnsValue)
	case acme.TLSALPN01:
		r.SetALPN(a.Identifier.Value, keyAuth)
	default:
		return fmt.Errorf("the responder cannot fulfil a challenge of type %q", c.Type)
	}
	return nil
}
