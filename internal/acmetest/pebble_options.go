package acmetest

import (
	"github.com/letsencrypt/pebble/v2/ca"
)

// Option changes how a Pebble behaves.
type Option func(*settings)

type settings struct {
	nonceReject, authzReuse        int // percent
	retryAuthorization, retryOrder int // seconds
	alternateRoots, chainLength    int
	httpPort, tlsPort              int
	resolver                       string
	strict, alwaysValid            bool
	eabKeys                        map[string]string
	profiles                       map[string]ca.Profile
	blocked                        []string
}

func defaults() settings {
	return settings{
		chainLength: 1,
		httpPort:    1, // nobody listens there
		tlsPort:     1,
		profiles:    map[string]ca.Profile{"default": {Description: "The only profile"}},
	}
}

// RejectNonces makes that many percent of good nonces be refused, at random.
func RejectNonces(percent int) Option {
	return func(s *settings) { s.nonceReject = percent }
}

// ReuseAuthorizations makes new orders take over valid authorizations of the
// account, for that many percent of the identifiers, at random.
func ReuseAuthorizations(percent int) Option {
	return func(s *settings) { s.authzReuse = percent }
}

// RequireEAB refuses accounts without an external account binding. Keys are
// base64url, by key identifier.
func RequireEAB(keys map[string]string) Option {
	return func(s *settings) { s.eabKeys = keys }
}

// Profiles replaces the profiles on offer. An order that names none gets one at
// random, so a test with more than one should name it.
func Profiles(profiles map[string]ca.Profile) Option {
	return func(s *settings) { s.profiles = profiles }
}

// RetryAfter makes answers about authorizations and orders in progress ask for
// that many seconds of patience, as a number or as a date at random.
func RetryAfter(authorization, order int) Option {
	return func(s *settings) { s.retryAuthorization, s.retryOrder = authorization, order }
}

// ValidateAt makes challenges be checked at a responder.
func ValidateAt(r *ResponderServer) Option {
	return func(s *settings) { s.httpPort, s.tlsPort, s.resolver = r.HTTPPort, r.TLSPort, r.Resolver }
}

// AlwaysValid accepts every challenge without looking.
func AlwaysValid() Option {
	return func(s *settings) { s.alwaysValid = true }
}

// Strict refuses what future versions of Pebble will refuse.
func Strict() Option {
	return func(s *settings) { s.strict = true }
}

// AlternateRoots offers that many alternate chains for each certificate.
func AlternateRoots(n int) Option {
	return func(s *settings) { s.alternateRoots = n }
}

// ChainLength sets the number of intermediates in a chain, at least 1.
func ChainLength(n int) Option {
	return func(s *settings) { s.chainLength = n }
}

// Block refuses orders for these domains and the names below them.
func Block(domains ...string) Option {
	return func(s *settings) { s.blocked = domains }
}
