// Package dns01test is what tests of the DNS need: the conformance suite for
// everything that writes TXT records, and name servers to run it against. One
// of them lives in the test itself ([Serve]); BIND and PowerDNS ([StartNamed],
// [StartPowerDNS]) show that we do not agree with ourselves alone.
package dns01test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/dns01"
)

// Bench is what the suite works on.
type Bench struct {
	Provider dns01.Provider
	// Lookup gives the TXT values at a name, as the DNS service itself sees
	// them.
	Lookup func(name string) []string
	// Zone is where to write, in whatever letters the service has it.
	Zone string
}

// Run holds a provider to the contract of [dns01.Provider]. Each of its tests
// asks for a bench; they may share a service, because none uses another's
// names.
func Run(t *testing.T, newBench func(t *testing.T) Bench) {
	for name, test := range map[string]func(*testing.T, Bench){
		"adds and removes":                 addsAndRemoves,
		"keeps two values at one name":     keepsTwoValues,
		"adds twice":                       addsTwice,
		"removes twice":                    removesTwice,
		"removes what was never there":     removesWithoutAdd,
		"leaves other values alone":        leavesOthersAlone,
		"leaves other names alone":         leavesOtherNamesAlone,
		"writes below names that are not":  writesDeep,
		"survives ten writers at one name": survivesTenWriters,
		"ends with its context":            endsWithItsContext,
		"says where it failed":             saysWhereItFailed,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBench(t)) })
	}
}

// value is a value as challenges have them: 43 characters of base64url. Some
// services treat a leading hyphen or underscore in their own way.
func value(n int) string { return fmt.Sprintf("-%02d_%s", n, strings.Repeat("x", 39)) }

func (b Bench) record(host string, n int) dns01.Record {
	return dns01.Record{Name: dns01.Label + host + "." + strings.ToLower(b.Zone), Value: value(n), TTL: time.Minute}
}

func (b Bench) add(t *testing.T, r dns01.Record) {
	t.Helper()
	if err := b.Provider.Add(t.Context(), r); err != nil {
		t.Fatalf("adding: %v", err)
	}
}

func (b Bench) remove(t *testing.T, r dns01.Record) {
	t.Helper()
	if err := b.Provider.Remove(t.Context(), r); err != nil {
		t.Fatalf("removing: %v", err)
	}
}

func (b Bench) expect(t *testing.T, host string, numbers ...int) {
	t.Helper()
	var want []string
	for _, n := range numbers {
		want = append(want, value(n))
	}
	got := slices.Sorted(slices.Values(b.Lookup(b.record(host, 0).Name)))
	if !slices.Equal(got, want) {
		t.Errorf("%s has %q, want %q", host, got, want)
	}
}

func addsAndRemoves(t *testing.T, b Bench) {
	r := b.record("plain", 1)
	b.add(t, r)
	b.expect(t, "plain", 1)
	b.remove(t, r)
	b.expect(t, "plain")
}

func keepsTwoValues(t *testing.T, b Bench) {
	b.add(t, b.record("two", 1))
	b.add(t, b.record("two", 2))
	b.expect(t, "two", 1, 2)
	b.remove(t, b.record("two", 1))
	b.expect(t, "two", 2)
	b.remove(t, b.record("two", 2))
	b.expect(t, "two")
}

func addsTwice(t *testing.T, b Bench) {
	b.add(t, b.record("twice", 1))
	b.add(t, b.record("twice", 1))
	b.expect(t, "twice", 1)
	b.remove(t, b.record("twice", 1))
	b.expect(t, "twice")
}

func removesTwice(t *testing.T, b Bench) {
	b.add(t, b.record("gone", 1))
	b.remove(t, b.record("gone", 1))
	b.remove(t, b.record("gone", 1))
	b.expect(t, "gone")
}

func removesWithoutAdd(t *testing.T, b Bench) {
	b.remove(t, b.record("never", 1))
	b.expect(t, "never")
}

func leavesOthersAlone(t *testing.T, b Bench) {
	b.add(t, b.record("shared", 1))
	b.add(t, b.record("shared", 2))
	b.remove(t, b.record("shared", 3)) // a value that is not there
	b.expect(t, "shared", 1, 2)
	other := b.record("shared", 2)
	other.TTL = time.Hour // another order may have had another setting
	b.add(t, other)
	b.expect(t, "shared", 1, 2)
	b.remove(t, b.record("shared", 1))
	b.remove(t, b.record("shared", 2)) // whatever its time to live is now
	b.expect(t, "shared")
}

func leavesOtherNamesAlone(t *testing.T, b Bench) {
	b.add(t, b.record("upper.tree", 1))
	b.add(t, b.record("tree", 2))
	b.remove(t, b.record("tree", 2))
	b.expect(t, "upper.tree", 1)
	b.remove(t, b.record("upper.tree", 1))
}

func writesDeep(t *testing.T, b Bench) {
	r := b.record("a.b.c.d.e", 1)
	b.add(t, r)
	b.expect(t, "a.b.c.d.e", 1)
	b.remove(t, r)
}

func survivesTenWriters(t *testing.T, b Bench) {
	const writers = 10
	all := make([]int, writers)
	together := func(do func(context.Context, dns01.Record) error) {
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				all[i] = i + 1
				if err := do(t.Context(), b.record("crowd", i+1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	together(b.Provider.Add)
	b.expect(t, "crowd", all...)
	together(b.Provider.Remove)
	b.expect(t, "crowd")
}

func endsWithItsContext(t *testing.T, b Bench) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, do := range map[string]func(context.Context, dns01.Record) error{"Add": b.Provider.Add, "Remove": b.Provider.Remove} {
		err := do(ctx, b.record("ended", 1))
		if !errors.Is(err, context.Canceled) || dns01.Refused(err) {
			t.Errorf("%s with an ended context: %v", name, err)
		}
	}
	b.expect(t, "ended")
}

func saysWhereItFailed(t *testing.T, b Bench) {
	r := dns01.Record{Name: dns01.Label + "www.not-our-zone.invalid", Value: value(1), TTL: time.Minute}
	err := b.Provider.Add(t.Context(), r)
	f, ok := errors.AsType[*dns01.Failure](err)
	if !ok || !f.Refused || f.Provider == "" || f.Record != r.Name {
		t.Errorf("adding in a zone that the service does not have: %#v", err)
	}
}
