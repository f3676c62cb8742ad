// Package acmeclient holds the verbs of RFC 8555, as package acme holds its
// nouns. It is the only package that knows an ACME library.
//
// Every verb is one request that the CA may answer, refuse, or leave
// unanswered; none of them polls, so whoever calls can stop after any of them
// and go on after a restart. What a verb does by itself is what RFC 8555 §6.5
// asks of it: get a nonce, and repeat the request with the next one when the
// CA says badNonce.
//
// # Errors
//
// A refusal is an *[acme.Problem]. No answer, or one that is not ACME, is an
// *[acme.Unreachable]: whether the CA acted on the request is then unknown, and
// the caller must look before it repeats anything that matters (§7.4).
//
// # What is not trusted
//
// Everything a CA sends is bounded in size and cleaned of control characters
// before it gets into a value or an error; redirects are refused, and only
// https URLs are followed.
package acmeclient

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

const defaultUserAgent = "vault-plugin-secrets-pki-external-ca"

// Config says which CA to talk to and how.
type Config struct {
	// DirectoryURL is the CA's directory, over https.
	DirectoryURL string
	// TrustedCA holds PEM certificates that are trusted in addition to those of
	// the system, not in their place: a CA that moves from a private to a
	// public certificate keeps working. May be empty.
	TrustedCA []byte
	// UserAgent is sent with every request (RFC 8555 §6.1); empty for the
	// plugin's name.
	UserAgent string
	// Transport replaces the connections made here, and then TrustedCA has no
	// effect. Nil, except in tests.
	Transport http.RoundTripper
	// Now is the clock; nil for the real one.
	Now func() time.Time
}

// Server is one CA: its directory, its connections and its nonces, which all
// accounts there share. It is safe for concurrent use.
type Server struct {
	url       string
	userAgent string
	http      *http.Client
	now       func() time.Time
	nonces    noncePool
	directory directoryCache
	requests  atomic.Int64
}

// New checks a configuration. It does not talk to the CA.
func New(c Config) (*Server, error) {
	if _, err := parseURL(c.DirectoryURL); err != nil {
		return nil, fmt.Errorf("the directory URL: %w", err)
	}
	s := &Server{url: c.DirectoryURL, userAgent: c.UserAgent, now: c.Now, directory: newDirectoryCache()}
	if s.userAgent == "" {
		s.userAgent = defaultUserAgent
	}
	if s.now == nil {
		s.now = time.Now
	}
	transport := c.Transport
	if transport == nil {
		own, err := newTransport(c.TrustedCA)
		if err != nil {
			return nil, err
		}
		transport = own
	}
	s.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// Requests tells how many HTTP requests have been made.
func (s *Server) Requests() int64 { return s.requests.Load() }

// Close lets go of idle connections. The server stays usable.
func (s *Server) Close() { s.http.CloseIdleConnections() }

func newTransport(trustedCA []byte) (*http.Transport, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a system without roots: only TrustedCA counts
	}
	if len(trustedCA) > 0 {
		extra, err := ParseTrustedCA(trustedCA)
		if err != nil {
			return nil, fmt.Errorf("the trusted CA: %w", err)
		}
		for _, c := range extra {
			roots.AddCert(c)
		}
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    20 * time.Second,
		MaxIdleConnsPerHost:    32,
		MaxResponseHeaderBytes: 64 << 10,
		// All requests share one HTTP/2 connection. If it dies without a word,
		// pings tell before every one of them has run out of patience.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		// Shorter than servers keep theirs: a POST that meets a connection
		// which the server is just closing must not be sent again.
		IdleConnTimeout: 30 * time.Second,
	}, nil
}

// ParseTrustedCA reads certificates in PEM, at least one and nothing else. The
// error names the block that is wrong.
func ParseTrustedCA(text []byte) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		n := len(certificates) + 1
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("block %d is a %s; it must be a CERTIFICATE", n, block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("block %d cannot be read: %w", n, err)
		}
		certificates = append(certificates, c)
	}
	switch begun := strings.Count(string(text), "-----BEGIN "); {
	case begun > len(certificates):
		return nil, fmt.Errorf("of %d PEM blocks only %d are well-formed", begun, len(certificates))
	case len(certificates) == 0:
		return nil, errors.New("there is no PEM certificate in it; expected a block CERTIFICATE")
	}
	return certificates, nil
}

// maxURL bounds the length of URLs, in bytes.
const maxURL = 2048

// parseURL accepts what requests may be sent to: absolute https URLs
// (RFC 8555 §6.1).
func parseURL(text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("it has %d bytes; at most %d are accepted", len(text), maxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q cannot be read as a URL", upstream.Clean(text, maxExcerpt))
	case u.Scheme != "https":
		return nil, fmt.Errorf("%q is not an https URL; ACME runs over TLS only (RFC 8555 §6.1)", upstream.Clean(u.Redacted(), maxExcerpt))
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", upstream.Clean(text, maxExcerpt))
	case u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%q has a user or a fragment, which a request cannot carry", upstream.Clean(u.Redacted(), maxExcerpt))
	}
	return u, nil
}

// resolve reads a URL in an answer, which may be relative to the URL that was
// asked. An absolute one is kept to the letter, because it will be signed.
func resolve(base, ref string) (string, error) {
	if ref == "" {
		return "", errors.New("it is empty")
	}
	if u, err := url.Parse(ref); err == nil && !u.IsAbs() {
		b, err := url.Parse(base)
		if err != nil {
			return "", fmt.Errorf("resolving it: %w", err)
		}
		ref = b.ResolveReference(u).String()
	}
	if _, err := parseURL(ref); err != nil {
		return "", err
	}
	return ref, nil
}
