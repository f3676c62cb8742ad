package order

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/acme"
)

// fakeDNS is providers and name servers in memory. It takes what it is given,
// and shows it when it has been looked for often enough.
type fakeDNS struct {
	t testing.TB
	// places is where the proofs of identifiers are written, and by whom.
	places map[string]Place
	terms  map[string]Terms
	// deleted are providers that are there for the removal of their records only.
	deleted map[string]bool
	down    bool
	// faults are used up one by one, each by the next request of its verb.
	faults []fault
	// slow is how often a record is looked for in vain after it was written.
	slow    int
	records map[Proof]*txt
	// owed are the records that have to be removed, and the orders that need
	// them until then: what the plugin stores before it writes a record.
	owed map[Proof][]ID
	// asked is the verb of each request so far.
	asked []string
	// onAdd checks what must be true before a record is written.
	onAdd func(ID, Proof)
}

// txt is a record that was written.
type txt struct {
	looks int  // that will be in vain
	seen  bool // by the last look
}

var _ DNS = (*fakeDNS)(nil)

func newFakeDNS(t testing.TB) *fakeDNS {
	return &fakeDNS{
		t: t, places: map[string]Place{}, terms: map[string]Terms{}, deleted: map[string]bool{},
		records: map[Proof]*txt{}, owed: map[Proof][]ID{},
	}
}

// serve lets a request meet its fault, or else has its effect.
func (d *fakeDNS) serve(verb string, effect func() error) error {
	d.asked = append(d.asked, verb)
	if d.down {
		return fmt.Errorf("%s: connection refused", verb)
	}
	f, found := takeFault(&d.faults, verb)
	switch {
	case !found:
		return effect()
	case f.lost:
		_ = effect() // whatever came of it is lost too
		return fmt.Errorf("%s: connection reset before the answer", verb)
	}
	return f.err
}

// Locate implements DNS.
func (d *fakeDNS) Locate(_ context.Context, o *Order, id acme.Identifier) (place Place, ok bool, err error) {
	err = d.serve("locate", func() error {
		if !slices.Contains(o.Allowed, acme.DNS01) || id.Type != acme.DNS {
			d.t.Errorf("DNS is asked for %v, though the role allows %v", id, o.Allowed)
		}
		place, ok = d.places[id.Value]
		ok = ok && !d.deleted[place.Provider]
		return nil
	})
	return place, ok && err == nil, err
}

// Add implements DNS.
func (d *fakeDNS) Add(_ context.Context, id ID, p Proof) error {
	d.onAdd(id, p)
	if d.deleted[p.Provider] {
		return Refuse("DNS provider %q: not found", p.Provider)
	}
	if !slices.Contains(d.owed[p], id) {
		d.owed[p] = append(d.owed[p], id)
	}
	return d.serve("add", func() error {
		if d.records[p] == nil {
			d.records[p] = &txt{looks: d.slow}
		}
		return nil
	})
}

// Visible implements DNS.
func (d *fakeDNS) Visible(_ context.Context, p Proof) (sight Sight, err error) {
	err = d.serve("look", func() error {
		r := d.records[p]
		switch {
		case r == nil:
			sight.Report = "ns1: no such name (NXDOMAIN)"
		case r.looks > 0:
			r.looks--
			sight.Report = "ns2: no TXT record"
		default:
			r.seen, sight.Visible = true, true
		}
		return nil
	})
	return sight, err
}

// Terms implements DNS. They are read from storage.
func (d *fakeDNS) Terms(_ context.Context, at Place) (Terms, error) {
	if f, found := takeFault(&d.faults, "terms"); found {
		return Terms{}, f.err
	}
	if d.deleted[at.Provider] {
		return Terms{}, nil
	}
	return d.terms[at.Provider], nil
}

// collect removes the records that no living order needs, as the plugin does
// when it is told by a final order which those may be.
func (d *fakeDNS) collect(may []Proof, living func(ID) bool) {
	for _, p := range may {
		if !slices.ContainsFunc(d.owed[p], living) {
			delete(d.owed, p)
			delete(d.records, p)
		}
	}
}

// allow makes a provider write the proofs of names.
func (d *fakeDNS) allow(label string, names []string, alias string, terms Terms) {
	for _, name := range names {
		at := alias
		if at == "" {
			at = "_acme-challenge." + strings.TrimPrefix(name, "*.")
		}
		d.places[name] = Place{Provider: label, Name: at}
	}
	d.terms[label] = terms
}

// takeFault uses up the next fault of a verb.
func takeFault(faults *[]fault, verb string) (f fault, found bool) {
	next := slices.IndexFunc(*faults, func(f fault) bool { return f.verb == verb })
	if next < 0 {
		return fault{}, false
	}
	if f = (*faults)[next]; f.after > 0 {
		(*faults)[next].after--
		return fault{}, false
	}
	*faults = slices.Delete(*faults, next, next+1)
	return f, true
}

// usual is how long and how often providers are waited for.
var usual = Terms{Timeout: 10 * time.Minute, Interval: 5 * time.Second}
