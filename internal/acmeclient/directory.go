package acmeclient

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	lego "github.com/go-acme/lego/v4/acme"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/upstream"
)

const (
	// directoryLife is how long a directory is used before it is read again.
	directoryLife = time.Hour
	// directoryRespite is how long an old one is used when that failed.
	directoryRespite = time.Minute
	// maxMeta bounds the lists and maps in a directory.
	maxMeta = 100
)

// endpoints is a directory as it is used here. An empty URL means that the CA
// does not offer the resource.
type endpoints struct {
	newNonce, newAccount, newOrder string
	revokeCert, keyChange          string
	renewalInfo                    string // without a slash at the end
	about                          acme.Directory
	until                          time.Time
}

// directoryCache holds the latest directory. Whoever takes the token out of
// turn may fetch; a channel, so that waiting for it listens to the context.
type directoryCache struct {
	turn   chan struct{}
	latest *atomic.Pointer[endpoints]
	failed *atomic.Pointer[failure]
}

// failure is the latest attempt to fetch, if it failed. Those who were waiting
// for it share it: each trying for itself, one after the other, would keep the
// last one waiting for hours while a CA is down.
type failure struct {
	err error
	at  time.Time
}

func newDirectoryCache() directoryCache {
	c := directoryCache{
		turn: make(chan struct{}, 1), latest: &atomic.Pointer[endpoints]{}, failed: &atomic.Pointer[failure]{},
	}
	c.turn <- struct{}{}
	return c
}

func (c directoryCache) fresh(now time.Time) *endpoints {
	if d := c.latest.Load(); d != nil && now.Before(d.until) {
		return d
	}
	return nil
}

// failedSince gives the error of an attempt that ended after a time.
func (c directoryCache) failedSince(t time.Time) error {
	if f := c.failed.Load(); f != nil && f.at.After(t) {
		return f.err
	}
	return nil
}

// Directory tells what the CA says about itself (RFC 8555 §7.1.1). It is read
// from the CA at most once an hour.
func (s *Server) Directory(ctx context.Context) (acme.Directory, error) {
	d, err := s.endpoints(ctx)
	if err != nil {
		return acme.Directory{}, err
	}
	return d.described(), nil
}

// Known is what the CA said when its directory was last read, without asking
// it again; false if it has never been read.
func (s *Server) Known() (acme.Directory, bool) {
	d := s.directory.latest.Load()
	if d == nil {
		return acme.Directory{}, false
	}
	return d.described(), true
}

// described is a copy of what others share.
func (d *endpoints) described() acme.Directory {
	about := d.about
	about.CAAIdentities = slices.Clone(about.CAAIdentities)
	about.Profiles = maps.Clone(about.Profiles)
	return about
}

// endpoints gives the directory, fetching it when there is none or when it is
// old. However many need it at once, it is fetched once.
func (s *Server) endpoints(ctx context.Context) (*endpoints, error) {
	began := s.now()
	if d := s.directory.fresh(began); d != nil {
		return d, nil
	}
	r := request{doing: "reading the directory", url: s.url}
	select {
	case <-s.directory.turn:
	case <-ctx.Done():
		return nil, r.unreachable(ctx.Err())
	}
	defer func() { s.directory.turn <- struct{}{} }()
	if d := s.directory.fresh(s.now()); d != nil {
		return d, nil // somebody else was faster
	}
	if err := s.directory.failedSince(began); err != nil {
		return nil, err
	}
	d, err := s.fetchDirectory(ctx, r)
	if err != nil {
		return s.oldDirectory(ctx, err)
	}
	s.directory.latest.Store(d)
	return d, nil
}

// oldDirectory goes on with a directory that should have been read again: an
// old one is better than none, and URLs rarely change.
func (s *Server) oldDirectory(ctx context.Context, err error) (*endpoints, error) {
	old := s.directory.latest.Load()
	if old == nil {
		if ctx.Err() == nil { // otherwise it is the caller's failure alone
			s.directory.failed.Store(&failure{err, s.now()})
		}
		return nil, err
	}
	renewed := *old
	renewed.until = s.now().Add(directoryRespite)
	s.directory.latest.Store(&renewed)
	return &renewed, nil
}

func (s *Server) fetchDirectory(ctx context.Context, r request) (*endpoints, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a, err := s.exchange(ctx, http.MethodGet, r, nil)
	if err != nil {
		return nil, err
	}
	if p := a.problem(); p != nil {
		return nil, a.indirect(p)
	}
	var wire lego.Directory
	if err := a.decode(&wire); err != nil {
		return nil, err
	}
	return a.endpoints(wire)
}

// endpoints checks what every CA must have; the rest is missed when it is needed.
func (a *answer) endpoints(wire lego.Directory) (*endpoints, error) {
	d := &endpoints{about: aboutOf(wire), until: a.now.Add(directoryLife)}
	for _, e := range []struct {
		name, ref string
		to        *string
		required  bool
	}{
		{"newNonce", wire.NewNonceURL, &d.newNonce, true},
		{"newAccount", wire.NewAccountURL, &d.newAccount, true},
		{"newOrder", wire.NewOrderURL, &d.newOrder, true},
		{"revokeCert", wire.RevokeCertURL, &d.revokeCert, false},
		{"keyChange", wire.KeyChangeURL, &d.keyChange, false},
		{"renewalInfo", strings.TrimSuffix(wire.RenewalInfo, "/"), &d.renewalInfo, false},
	} {
		switch {
		case e.ref == "" && e.required:
			return nil, a.unreachable(fmt.Errorf("the answer is not an ACME directory: it has no %s (RFC 8555 §7.1.1)", e.name))
		case e.ref == "":
			continue
		}
		var err error
		if *e.to, err = a.resolve(e.name, e.ref); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func aboutOf(wire lego.Directory) acme.Directory {
	about := acme.Directory{
		TermsOfService:          upstream.Clean(wire.Meta.TermsOfService, maxURL),
		Website:                 upstream.Clean(wire.Meta.Website, maxURL),
		ExternalAccountRequired: wire.Meta.ExternalAccountRequired,
		RenewalInfo:             wire.RenewalInfo != "",
		Profiles:                map[string]string{},
	}
	for _, identity := range wire.Meta.CaaIdentities[:min(len(wire.Meta.CaaIdentities), maxMeta)] {
		about.CAAIdentities = append(about.CAAIdentities, upstream.Clean(identity, maxWord))
	}
	names := slices.Sorted(maps.Keys(wire.Meta.Profiles)) // so that all readings keep the same ones
	for _, name := range names[:min(len(names), maxMeta)] {
		about.Profiles[upstream.Clean(name, maxWord)] = upstream.Clean(wire.Meta.Profiles[name], maxWord)
	}
	return about
}

// missing is the error for an optional resource that the CA does not offer.
func missing(name string) error {
	return fmt.Errorf("%w (§7.1.1): it does not offer %s", acme.ErrViolation, name)
}
