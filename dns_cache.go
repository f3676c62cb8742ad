package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// dnsCache remembers the DNS providers of a mount and the means to write with
// them. Whoever changes a provider makes it forget.
type dnsCache struct {
	// options and dial replace connections, in tests.
	options dnsprovider.Options
	dial    dns01.Dial

	// ledger is for whoever changes providers; those who change debts share it.
	// It comes before mu.
	ledger sync.RWMutex
	// outages are of providers, by label; refusals are of records, by their debt.
	outages, refusals failureLog

	mu      sync.Mutex
	loaded  bool
	entries []dnsprovider.Entry // in the order of their types and names
	labels  map[string]dnsprovider.Entry
	broken  map[string]error // why providers cannot be read, by label
	// opened is by entry, not by label: one that was replaced meanwhile must not
	// come back with its old credentials.
	opened map[dnsprovider.Entry]dns01.Provider
	mount  *dnsprovider.Propagation
	rests  time.Time // until when no aliases are guessed
}

func (c *dnsCache) resting(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Before(c.rests)
}

func (c *dnsCache) rest(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rests = until
}

func (c *dnsCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loaded, c.entries, c.labels, c.broken, c.opened, c.mount = false, nil, nil, nil, nil, nil
}

// all lists the providers that may be used.
func (c *dnsCache) all(ctx context.Context, s logical.Storage) ([]dnsprovider.Entry, error) {
	every, err := c.every(ctx, s)
	if err != nil {
		return nil, err
	}
	alive := make([]dnsprovider.Entry, 0, len(every))
	for _, e := range every {
		if !e.Common().Deleted {
			alive = append(alive, e)
		}
	}
	return alive, nil
}

// every lists all providers, those too that are deleted but still needed.
func (c *dnsCache) every(ctx context.Context, s logical.Storage) ([]dnsprovider.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(ctx, s); err != nil {
		return nil, err
	}
	return c.entries, nil
}

// load needs the lock. What cannot be read by this release is left out: it must
// not take the others with it.
func (c *dnsCache) load(ctx context.Context, s logical.Storage) error {
	if c.loaded {
		return nil
	}
	var entries []dnsprovider.Entry
	labels, broken := map[string]dnsprovider.Entry{}, map[string]error{}
	for _, kind := range dnsprovider.Types {
		names, err := kind.List(ctx, s)
		if err != nil {
			return err
		}
		for _, name := range names {
			e, err := kind.Get(ctx, s, name)
			switch {
			case errors.Is(err, store.ErrUnreadable):
				broken[kind.Name()+"/"+name] = err
				continue
			case err != nil:
				return err
			}
			entries = append(entries, e)
			labels[e.Common().Label()] = e
		}
	}
	c.loaded, c.entries, c.labels, c.broken, c.opened = true, entries, labels, broken, map[dnsprovider.Entry]dns01.Provider{}
	return nil
}

// damage tells which providers cannot be read, and why.
func (c *dnsCache) damage() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(slices.Collect(maps.Values(c.broken))...)
}

// entry finds a provider by its label, one that is deleted but still needed too.
func (c *dnsCache) entry(ctx context.Context, s logical.Storage, label string) (dnsprovider.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(ctx, s); err != nil {
		return nil, err
	}
	if e := c.labels[label]; e != nil {
		return e, nil
	}
	if err := c.broken[label]; err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("DNS provider %q: %w", label, store.ErrNotFound)
}

// propagation gives what holds for a provider, or for the mount with nil.
func (c *dnsCache) propagation(ctx context.Context, s logical.Storage, e dnsprovider.Entry) (dnsprovider.Propagation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mount == nil {
		config, err := readConfig(ctx, s)
		if err != nil {
			return dnsprovider.Propagation{}, err
		}
		c.mount = &config.Propagation
	}
	terms := c.mount.Or(dnsprovider.Defaults)
	if e != nil {
		terms = e.Common().Propagation.Or(terms)
	}
	return terms, nil
}

// resolver looks into the DNS as a provider wants it.
func (c *dnsCache) resolver(p dnsprovider.Propagation) *dns01.Resolver {
	return &dns01.Resolver{Nameservers: p.Nameservers, Dial: c.dial}
}

// write adds or removes a proof at its provider.
func (c *dnsCache) write(ctx context.Context, s logical.Storage, proof order.Proof, act func(dns01.Provider, context.Context, dns01.Record) error) error {
	e, err := c.entry(ctx, s, proof.Provider)
	if err != nil {
		return err
	}
	provider, err := c.open(e)
	if err != nil {
		return err
	}
	return act(provider, ctx, dns01.Record{Name: proof.Name, Value: proof.Value, TTL: e.Common().TTL})
}

func (c *dnsCache) open(e dnsprovider.Entry) (dns01.Provider, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.opened[e]; p != nil {
		return p, nil
	}
	p, err := e.Open(c.options)
	if err == nil && c.opened != nil {
		c.opened[e] = p
	}
	return p, err
}
