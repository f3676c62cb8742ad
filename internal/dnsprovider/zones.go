package dnsprovider

import (
	"context"
	"fmt"
	"strings"
)

// zone is one zone at a DNS service.
type zone struct {
	// id is what the service calls it.
	id string
	// name is lower-case and without a dot at its end; "" when nobody said it.
	name string
	// account holds the zone, where a service asks for it.
	account string
}

// String is how errors call the zone.
func (z zone) String() string {
	if z.name != "" {
		return z.name
	}
	return z.id
}

// relative is a name as it is written within the zone: "_acme-challenge.www" of
// _acme-challenge.www.example.com, and "" for the zone's own name.
func (z zone) relative(name string) (string, error) {
	if name == z.name {
		return "", nil
	}
	within, ok := strings.CutSuffix(name, "."+z.name)
	if !ok {
		return "", refusal{fmt.Errorf("the name is not in the zone %s", z.name)}
	}
	return within, nil
}

// candidates are what the zone of a name may be called, the longest first. The
// zones of top-level domains are not at services like these.
func candidates(name string) []string {
	var out []string
	for strings.Contains(name, ".") {
		out = append(out, name)
		_, name, _ = strings.Cut(name, ".")
	}
	return out
}

// findZone asks the service by lookup for zones with exactly the name of each
// candidate, until there is one. What is found is not remembered: a zone that
// is made for a subdomain tomorrow has to be used at once, or records would be
// written where nobody looks for them.
//
// The field is the one by which an operator says which zone is meant when there
// are several of the same name.
func findZone(ctx context.Context, name, field string, lookup func(ctx context.Context, candidate string) ([]zone, error)) (zone, error) {
	names := candidates(name)
	for _, candidate := range names {
		found, err := lookup(ctx, candidate)
		switch {
		case err != nil:
			return zone{}, fmt.Errorf("looking for the zone %s: %w", candidate, err)
		case len(found) > 1:
			return zone{}, refusal{fmt.Errorf("there are %d zones with the name %s; say by %s which one is meant", len(found), candidate, field)}
		case len(found) == 1:
			return found[0], nil
		}
	}
	return zone{}, refusal{fmt.Errorf("the credential sees no zone that holds the name; it would be called %s", strings.Join(names, " or "))}
}
