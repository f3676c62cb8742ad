package testbed

import (
	"net/http"
	"strings"
	"sync"
)

// Where Pebble has what, each the beginning of a path.
const (
	PathAnything    = "/"
	PathDirectory   = "/dir"
	PathNonce       = "/nonce-plz"
	PathNewOrder    = "/order-plz"
	PathOrder       = "/my-order/"
	PathProof       = "/authZ/"
	PathChallenge   = "/chalZ/"
	PathFinalize    = "/finalize-order/"
	PathCertificate = "/certZ/"
	PathNewAccount  = "/sign-me-up"
	PathAccount     = "/my-account/"
	PathKeyChange   = "/rollover-account-key"
	PathRevoke      = "/revoke-cert"
)

// Detain keeps answers to requests below a path back until [Gateway.Release]: the CA does as it is asked, and
// the client does not learn of it. A client that goes away meanwhile never does.
func (g *Gateway) Detain(paths ...string) { g.detained.begin(paths) }

// Detained is how many answers have been kept back since Detain, those of clients that have gone included.
func (g *Gateway) Detained() int { return g.detained.count() }

// Release hands over the answers that are kept back, and keeps no more.
func (g *Gateway) Release() { g.detained.end() }

// detained are the answers that are kept back.
type detained struct {
	mu    sync.Mutex
	paths []string
	freed chan struct{} // nil while nothing is kept back
	kept  int
}

func (d *detained) begin(paths []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.freed != nil {
		close(d.freed)
	}
	d.paths, d.freed, d.kept = paths, make(chan struct{}), 0
}

func (d *detained) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.freed != nil {
		close(d.freed)
		d.freed = nil
	}
}

func (d *detained) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept
}

// until is when the answer to a request may go; nil: now.
func (d *detained) until(path string) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.freed == nil {
		return nil
	}
	for _, begin := range d.paths {
		if strings.HasPrefix(path, begin) {
			d.kept++
			return d.freed
		}
	}
	return nil
}

func (d *detained) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if freed := d.until(r.URL.Path); freed != nil {
			select {
			case <-freed:
			case <-r.Context().Done():
			}
		}
		return response, nil
	})
}
