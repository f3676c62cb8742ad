package acmeclient

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

const (
	// maxBody bounds an answer, in bytes. An order with a hundred names, or a
	// chain of ten certificates, has less than a tenth of it.
	maxBody = 1 << 20
	// patience is how long one verb may take, nonces and repetitions included.
	patience = 60 * time.Second
	// finalizePatience is longer because some CAs certify while the request
	// waits, and giving up early does not stop them.
	finalizePatience = 90 * time.Second
)

// request is one thing asked of a CA.
type request struct {
	doing   string // for errors, to be followed by the URL: "reading the order"
	url     string
	payload []byte // nil for POST-as-GET (RFC 8555 §6.3)
	accept  string // media type, empty for JSON
	// patience is 0 for the usual.
	patience time.Duration
}

// unreachable wraps what kept an answer from coming, or from being understood.
func (r request) unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the rest repeats method and URL
	}
	if _, untrusted := errors.AsType[x509.UnknownAuthorityError](err); untrusted {
		err = fmt.Errorf("%w (a private CA's root has to be given as its trusted CA)", err)
	}
	where := r.url
	if u, err := url.Parse(where); err == nil {
		where = u.Redacted()
	}
	return &acme.Unreachable{Doing: r.doing + " " + upstream.Clean(where, maxWord), Err: err}
}

// answer is what a CA said.
type answer struct {
	request
	status int
	header http.Header
	body   []byte
	now    time.Time // of its arrival
}

// exchange sends one HTTP request. The error is an *acme.Unreachable, and a
// redirect is one: RFC 8555 has none, and a signature is for one URL.
func (s *Server) exchange(ctx context.Context, method string, r request, body []byte) (*answer, error) {
	hr, err := s.newRequest(ctx, method, r, body)
	if err != nil {
		return nil, r.unreachable(err)
	}
	s.requests.Add(1)
	response, err := s.http.Do(hr)
	if err != nil {
		return nil, r.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, r.unreachable(fmt.Errorf("reading the answer: %w", err))
	}
	switch {
	case len(data) > maxBody:
		return nil, r.unreachable(fmt.Errorf("the answer has more than %d bytes", maxBody))
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return nil, r.unreachable(fmt.Errorf("the answer is a redirect (HTTP status %d, to %q), which ACME does not have",
			response.StatusCode, upstream.Clean(response.Header.Get("Location"), maxExcerpt)))
	}
	return &answer{request: r, status: response.StatusCode, header: response.Header, body: data, now: s.now()}, nil
}

func (s *Server) newRequest(ctx context.Context, method string, r request, body []byte) (*http.Request, error) {
	if _, err := parseURL(r.url); err != nil {
		return nil, err
	}
	hr, err := http.NewRequestWithContext(ctx, method, r.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	// Without GetBody net/http cannot send the body a second time. A repeated
	// JWS would be answered with badNonce although the first one had succeeded.
	hr.GetBody = nil
	if body == nil {
		hr.Body = http.NoBody
	} else {
		hr.Header.Set("Content-Type", "application/jose+json")
	}
	if r.accept != "" {
		hr.Header.Set("Accept", r.accept)
	}
	hr.Header.Set("User-Agent", s.userAgent)
	hr.Header.Set("Accept-Language", "en")
	return hr, nil
}

// decode reads a JSON document.
func (a *answer) decode(v any) error {
	if err := json.Unmarshal(a.body, v); err != nil {
		return a.unreachable(fmt.Errorf("the answer is not the JSON that was expected (%w): %q", err, a.excerpt()))
	}
	return nil
}

// resolve reads a URL of the answer; what names it in the error.
func (a *answer) resolve(what, ref string) (string, error) {
	u, err := resolve(a.url, ref)
	if err != nil {
		return "", a.unreachable(fmt.Errorf("the URL of the %s in the answer: %w", what, err))
	}
	return u, nil
}

// location reads the header Location.
func (a *answer) location(what string) (string, error) {
	return a.resolve(what, a.header.Get("Location"))
}

func (a *answer) excerpt() string { return upstream.Excerpt(a.body, a.header.Get("Content-Type")) }

// retryAfter is how long the CA asks to wait, 0 when it did not say.
func (a *answer) retryAfter() time.Duration {
	return upstream.RetryAfter(a.header.Get("Retry-After"), a.now)
}
