package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Pebble, which shares our signature library, would refuse the largest kind of
// account key; CAs differ in this, and tests want one that takes every kind.
func init() { jose.MaxRSAModulusBits = 8192 }

// PebbleServer is a running Pebble.
type PebbleServer struct {
	// DirectoryURL is where the ACME directory is, over TLS.
	DirectoryURL string
	// TrustedCA is the PEM certificate that makes the server trusted.
	TrustedCA []byte
	// Roots are those of the certificates it issues; they have nothing to do
	// with TrustedCA.
	Roots *x509.CertPool
	// DB is Pebble's memory: accounts, orders, authorizations, certificates.
	DB *db.MemoryStore
	// Issuer is Pebble's signing part.
	Issuer *ca.CAImpl
	// HTTP is the server itself, for tests that stop it.
	HTTP *httptest.Server
}

// Pebble starts a CA. Without options it accepts every nonce, reuses no
// authorization, does not sleep before it validates, asks for no external
// account, offers one profile called "default", and validates where nobody
// listens: see [CA].
//
// Three faults of Pebble 2.10 to know of: it never answers (and holds the
// connection) when a second challenge is tried of an authorization that was
// read after it was settled; it answers 200 and changes nothing when the new
// key of a key change belongs to another account; and it never reuses a
// pending order.
func Pebble(t testing.TB, opts ...Option) *PebbleServer {
	t.Helper()
	s := defaults()
	for _, opt := range opts {
		opt(&s)
	}
	p := &PebbleServer{DB: db.NewMemoryStore(), Roots: x509.NewCertPool()}
	front := s.build(t, p)
	for i := range p.Issuer.GetNumberOfRootCerts() {
		p.Roots.AddCert(p.Issuer.GetRootCert(i).Cert)
	}
	p.HTTP = httptest.NewUnstartedServer(oneAtATime(front.Handler()))
	p.HTTP.EnableHTTP2 = true
	p.HTTP.Config.ErrorLog = newLogger(t, "pebble's web server")
	p.HTTP.StartTLS()
	t.Cleanup(func() { closeServer(p.HTTP) })
	p.DirectoryURL = p.HTTP.URL + wfe.DirectoryPath
	p.TrustedCA = certificatePEM(p.HTTP)
	return p
}

// oneAtATime hands requests to Pebble one after the other. Two at once may hold
// each other up for ever (an order that is placed and an authorization that is
// read), and a change of an account's key races with every use of the account:
// faults of Pebble 2.10 that are none of the code under test.
func oneAtATime(pebble http.Handler) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		pebble.ServeHTTP(w, r)
	})
}

// build makes Pebble's parts. Some of its settings can only be given as
// environment variables, which are read while the parts are made.
func (s settings) build(t testing.TB, p *PebbleServer) (front wfe.WebFrontEndImpl) {
	t.Helper()
	logger := newLogger(t, "pebble")
	s.inEnvironment(func() {
		p.Issuer = ca.New(logger, p.DB, "", "ecdsa", s.alternateRoots, s.chainLength, maps.Clone(s.profiles))
		front = wfe.New(logger, p.DB, s.validator(logger, p.DB), p.Issuer, []string{"ca.example"},
			s.strict, len(s.eabKeys) > 0, s.retryAuthorization, s.retryOrder)
	})
	for kid, key := range s.eabKeys {
		if err := p.DB.AddExternalAccountKeyByID(kid, key); err != nil {
			t.Fatalf("the external account key %q: %v", kid, err)
		}
	}
	for _, domain := range s.blocked {
		if err := p.DB.AddBlockedDomain(domain); err != nil {
			t.Fatalf("blocking %q: %v", domain, err)
		}
	}
	return front
}

func (s settings) validator(logger *log.Logger, store *db.MemoryStore) *va.VAImpl {
	return va.New(logger, s.httpPort, s.tlsPort, s.strict, s.resolver, store)
}

// environment guards the process's environment while a Pebble is made.
var environment sync.Mutex

// inEnvironment runs f with Pebble's variables set, and then puts back what
// was there.
func (s settings) inEnvironment(f func()) {
	environment.Lock()
	defer environment.Unlock()
	for name, value := range map[string]string{
		"PEBBLE_WFE_NONCEREJECT": strconv.Itoa(s.nonceReject),
		"PEBBLE_AUTHZREUSE":      strconv.Itoa(s.authzReuse),
		"PEBBLE_VA_NOSLEEP":      "1",
		"PEBBLE_VA_ALWAYS_VALID": map[bool]string{true: "1", false: ""}[s.alwaysValid],
	} {
		defer restoreVariable(name)()
		_ = os.Setenv(name, value) // fails on malformed names only
	}
	f()
}

func restoreVariable(name string) func() {
	old, was := os.LookupEnv(name)
	return func() {
		if was {
			_ = os.Setenv(name, old)
			return
		}
		_ = os.Unsetenv(name)
	}
}

// closeServer ends a server without waiting for clients that keep their
// connections alive.
func closeServer(s *httptest.Server) {
	s.CloseClientConnections()
	s.Close()
}

func certificatePEM(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}
