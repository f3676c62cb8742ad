// Package dnsprovider is the DNS services at which TXT records can be written.
//
// Each kind of service is one file: a struct of its settings, a table of their
// fields, and a function that opens it. Schema, storage, redaction, OpenAPI and
// documents follow from the table. To add one, write such a file and add its
// definition to [Types].
//
// Settings come from the API alone: no environment variable and no file of the
// process is read, because one process serves mounts of different owners.
package dnsprovider

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/field"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// Types lists every kind of DNS service, in the order of the documentation.
var Types = []Type{
	awsRoute53, azureDNS, googleCloudDNS, rfc2136, cloudflare, dnsimple, dnsMadeEasy, powerDNS, acmeDNS, webhook,
}

// Find gives the kind of a name, or nil.
func Find(name string) Type {
	for _, t := range Types {
		if t.Name() == name {
			return t
		}
	}
	return nil
}

// Type is a kind of DNS service.
type Type interface {
	// Name is the kind on the wire: "rfc2136".
	Name() string
	// Synopsis is one sentence for `vault path-help`.
	Synopsis() string
	// Schema describes the fields of a request, Shown those of an answer.
	Schema(extra map[string]*framework.FieldSchema) map[string]*framework.FieldSchema
	Shown() map[string]*framework.FieldSchema
	// Create and Update take settings from a request; they do no I/O. The error
	// is the user's to mend.
	Create(name string, sent *framework.FieldData, now time.Time) (Entry, error)
	Update(e Entry, sent *framework.FieldData, now time.Time) (Entry, error)
	// Get, Put, Delete and List work on the stored settings.
	Get(ctx context.Context, s logical.Storage, name string) (Entry, error)
	Put(ctx context.Context, s logical.Storage, e Entry) error
	Delete(ctx context.Context, s logical.Storage, name string) error
	List(ctx context.Context, s logical.Storage) ([]string, error)
}

// Entry is the stored settings of one named provider.
type Entry interface {
	// Common gives the settings that every kind has.
	Common() *Common
	// Show gives the fields of an answer; no credential is among them.
	Show() map[string]any
	// Open makes the means to write records; it sends nothing.
	Open(Options) (dns01.Provider, error)
}

// Options is what providers need that is not theirs.
type Options struct {
	// Transport carries the requests to HTTP services; nil for the default.
	Transport http.RoundTripper
	// Now is the time; nil for that of the machine.
	Now func() time.Time
}

// definition is a kind of service whose own settings are a T.
type definition[T any] struct {
	name, synopsis string
	// ttl is the default of the records' time to live, as it is published.
	ttl    string
	fields field.Set[T]
	// check looks at what one field alone does not tell; it may be nil.
	check func(*T) error
	// open makes the provider. The label ("rfc2136/internal") is for errors.
	open func(settings *T, label string, o Options) (dns01.Provider, error)
}

// settings is what is stored of a provider.
type settings[T any] struct {
	of definition[T]

	Base Common `json:"common"`
	Own  T      `json:"own"`
}

func (d definition[T]) Name() string     { return d.name }
func (d definition[T]) Synopsis() string { return d.synopsis }

func (d definition[T]) all() field.Set[settings[T]] {
	common := field.Lift(commonFields(d.ttl), func(s *settings[T]) *Common { return &s.Base })
	return append(common, field.Lift(d.fields, func(s *settings[T]) *T { return &s.Own })...)
}

func (d definition[T]) Schema(extra map[string]*framework.FieldSchema) map[string]*framework.FieldSchema {
	return d.all().Schema(extra)
}

func (d definition[T]) Shown() map[string]*framework.FieldSchema { return d.all().Shown() }

func (d definition[T]) Create(name string, sent *framework.FieldData, now time.Time) (Entry, error) {
	s, err := d.all().Create(sent)
	if err != nil {
		return nil, err
	}
	s.Base.Name, s.Base.Type, s.Base.Created = name, d.name, now
	return d.checked(s, now)
}

func (d definition[T]) Update(e Entry, sent *framework.FieldData, now time.Time) (Entry, error) {
	s, err := d.all().Update(e.(*settings[T]), sent)
	if err != nil {
		return nil, err
	}
	return d.checked(s, now)
}

func (d definition[T]) checked(s *settings[T], now time.Time) (Entry, error) {
	s.of, s.Base.Updated = d, now
	if err := s.Base.check(); err != nil {
		return nil, err
	}
	if d.check != nil {
		if err := d.check(&s.Own); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Prefix is where all providers' settings are stored; they hold credentials.
const Prefix = "dns-provider/"

func (d definition[T]) records() store.Collection[settings[T]] {
	return store.Collection[settings[T]]{Kind: "DNS provider " + d.name, Prefix: Prefix + d.name + "/", Version: 1}
}

func (d definition[T]) Get(ctx context.Context, s logical.Storage, name string) (Entry, error) {
	rec, err := d.records().Get(ctx, s, name)
	if err != nil {
		return nil, err
	}
	rec.of = d
	return rec, nil
}

func (d definition[T]) Put(ctx context.Context, s logical.Storage, e Entry) error {
	return d.records().Put(ctx, s, e.Common().Name, e.(*settings[T]))
}

func (d definition[T]) Delete(ctx context.Context, s logical.Storage, name string) error {
	return d.records().Delete(ctx, s, name)
}

func (d definition[T]) List(ctx context.Context, s logical.Storage) ([]string, error) {
	return d.records().List(ctx, s, "")
}

// Common implements Entry.
func (s *settings[T]) Common() *Common { return &s.Base }

// Show implements Entry.
func (s *settings[T]) Show() map[string]any { return s.of.all().Show(s) }

// Open implements Entry.
func (s *settings[T]) Open(o Options) (dns01.Provider, error) {
	p, err := s.of.open(&s.Own, s.Base.Label(), o)
	if err != nil {
		return nil, fmt.Errorf("opening DNS provider %s: %w", s.Base.Label(), err)
	}
	return p, nil
}
