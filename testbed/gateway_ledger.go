package testbed

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Finalization is one request to certify a key (RFC 8555, section 7.4), and what came of it.
type Finalization struct {
	Order    string   // the path that it was sent to, one of each order
	Names    []string // of the request, sorted
	Key      string   // hash of the public key
	Accepted bool
}

// Finalizations are all such requests that the gateway has seen, in the order of their answers.
func (g *Gateway) Finalizations() []Finalization {
	g.ledger.mu.Lock()
	defer g.ledger.mu.Unlock()
	return slices.Clone(g.ledger.entries)
}

// Ordered is how many orders the CA was asked for and made.
func (g *Gateway) Ordered() int {
	g.ledger.mu.Lock()
	defer g.ledger.mu.Unlock()
	return g.ledger.orders
}

// ledger writes orders and finalizations down.
type ledger struct {
	mu      sync.Mutex
	orders  int
	entries []Finalization
}

func (l *ledger) wrap(next http.RoundTripper) http.RoundTripper {
	finalize := l.finalizations(next)
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if strings.HasPrefix(r.URL.Path, PathFinalize) {
			return finalize.RoundTrip(r)
		}
		response, err := next.RoundTrip(r)
		if err == nil && r.URL.Path == PathNewOrder && response.StatusCode == http.StatusCreated {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.orders++
		}
		return response, err
	})
}

func (l *ledger) finalizations(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		entry, err := readFinalization(body)
		if err != nil {
			return nil, err
		}
		response, err := next.RoundTrip(r)
		entry.Order, entry.Accepted = r.URL.Path, err == nil && response.StatusCode == http.StatusOK
		l.mu.Lock()
		defer l.mu.Unlock()
		l.entries = append(l.entries, entry)
		return response, err
	})
}

// readFinalization reads the certificate request in a signed request.
func readFinalization(body []byte) (Finalization, error) {
	var signed, payload struct{ Payload, CSR string }
	if err := json.Unmarshal(body, &signed); err != nil {
		return Finalization{}, fmt.Errorf("a request to finalize is no JWS: %w", err)
	}
	text, err := base64.RawURLEncoding.DecodeString(signed.Payload)
	if err == nil {
		err = json.Unmarshal(text, &payload)
	}
	if err != nil {
		return Finalization{}, fmt.Errorf("the payload of a request to finalize: %w", err)
	}
	der, err := base64.RawURLEncoding.DecodeString(payload.CSR)
	if err != nil {
		return Finalization{}, fmt.Errorf("the csr of a request to finalize: %w", err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return Finalization{}, fmt.Errorf("the csr of a request to finalize: %w", err)
	}
	key := sha256.Sum256(csr.RawSubjectPublicKeyInfo)
	return Finalization{Names: slices.Sorted(slices.Values(csr.DNSNames)), Key: hex.EncodeToString(key[:])}, nil
}
