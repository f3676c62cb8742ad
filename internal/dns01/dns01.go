// Package dns01 puts TXT records for dns-01 challenges (RFC 8555 §8.4) where the
// CA looks for them, and makes sure that it will see them.
//
// A name's TXT records are a set: a wildcard and its apex, and orders of other
// roles, accounts and clients, keep values under the same name. A [Provider]
// adds and removes single values and leaves all others alone.
//
// The name may be an alias: where _acme-challenge.<name> is a CNAME, the record
// is written where it leads ([Resolver.Follow]). Whether a provider may write
// there is not decided here.
package dns01

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Label precedes the name that is to be proven (RFC 8555 §8.4).
const Label = "_acme-challenge."

// RecordName is where the CA looks for the proof of a DNS name; a wildcard is
// proven under the name below its star.
func RecordName(name string) string { return Label + strings.TrimPrefix(name, "*.") }

// Record is one value of a TXT record set.
type Record struct {
	// Name is lower-case A-labels without a trailing dot.
	Name string `json:"name"`
	// Value is base64url, 43 characters.
	Value string        `json:"value"`
	TTL   time.Duration `json:"ttl"`
}

// Provider writes TXT records at one DNS service with one set of credentials.
//
// Both methods MUST be repeatable: adding a value that is there and removing
// one that is not are no errors. Both MUST leave every other value of the name
// as it is, also when others write at the same time. Both end when ctx does.
// Errors are *[Failure].
type Provider interface {
	Add(context.Context, Record) error
	Remove(context.Context, Record) error
}

// Failure is why a record could not be written, in words that name what an
// operator has to look at.
type Failure struct {
	Provider string // type and name: "rfc2136/internal"
	Zone     string // "" while it is unknown
	Record   string
	// Refused tells that the same try will fail until somebody changes
	// something: credentials, permissions, a zone that is not there. Otherwise
	// the service was down, slow or too busy.
	Refused bool
	// RetryAfter is how long the service asks to wait; 0 when it did not say.
	RetryAfter time.Duration
	Err        error
}

func (f *Failure) Error() string {
	where := "DNS provider " + f.Provider
	if f.Zone != "" {
		where += ", zone " + f.Zone
	}
	return fmt.Sprintf("%s, record %s: %v", where, f.Record, f.Err)
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Refused tells whether err is, or wraps, a refusal of a DNS service.
func Refused(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Refused
}
