package acmeclient

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

// maxSubproblems bounds what is kept; an order has at most a hundred names.
const maxSubproblems = 100

// wireProblem is a problem document (RFC 7807, RFC 8555 §6.7). It has more
// than the library's type, which drops algorithms and the identifier.
type wireProblem struct {
	Type        string           `json:"type"`
	Title       string           `json:"title"`
	Detail      string           `json:"detail"`
	Instance    string           `json:"instance"`
	Identifier  *acme.Identifier `json:"identifier"`
	Subproblems []wireProblem    `json:"subproblems"`
	Algorithms  []string         `json:"algorithms"`
}

// problem gives the refusal that an answer is, or nil. The HTTP status decides
// whether it is one: proxies in front of CAs answer 429 and 503 with pages.
func (a *answer) problem() *acme.Problem {
	if a.status < http.StatusBadRequest {
		return nil
	}
	p := decodeProblem(a.body)
	if p == nil {
		p = &acme.Problem{Detail: a.excerpt()}
	}
	p.Status = a.status
	p.RetryAfter = a.retryAfter()
	if location, err := resolve(a.url, a.header.Get("Location")); err == nil {
		p.Location = location
	}
	return p
}

// decodeProblem reads a problem document, or gives nil. A member of a wrong
// type costs that member, not the document.
func decodeProblem(body []byte) *acme.Problem {
	var w wireProblem
	var mistyped *json.UnmarshalTypeError
	if err := json.Unmarshal(body, &w); err != nil && !errors.As(err, &mistyped) {
		return nil
	}
	if w.Type == "" && w.Detail == "" && w.Title == "" {
		return nil
	}
	return w.problem()
}

// problem cleans a document. Only its own subproblems are kept: those have none
// (RFC 8555 §6.7.1).
func (w *wireProblem) problem() *acme.Problem {
	if w == nil {
		return nil
	}
	p := w.bare()
	for i := range w.Subproblems[:min(len(w.Subproblems), maxSubproblems)] {
		p.Subproblems = append(p.Subproblems, w.Subproblems[i].bare())
	}
	return &p
}

func (w *wireProblem) bare() acme.Problem {
	p := acme.Problem{Type: upstream.Clean(w.Type, maxWord), Detail: upstream.Clean(w.Detail, maxDetail), Instance: upstream.Clean(w.Instance, maxWord)}
	if p.Type == "about:blank" { // RFC 7807 §4.2: nothing beyond the HTTP status
		p.Type = ""
	}
	if p.Detail == "" {
		p.Detail = upstream.Clean(w.Title, maxDetail)
	}
	if w.Identifier != nil && w.Identifier.Value != "" {
		i := cleanIdentifier(w.Identifier.Type, w.Identifier.Value)
		p.Identifier = &i
	}
	for _, algorithm := range w.Algorithms[:min(len(w.Algorithms), maxLinks)] {
		p.Algorithms = append(p.Algorithms, upstream.Clean(algorithm, maxWord))
	}
	return p
}

// cleanIdentifier gives an address the spelling of RFC 5952, in which it was
// ordered (RFC 8738 §3), whatever the CA's.
func cleanIdentifier[T ~string](kind T, value string) acme.Identifier {
	id := acme.Identifier{Type: acme.IdentifierType(upstream.Clean(string(kind), maxWord)), Value: upstream.Clean(value, maxWord)}
	if address, err := netip.ParseAddr(id.Value); err == nil && id.Type == acme.IP {
		id.Value = address.String()
	}
	return id
}
