package acmetest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// Resource is a kind of thing that a CA serves.
type Resource string

// The resources of RFC 8555 §7.1 and one more; [everything] lists them.
const (
	Directory     Resource = "directory"
	NewNonce      Resource = "new-nonce"
	NewAccount    Resource = "new-account"
	Account       Resource = "account"
	KeyChange     Resource = "key-change"
	NewOrder      Resource = "new-order"
	Order         Resource = "order"
	Finalize      Resource = "finalize"
	Authorization Resource = "authorization"
	Challenge     Resource = "challenge"
	Certificate   Resource = "certificate"
	RevokeCert    Resource = "revoke-cert"
	RenewalInfo   Resource = "renewal-info" // RFC 9773
)

var everything = []Resource{
	Directory, NewNonce, NewAccount, Account, KeyChange, NewOrder, Order,
	Finalize, Authorization, Challenge, Certificate, RevokeCert, RenewalInfo,
}

// Handler answers one request. The nonce of the request has been accepted and
// a new one is among the headers of the answer already.
type Handler func(w http.ResponseWriter, r *Request)

// ScriptServer is a fake CA. Left alone it issues properly: any account, any
// name, every challenge passes as soon as it is answered, and certificates are
// signed by a root of its own. It does not verify signatures. A test changes
// what it is about and nothing else:
//
//	ca := acmetest.Script(t)
//	ca.On(acmetest.Order, ca.Edit(func(order map[string]any, h http.Header) {
//		order["status"] = "processing" // for ever
//		h.Set("Retry-After", "3")
//	}))
//	ca.On(acmetest.Finalize, ca.Times(1, ca.Lost()))
//	ca.On(acmetest.NewOrder, ca.Sequence(acmetest.HTML(429, "slow down"), nil))
//	ca.Certify(func(leaf *x509.Certificate) { leaf.NotAfter = time.Now().Add(-time.Minute) })
type ScriptServer struct {
	// DirectoryURL is where the ACME directory is, over TLS.
	DirectoryURL string
	// TrustedCA is the PEM certificate that makes the server trusted.
	TrustedCA []byte
	// Roots are those of the certificates it issues.
	Roots *x509.CertPool

	t      testing.TB
	http   *httptest.Server
	issuer *issuer

	mu        sync.Mutex
	scripted  map[Resource]Handler
	requests  []Request
	nonces    map[string]bool
	rejecting int // of so many nonces only the last is accepted
	presented int // nonces so far
	refused   int
	ca        fakeCA
}

// Script starts a fake CA that issues properly.
func Script(t testing.TB) *ScriptServer {
	t.Helper()
	s := &ScriptServer{t: t, scripted: map[Resource]Handler{}, nonces: map[string]bool{}, issuer: newIssuer(t)}
	s.http = httptest.NewUnstartedServer(s)
	s.http.EnableHTTP2 = true
	s.http.Config.ErrorLog = newLogger(t, "fake CA's web server")
	s.http.StartTLS()
	t.Cleanup(func() { closeServer(s.http) })
	s.ca = newFakeCA(s.http.URL)
	s.DirectoryURL = s.http.URL + "/" + string(Directory)
	s.TrustedCA = certificatePEM(s.http)
	s.Roots = s.issuer.roots
	return s
}

// On makes a handler answer a resource from now on; nil gives the resource
// back to the fake CA. The handler may call [ScriptServer.Default].
func (s *ScriptServer) On(resource Resource, h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripted[resource] = h
}

// OnAll makes a handler answer every resource, as [Cut] does during an outage;
// nil gives them all back to the fake CA.
func (s *ScriptServer) OnAll(h Handler) {
	for _, resource := range everything {
		s.On(resource, h)
	}
}

// Count tells how many requests a resource has had, without those that were
// refused for their nonce.
func (s *ScriptServer) Count(resource Resource) int {
	return len(s.Requests(resource))
}

// Requests gives the requests that a resource has had, oldest first, without
// those that were refused for their nonce.
func (s *ScriptServer) Requests(resource Resource) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.requests), func(r Request) bool { return r.Resource != resource })
}

// RejectNonces makes the fake CA accept only every nth nonce, and answer
// badNonce to the others. 0 and 1 accept all, a very large n none.
func (s *ScriptServer) RejectNonces(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejecting, s.presented = n, 0
}

// ForgetNonces makes every nonce that was handed out so far worthless.
func (s *ScriptServer) ForgetNonces() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.nonces)
}

// RefusedNonces tells how many requests were refused for their nonce.
func (s *ScriptServer) RefusedNonces() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// ServeHTTP takes a request apart, checks its nonce, and hands it to the
// resource's handler.
func (s *ScriptServer) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	r, err := s.parse(hr)
	if err != nil {
		Problem(http.StatusBadRequest, acme.Malformed, err.Error())(w, r)
		return
	}
	if hr.Method == http.MethodPost || r.Resource == NewNonce {
		w.Header().Set("Replay-Nonce", s.mintNonce())
	}
	if hr.Method == http.MethodPost && !s.acceptNonce(r.Nonce) {
		Problem(http.StatusBadRequest, acme.BadNonce, "this nonce is not good")(w, r)
		return
	}
	s.record(r)(w, r)
}

// record notes a request and finds its handler.
func (s *ScriptServer) record(r *Request) Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, *r)
	if h := s.scripted[r.Resource]; h != nil {
		return h
	}
	return s.Default
}

func (s *ScriptServer) mintNonce() string {
	nonce := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nonces[nonce] = true
	return nonce
}

func (s *ScriptServer) acceptNonce(nonce string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.nonces[nonce]
	delete(s.nonces, nonce)
	s.presented++
	if known && (s.rejecting < 2 || s.presented%s.rejecting == 0) {
		return true
	}
	s.refused++
	return false
}

// locate finds the resource that a path names, and the number in it:
// "/order/3/finalize" is Finalize of 3.
func locate(path string) (Resource, string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	parts = append(parts, "", "")
	if parts[0] == string(Order) && parts[2] == string(Finalize) {
		return Finalize, parts[1]
	}
	return Resource(parts[0]), parts[1]
}

func decodeSegment(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
