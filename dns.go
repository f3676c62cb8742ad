package pkiexternalca

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
	place, ok, err := p.locate(ctx, o, id)
	if damage := p.b.dns.damage(); !ok && err == nil && damage != nil {
		p.b.Logger().Error("a name is left to its caller; a DNS provider that may have been meant for it cannot be read", "order", o.ID, "name", id.Value, "error", damage)
	}
	return place, ok, err
}

func (p prover) locate(ctx context.Context, o *order.Order, id acme.Identifier) (order.Place, bool, error) {
	all, err := p.b.dns.all(ctx, p.s)
	if err != nil || len(all) == 0 {
		return order.Place{}, false, err
	}
	own := mostSpecific(all, o.DNSProvider, id.Value)
	if own != nil && own.Common().ChallengeAlias != "" {
		return placeAt(own, own.Common().ChallengeAlias), true, nil
	}
	record := dns01.RecordName(id.Value)
	if own == nil {
		target, err := p.guess(ctx, o, record)
		if err != nil || target == record {
			// "*.example.com" covers this record, but not the name example.com.
			return order.Place{}, false, err
		}
		return p.delegated(all, o, own, record, target)
	}
	target, err := p.follow(ctx, own, record)
	switch {
	case err != nil:
		return order.Place{}, false, err
	case target == record:
		return placeAt(own, record), true, nil
	}
	return p.delegated(all, o, own, record, target)
}

// delegated finds the provider for a record whose name is an alias.
func (p prover) delegated(all []dnsprovider.Entry, o *order.Order, own dnsprovider.Entry, record, target string) (order.Place, bool, error) {
	switch at := mostSpecific(all, o.DNSProvider, target); {
	case at != nil:
		return placeAt(at, target), true, nil
	case own == nil:
		return order.Place{}, false, nil
	}
	return order.Place{}, false, order.Refuse("%s is delegated by CNAME to %s, which no DNS provider has among its identifiers", record, target)
}

func placeAt(e dnsprovider.Entry, name string) order.Place {
	return order.Place{Provider: e.Common().Label(), Name: name}
}

func (p prover) follow(ctx context.Context, e dnsprovider.Entry, name string) (string, error) {
	terms, err := p.b.dns.propagation(ctx, p.s, e)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	target, err := p.b.dns.resolver(terms).Follow(ctx, name)
	if errors.Is(err, dns01.ErrAlias) {
		return "", order.Refuse("%w", err)
	}
	return target, err
}

const (
	// guessPatience bounds the look for an alias of a name that no provider has.
	guessPatience = 3 * time.Second
	// guessRespite is how long nobody is asked after such a look took all that time.
	guessRespite = time.Minute
)

// guess follows the aliases of a name that no provider has among its
// identifiers: it may be delegated to one all the same. Most such names are not,
// and their orders must not suffer from resolvers that do not answer; but who
// has bound a role to a provider wants to know.
func (p prover) guess(ctx context.Context, o *order.Order, record string) (string, error) {
	if o.DNSProvider != "" {
		return p.follow(ctx, nil, record)
	}
	if p.b.dns.resting(p.b.now()) {
		return record, nil
	}
	ctx, cancel := context.WithTimeout(ctx, guessPatience)
	defer cancel()
	target, err := p.follow(ctx, nil, record)
	if ctx.Err() != nil { // a failure that comes at once costs nobody anything
		p.b.dns.rest(p.b.now().Add(guessRespite))
	}
	if err != nil {
		return record, nil
	}
	return target, nil
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
	release, err := p.b.reserve(debts.Prefix + debtPath(proof))
	if err != nil {
		return fmt.Errorf("another order is busy with the TXT record %s: %w", proof.Name, err)
	}
	defer release()
	if err := p.b.owe(ctx, p.s, id, proof); err != nil {
		return err
	}
	err = p.b.dns.write(ctx, p.s, proof, dns01.Provider.Add)
	if f, ok := errors.AsType[*dns01.Failure](err); ok && f.RetryAfter > 0 {
		return order.Postpone(err, f.RetryAfter)
	}
	return err
}

// lookPatience bounds one look for a record or an alias, however many name servers
// do not answer: others wait for a turn in the same line.
const lookPatience = 20 * time.Second

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
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
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
