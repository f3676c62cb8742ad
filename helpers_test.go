package pkiexternalca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"path"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/acmetest"
)

// fields is the body of a request.
type fields = map[string]any

// with gives the fields with some replaced; nil takes one away.
func with(base, more fields) fields {
	out := maps.Clone(base)
	for name, value := range more {
		out[name] = value
		if value == nil {
			delete(out, name)
		}
	}
	return out
}

// crowd runs subtests side by side that mostly wait, for a CA that is down or for
// a pause to end: more of them than t.Parallel would.
type crowd struct {
	t       *testing.T
	running sync.WaitGroup
	places  chan struct{}
}

// newCrowd makes one whose members have all ended when the test ends; the test
// must defer wait.
func newCrowd(t *testing.T) *crowd { return &crowd{t: t, places: make(chan struct{}, 12)} }

func (c *crowd) run(name string, test func(*testing.T)) {
	c.running.Go(func() {
		c.places <- struct{}{}
		defer func() { <-c.places }()
		c.t.Run(name, test)
	})
}

func (c *crowd) wait() { c.running.Wait() }

// sameJSON tells whether two values are the same to a client.
func sameJSON(t testing.TB, a, b any) bool {
	t.Helper()
	return asJSON(t, a) == asJSON(t, b)
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// accountAtPebble gives an account as Pebble has it, by the account_url of an
// answer.
func accountAtPebble(ca *acmetest.PebbleServer, data fields) acme.Account {
	url := data["account_url"].(string)
	at := ca.DB.GetAccountByID(path.Base(url))
	if at == nil {
		return acme.Account{}
	}
	return acme.Account{URL: url, Status: acme.Status(at.Status), Contacts: at.Contact}
}

// newKey makes a small key.
func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// selfSigned makes a PEM certificate that has signed nothing but itself.
func selfSigned(t testing.TB) []byte {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Somebody Else"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// fromBase64URL reads what a JWS carries.
func fromBase64URL(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
