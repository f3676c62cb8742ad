package main

import (
	"context"
	"fmt"
	"time"

	"vault-plugin-secrets-pki-external-ca/testbed"
)

// contender is one way to get a certificate.
type contender struct {
	gateway *testbed.Gateway
	issue   func(ctx context.Context, names []string) error
}

// sample is one issuance.
type sample struct {
	took     time.Duration
	requests int64 // that reached the CA
}

// measureIssuance compares single issuances.
func measureIssuance(ctx context.Context, b *bench) ([]table, error) {
	client, err := b.compareWithLego(ctx)
	if err != nil {
		return nil, err
	}
	loop, err := b.compareWithLoop(ctx)
	return []table{client, loop}, err
}

// compareWithLego measures at the CA that does not look at challenges: lego's
// client waits five seconds whenever its first question about a validation comes
// before the end of it, and that would be all that is measured.
func (b *bench) compareWithLego(ctx context.Context) (table, error) {
	out := table{
		title: "One certificate, beside lego's client",
		about: fmt.Sprintf(`A whole issuance by http-01 at the same Pebble, which takes every challenge for fulfilled: through the HTTP
interface of a real Vault on integrated storage (new-order, challenge and fulfilled-challenge for each name, fetch-cert;
the status is asked for every %s), and by lego's own client, which stores nothing. %d runs each. Pebble asks for a
second's patience where it needs milliseconds, which neither client is told; finalize takes it %s. Requests are what
reached the CA, per certificate, on average.`, pollInterval, b.runs, testbed.Signing),
		columns: []string{"", "plugin", "lego", "ratio", "target"},
	}
	a := b.believing
	lego := contender{a.lego.gateway, func(_ context.Context, names []string) error { return a.lego.obtain(names) }}
	for _, n := range []int{1, 10} {
		timings, ours, theirs, err := a.compare(ctx, n, lego)
		if err != nil {
			return out, err
		}
		whole, requests := compareSamples(n, timings, ours, theirs)
		ratio := float64(medianTime(ours)) / float64(medianTime(theirs))
		most, target := 7.0, "≤ 7"
		if n > 1 {
			most, target = float64(5+2*n), fmt.Sprintf("≤ %d (5 + 2n)", 5+2*n)
		}
		whole[0][4] = verdict("≤ 1.15×", ratio <= 1.15)
		requests[4] = verdict(target, meanRequests(ours) <= most)
		out.rows = append(append(out.rows, whole...), requests)
	}
	return out, nil
}

// compareWithLoop measures at the CA that looks at challenges.
func (b *bench) compareWithLoop(ctx context.Context) (table, error) {
	out := table{
		title: "One certificate, beside the least a client can do",
		about: fmt.Sprintf(`The same at a Pebble that does look at the challenges, and beside a loop over lego's acme/api without any pause but
the %s between two questions to the CA: the requests that RFC 8555 demands and nothing else, no storage, no second
process. It shows what Vault, its storage and the plugin's safety against crashes add.`, pollInterval),
		columns: []string{"", "plugin", "loop over acme/api", "ratio", ""},
	}
	a := b.validating
	d, err := a.newDirect()
	if err != nil {
		return out, err
	}
	loop := contender{a.lego.gateway, func(ctx context.Context, names []string) error { return d.obtain(ctx, names, pollInterval) }}
	for _, n := range []int{1, 10} {
		timings, ours, theirs, err := a.compare(ctx, n, loop)
		if err != nil {
			return out, err
		}
		times, requests := compareSamples(n, timings, ours, theirs)
		out.rows = append(append(out.rows, times...), requests)
	}
	return out, nil
}

// compare alternates between the plugin and another; the first run of each only
// warms up.
func (a *authority) compare(ctx context.Context, names int, other contender) (timings []timing, ours, theirs []sample, err error) {
	plugin := contender{a.plugin, func(ctx context.Context, names []string) error {
		t, err := a.issue(ctx, names)
		timings = append(timings, t)
		return err
	}}
	for range a.runs + 1 {
		our, err := a.run(ctx, plugin, names)
		if err != nil {
			return nil, nil, nil, err
		}
		their, err := a.run(ctx, other, names)
		if err != nil {
			return nil, nil, nil, err
		}
		ours, theirs = append(ours, our), append(theirs, their)
	}
	return timings[1:], ours[1:], theirs[1:], nil
}

func (a *authority) run(ctx context.Context, c contender, names int) (sample, error) {
	before, began := c.gateway.Requests(), time.Now()
	err := c.issue(ctx, a.names(names))
	return sample{time.Since(began), c.gateway.Requests() - before}, err
}

func medianTime(all []sample) time.Duration {
	return median(pick(all, func(s sample) time.Duration { return s.took }))
}

func meanRequests(all []sample) float64 {
	return mean(pick(all, func(s sample) int64 { return s.requests }))
}

// compareSamples makes the rows of a table, without targets.
func compareSamples(n int, timings []timing, ours, theirs []sample) (durations [][]string, requests []string) {
	kind := countOf(n)
	our, their := medianTime(ours), medianTime(theirs)
	challenges := median(pick(timings, func(t timing) time.Duration { return t.challenges }))
	completion := median(pick(timings, func(t timing) time.Duration { return t.completion }))
	durations = [][]string{
		{kind + ", whole", milliseconds(our), milliseconds(their), times(float64(our) / float64(their)), ""},
		{kind + ", new-order to awaiting-challenge-fulfillment", milliseconds(challenges), "", "", ""},
		{kind + ", last fulfilled-challenge to completed", milliseconds(completion), "", "", ""},
	}
	sent, others := meanRequests(ours), meanRequests(theirs)
	return durations, []string{kind + ", ACME requests", fmt.Sprintf("%.1f", sent), fmt.Sprintf("%.1f", others), times(sent / others), ""}
}
