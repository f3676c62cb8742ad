package dnsprovider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
)

// recordSet is the TXT records of one name. The zero value is one that does not
// exist.
type recordSet struct {
	// values are as the service writes them, because those of others must go
	// back to it exactly as they came.
	values []string
	ttl    time.Duration
	// etag and labels are kept for services that have them.
	etag   string
	labels map[string]*string
}

// equal tells whether nothing happened between two looks at a set.
func (s recordSet) equal(other recordSet) bool {
	return s.ttl == other.ttl && s.etag == other.etag && slices.Equal(s.values, other.values)
}

// isValue tells whether what a service wrote is a value. Values are base64url,
// so quotation marks and brackets around one are never part of it.
func isValue(written, value string) bool { return strings.Trim(written, `"[]`) == value }

// errChanged tells that somebody else changed the record set between our look
// at it and our change, which therefore did not happen.
var errChanged = errors.New("somebody else changed the record set at the same time")

// setService is a service that knows no single values, only record sets, and
// changes one only if it still is what the caller believes.
type setService interface {
	zone(ctx context.Context, name string) (zone, error)
	// read gives the set of a name, the zero value if there is none.
	read(ctx context.Context, z zone, name string) (recordSet, error)
	// replace puts the new set in the place of the old one, both of which may
	// be without values: then there was none, or none is left. The error wraps
	// errChanged if old is not what is there.
	replace(ctx context.Context, z zone, name string, old, updated recordSet) error
	// write is a value as the service writes it.
	write(value string) string
}

// setProvider adds and removes single values at a setService. Processes keep
// out of each other's way by what replace promises; within this process one
// writer after the other saves the repetitions.
type setProvider struct {
	label string
	// scope is where the ids of zones are unique, for the lock of a set.
	scope   string
	service setService
}

// maxRaces is how often a change is tried while others are faster, before it is
// left to the next try of the order.
const maxRaces = 8

// Add implements dns01.Provider.
func (p *setProvider) Add(ctx context.Context, r dns01.Record) error {
	return p.change(ctx, r, func(set recordSet) recordSet {
		if slices.ContainsFunc(set.values, func(v string) bool { return isValue(v, r.Value) }) {
			return set
		}
		if len(set.values) == 0 {
			set.ttl = r.TTL // of a set that others use, it is theirs to choose
		}
		set.values = append(slices.Clip(set.values), p.service.write(r.Value))
		return set
	})
}

// Remove implements dns01.Provider.
func (p *setProvider) Remove(ctx context.Context, r dns01.Record) error {
	return p.change(ctx, r, func(set recordSet) recordSet {
		set.values = slices.DeleteFunc(slices.Clone(set.values), func(v string) bool { return isValue(v, r.Value) })
		return set
	})
}

func (p *setProvider) change(ctx context.Context, r dns01.Record, edit func(recordSet) recordSet) error {
	z, err := p.service.zone(ctx, r.Name)
	if err == nil {
		err = p.changeIn(ctx, z, r.Name, edit)
	}
	return failure(p.label, z.String(), r, err)
}

func (p *setProvider) changeIn(ctx context.Context, z zone, name string, edit func(recordSet) recordSet) error {
	unlock, err := recordSets.lock(ctx, strings.Join([]string{p.scope, z.account, z.id, name}, "/"))
	if err != nil {
		return fmt.Errorf("waiting for others that change the record set: %w", err)
	}
	defer unlock()
	for range maxRaces {
		var old recordSet
		if old, err = p.service.read(ctx, z, name); err != nil {
			return fmt.Errorf("reading the record set: %w", err)
		}
		updated := edit(old)
		if updated.equal(old) {
			return nil
		}
		if err = p.service.replace(ctx, z, name, old, updated); err == nil {
			return nil
		}
		if !errors.Is(err, errChanged) {
			return fmt.Errorf("changing the record set: %w", err)
		}
	}
	return busy{error: fmt.Errorf("gave up after %d tries: %w", maxRaces, err)}
}
