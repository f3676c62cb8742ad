package acme

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Namespace precedes the type of every problem that RFC 8555 §6.7 defines.
const Namespace = "urn:ietf:params:acme:error:"

// The problem types on which behaviour depends (RFC 8555 §6.7, RFC 9773 §7.4).
const (
	AccountDoesNotExist   = Namespace + "accountDoesNotExist"
	AlreadyReplaced       = Namespace + "alreadyReplaced"
	AlreadyRevoked        = Namespace + "alreadyRevoked"
	BadCSR                = Namespace + "badCSR"
	BadNonce              = Namespace + "badNonce"
	BadPublicKey          = Namespace + "badPublicKey"
	BadSignatureAlgorithm = Namespace + "badSignatureAlgorithm"
	CAA                   = Namespace + "caa"
	Connection            = Namespace + "connection"
	DNSProblem            = Namespace + "dns"
	IncorrectResponse     = Namespace + "incorrectResponse"
	Malformed             = Namespace + "malformed"
	OrderNotReady         = Namespace + "orderNotReady"
	RateLimited           = Namespace + "rateLimited"
	RejectedIdentifier    = Namespace + "rejectedIdentifier"
	ServerInternal        = Namespace + "serverInternal"
	TLS                   = Namespace + "tls"
	Unauthorized          = Namespace + "unauthorized"
	UnsupportedIdentifier = Namespace + "unsupportedIdentifier"
	UserActionRequired    = Namespace + "userActionRequired"
)

// Problem is a server's refusal: a problem document (RFC 7807) with the ACME
// additions of RFC 8555 §6.7, or what could be made of an answer that was none
// (an HTML page of a proxy, say), for which Type is empty.
type Problem struct {
	Type   string `json:"type"`
	Detail string `json:"detail"`
	// Status is the HTTP status; 0 when the problem was found inside an order
	// or a challenge instead of being an answer.
	Status int `json:"status,omitempty"`
	// Instance is a page for a human, as with userActionRequired (§7.3.3).
	Instance    string      `json:"instance,omitempty"`
	Identifier  *Identifier `json:"identifier,omitempty"`
	Subproblems []Problem   `json:"subproblems,omitempty"`
	// Algorithms are those the server would accept, with badSignatureAlgorithm (§6.2).
	Algorithms []string `json:"algorithms,omitempty"`
	// RetryAfter is how long the server asks to wait; 0 when it did not say.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	// Location is the account that holds a new key already, with 409 on a key
	// change (§7.3.5).
	Location string `json:"location,omitempty"`
}

// Error gives type, identifier, detail and every subproblem in one line.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.title())
	if p.Identifier != nil {
		fmt.Fprintf(&b, " for %q", p.Identifier.Value)
	}
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	if p.Instance != "" {
		b.WriteString(" (see " + p.Instance + ")")
	}
	if len(p.Algorithms) > 0 {
		b.WriteString(" (accepted: " + strings.Join(p.Algorithms, ", ") + ")")
	}
	for i := range p.Subproblems {
		b.WriteString("; " + p.Subproblems[i].Error())
	}
	return b.String()
}

func (p *Problem) title() string {
	switch {
	case p.Type != "":
		return p.Type
	case p.Status != 0:
		return fmt.Sprintf("HTTP status %d", p.Status)
	}
	return "unspecified problem"
}

// Unreachable is a request that got no answer from the server: refused,
// timed out, cut off, untrusted, or an answer that is not ACME. Whether the
// server acted on the request is unknown.
type Unreachable struct {
	// Doing is the request in words: "reading the directory https://…".
	Doing string
	Err   error
}

func (u *Unreachable) Error() string { return u.Doing + ": " + u.Err.Error() }

// Unwrap gives the cause, so that context errors can be told.
func (u *Unreachable) Unwrap() error { return u.Err }

// ErrViolation is wrapped by the error about an answer that breaks RFC 8555 in
// a way which asking again does not mend.
var ErrViolation = errors.New("the CA does not keep to RFC 8555")

// ErrUnproven is wrapped by the error about an order that the CA has ended because
// it does not believe the account to control the identifiers (RFC 8555 §7.1.6).
var ErrUnproven = errors.New("the CA does not take the identifiers for proven")

// IsProblem tells whether err is, or wraps, a refusal with one of the types.
func IsProblem(err error, types ...string) bool {
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		return false
	}
	for _, t := range types {
		if p.Type == t {
			return true
		}
	}
	return false
}

// Temporary tells whether the same request may succeed later without anybody
// changing anything: no answer, a fault of the server, a rate limit. HTTP
// status comes first because proxies answer 429 and 503 with plain HTML.
func Temporary(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if _, ok := errors.AsType[*Unreachable](err); ok {
		return true
	}
	p, ok := errors.AsType[*Problem](err)
	if !ok {
		return false
	}
	switch {
	case Paused(p):
		return false
	case p.Status == http.StatusTooManyRequests, p.Status == http.StatusRequestTimeout, p.Status >= 500:
		return true
	}
	return p.Type == RateLimited || p.Type == BadNonce || p.Type == ServerInternal
}

// Paused recognises Boulder's paused identifiers: a rate limit that ends only
// when a human opens the link in the detail, so there is no Retry-After.
func Paused(p *Problem) bool {
	return p.Type == RateLimited && p.RetryAfter == 0 && strings.Contains(p.Detail, "/sfe/v1/unpause")
}

// Gone tells whether the resource does not exist any more. A server may delete
// expired orders and authorizations (RFC 8555 §7.1.3) and answers 404 or 410.
func Gone(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && (p.Status == http.StatusNotFound || p.Status == http.StatusGone)
}

// RetryAfter gives how long the server asked to wait, 0 when it did not say.
func RetryAfter(err error) time.Duration {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.RetryAfter
	}
	return 0
}
