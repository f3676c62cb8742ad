package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
	"vault-plugin-secrets-pki-external-ca/internal/dns01"
	"vault-plugin-secrets-pki-external-ca/internal/dnsprovider"
	"vault-plugin-secrets-pki-external-ca/internal/order"
	"vault-plugin-secrets-pki-external-ca/internal/store"
)

// prover proves identifiers by TXT records, with the DNS providers of a mount.
// A caller has no say in which: it goes by names alone, or by the role.
type prover struct {
	b *backend
	s logical.Storage
}

var _ order.DNS = prover{}

// Locate implements order.DNS. The record is written where the name of the
// challenge leads by CNAMEs, but only with a provider whose identifiers cover
// that place: an alias must not steer credentials to a zone of somebody else.
func (p prover) Locate(ctx context.Context, o *order.Order, id acme.Identifier) (order.Place, bool, error) {
	all, err := p.b.dns.all(ctx, p.s)
	if err != nil || len(all) == 0 {
		return order.Place{}, false, err
	}
	own := mostSpecific(all, o.DNSProvider, id.Value)
	if own != nil && own.Common().ChallengeAlias != "" {
		return placeAt(own, own.Common().ChallengeAlias), true, nil
	}
	record := dns01.RecordName(id.Value)
	target, err := p.follow(ctx, own, record)
	switch {
	case err != nil && own == nil:
		return order.Place{}, false, nil // nobody here could write there anyway
	case err != nil:
		return order.Place{}, false, err
	case target == record && own == nil:
		return order.Place{}, false, nil
	case target == record:
		return placeAt(own, record), true, nil
	}
	return p.delegated(all, o, own, record, target)
}

// delegated finds the provider for a record whose name is an alias.
func (p prover) delegated(all []dnsprovider.Entry, o *order.Order, own dnsprovider.Entry, record, target string) (order.Place, bool, error) {
	at := mostSpecific(all, o.DNSProvider, target)
	if at == nil && o.DNSProvider != "" {
		at = mostSpecific(all, "", target)
	}
	switch {
	case at != nil:
		return placeAt(at, target), true, nil
	case own == nil:
		return order.Place{}, false, nil
	}
	return order.Place{}, false, fmt.Errorf("%s is delegated by CNAME to %s, which no DNS provider has among its identifiers: %w", record, target, order.ErrRefused)
}

func placeAt(e dnsprovider.Entry, name string) order.Place {
	return order.Place{Provider: e.Common().Label(), Name: name}
}

func (p prover) follow(ctx context.Context, e dnsprovider.Entry, name string) (string, error) {
	terms, err := p.b.dns.propagation(ctx, p.s, e)
	if err != nil {
		return "", err
	}
	target, err := p.b.dns.resolver(terms).Follow(ctx, name)
	if errors.Is(err, dns01.ErrAlias) {
		return "", fmt.Errorf("%w: %w", err, order.ErrRefused)
	}
	return target, err
}

// mostSpecific chooses among the providers that cover a name: the one with the
// longest identifier, an exact one before all others. With a pin only the pinned
// provider is considered.
func mostSpecific(all []dnsprovider.Entry, pin, name string) dnsprovider.Entry {
	var best dnsprovider.Entry
	most := -1
	for _, e := range all {
		if pin != "" && e.Common().Label() != pin {
			continue
		}
		for _, pattern := range e.Common().Identifiers {
			if n := specificity(pattern, name); n > most {
				best, most = e, n
			}
		}
	}
	return best
}

// specificity tells how well an identifier of a provider covers a name: -1 not
// at all. "*.example.com" covers itself and everything below example.com.
func specificity(pattern, name string) int {
	plain := strings.TrimPrefix(strings.TrimPrefix(name, dns01.Label), "*.")
	if pattern == name || pattern == plain {
		return 1 << 16
	}
	below, wildcard := strings.CutPrefix(pattern, "*")
	if wildcard && (strings.HasSuffix(name, below) || strings.HasSuffix(plain, below)) {
		return len(below)
	}
	return -1
}

// Add implements order.DNS.
func (p prover) Add(ctx context.Context, id order.ID, proof order.Proof) error {
	release, err := p.b.reserve(debtKey(proof))
	if err != nil {
		return fmt.Errorf("the TXT record %s is being removed for an earlier order: %w", proof.Name, err)
	}
	defer release()
	if err := owe(ctx, p.s, id, proof); err != nil {
		return err
	}
	return p.b.dns.write(ctx, p.s, proof, dns01.Provider.Add)
}

// Visible implements order.DNS.
func (p prover) Visible(ctx context.Context, proof order.Proof) (order.Sight, error) {
	e, err := p.b.dns.entry(ctx, p.s, proof.Provider)
	if err != nil {
		return order.Sight{}, err
	}
	terms, err := p.b.dns.propagation(ctx, p.s, e)
	if err != nil {
		return order.Sight{}, err
	}
	report, err := p.b.dns.resolver(terms).Visible(ctx, terms.Check, proof.Name, proof.Value)
	return order.Sight{Visible: report.Visible(), Report: report.String()}, err
}

// Terms implements order.DNS.
func (p prover) Terms(ctx context.Context, place order.Place) (order.Terms, error) {
	e, err := p.b.dns.entry(ctx, p.s, place.Provider)
	if errors.Is(err, store.ErrNotFound) {
		return order.Terms{}, nil // gone: waiting for it is pointless
	}
	if err != nil {
		return order.Terms{}, err
	}
	terms, err := p.b.dns.propagation(ctx, p.s, e)
	return order.Terms{Timeout: terms.Timeout, Interval: terms.Interval}, err
}

// dnsCache remembers the DNS providers of a mount and the means to write with
// them. Whoever changes a provider makes it forget.
type dnsCache struct {
	// options and dial replace connections, in tests.
	options dnsprovider.Options
	dial    dns01.Dial

	mu      sync.Mutex
	loaded  bool
	entries []dnsprovider.Entry // in the order of their types and names
	opened  map[string]dns01.Provider
	mount   *dnsprovider.Propagation
}

func (c *dnsCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loaded, c.entries, c.opened, c.mount = false, nil, nil, nil
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

func (c *dnsCache) every(ctx context.Context, s logical.Storage) ([]dnsprovider.Entry, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded {
		return c.entries, nil
	}
	var entries []dnsprovider.Entry
	for _, kind := range dnsprovider.Types {
		names, err := kind.List(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			e, err := kind.Get(ctx, s, name)
			if err != nil {
				return nil, err
			}
			entries = append(entries, e)
		}
	}
	c.loaded, c.entries, c.opened = true, entries, map[string]dns01.Provider{}
	return entries, nil
}

// entry finds a provider by its label, one that is deleted but still needed too.
func (c *dnsCache) entry(ctx context.Context, s logical.Storage, label string) (dnsprovider.Entry, error) {
	every, err := c.every(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, e := range every {
		if e.Common().Label() == label {
			return e, nil
		}
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
	label := e.Common().Label()
	if p := c.opened[label]; p != nil {
		return p, nil
	}
	p, err := e.Open(c.options)
	if err == nil && c.opened != nil {
		c.opened[label] = p
	}
	return p, err
}
