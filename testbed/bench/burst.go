package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	burstOrders = 200
	burstRounds = 3
	// burstPoll is how often each of two hundred clients asks for its status.
	burstPoll = time.Second
	// directPoll is how often each of two hundred loops asks the CA.
	directPoll = 50 * time.Millisecond
	// burstPatience ends a burst that hangs.
	burstPatience = 3 * time.Minute
)

// burst is many issuances at once.
type burst struct {
	rate     float64 // certificates per second
	requests float64 // that reached the CA, per certificate
	cpu      cpu     // per certificate
}

// measureBurst compares many orders at once with lego's client and with a bare
// loop, at either CA: lego's client suffers from one that looks at challenges,
// see compareWithLego.
func measureBurst(ctx context.Context, b *bench) ([]table, error) {
	var out []table
	for _, at := range []struct {
		*authority
		where string
	}{
		{b.validating, "at a CA that looks at challenges"},
		{b.believing, "at a CA that takes challenges for fulfilled"},
	} {
		one, err := at.compareBursts(ctx, at.where)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

func (a *authority) compareBursts(ctx context.Context, where string) (table, error) {
	d, err := a.newDirect()
	if err != nil {
		return table{}, err
	}
	contenders := []contender{
		{a.plugin, a.issueSlowly},
		{a.lego.gateway, func(_ context.Context, names []string) error { return a.lego.obtain(names) }},
		{a.lego.gateway, func(ctx context.Context, names []string) error { return d.obtain(ctx, names, directPoll) }},
	}
	bursts := make([][]burst, len(contenders))
	for range burstRounds {
		for i, c := range contenders {
			one, err := a.together(ctx, c)
			if err != nil {
				return table{}, err
			}
			bursts[i] = append(bursts[i], one)
		}
	}
	return burstTable(where, medianBurst(bursts[0]), medianBurst(bursts[1]), medianBurst(bursts[2])), nil
}

func burstTable(where string, plugin, lego, loop burst) table {
	row := func(what, format string, target string, of func(burst) float64) []string {
		return []string{what, fmt.Sprintf(format, of(plugin)), fmt.Sprintf(format, of(lego)), fmt.Sprintf(format, of(loop)), target}
	}
	work := func(who string, of func(cpu) time.Duration) []string {
		return row("processor time per certificate, "+who, "%.1f ms", "", func(b burst) float64 {
			return float64(of(b.cpu)) / float64(time.Millisecond)
		})
	}
	paced := verdict("≥ 1.5× lego", plugin.rate >= 1.5*lego.rate)
	unpaced := verdict("≥ 0.9× the loop", plugin.rate >= 0.9*loop.rate)
	return table{
		title: fmt.Sprintf("%d orders at once, %s", burstOrders, where),
		about: fmt.Sprintf(`As many clients at once, each with an order for one name, until the last has its certificate: through Vault, where
each asks for its status every %s; by lego's own client; and as goroutines that loop over lego's acme/api without pacing
and ask the CA every %s. The clients, the gateway before the CA and the web server are one process, called clients
here. %d rounds each.`,
			burstPoll, directPoll, burstRounds),
		columns: []string{"", "plugin", "lego", "loop over acme/api", "target"},
		rows: [][]string{
			row("certificates per second", "%.1f", paced+"; "+unpaced, func(b burst) float64 { return b.rate }),
			row("ACME requests per certificate", "%.2f", verdict("≤ 7.1", plugin.requests <= 7.1), func(b burst) float64 { return b.requests }),
			work("Vault", func(c cpu) time.Duration { return c.vault }),
			work("plugin", func(c cpu) time.Duration { return c.plugin }),
			work("CA", func(c cpu) time.Duration { return c.ca }),
			work("clients", func(c cpu) time.Duration { return c.clients }),
		},
	}
}

// medianBurst is the median of each figure.
func medianBurst(all []burst) burst {
	part := func(of func(cpu) time.Duration) time.Duration {
		return median(pick(all, func(b burst) time.Duration { return of(b.cpu) }))
	}
	return burst{
		rate:     median(pick(all, func(b burst) float64 { return b.rate })),
		requests: median(pick(all, func(b burst) float64 { return b.requests })),
		cpu: cpu{
			vault: part(func(c cpu) time.Duration { return c.vault }), plugin: part(func(c cpu) time.Duration { return c.plugin }),
			ca: part(func(c cpu) time.Duration { return c.ca }), clients: part(func(c cpu) time.Duration { return c.clients }),
		},
	}
}

// issueSlowly is issue by a client that is one of many.
func (a *authority) issueSlowly(ctx context.Context, names []string) error {
	order, err := a.newOrder(ctx, names)
	if err != nil {
		return err
	}
	if err := a.finish(ctx, order, names, burstPoll); err != nil {
		return err
	}
	_, err = a.read(ctx, order+"/fetch-cert", nil)
	return err
}

// together runs one issuance for each order at once.
func (a *authority) together(ctx context.Context, c contender) (burst, error) {
	ctx, cancel := context.WithTimeout(ctx, burstPatience)
	defer cancel()
	all := make([][]string, burstOrders)
	for i := range all {
		all[i] = a.names(1)
	}
	idle, err := a.spent()
	if err != nil {
		return burst{}, err
	}
	failed := make(chan error, burstOrders)
	before, began := c.gateway.Requests(), time.Now()
	var running sync.WaitGroup
	for _, names := range all {
		running.Go(func() {
			if err := c.issue(ctx, names); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	running.Wait()
	out := burst{rate: burstOrders / time.Since(began).Seconds(), requests: float64(c.gateway.Requests()-before) / burstOrders}
	select {
	case err := <-failed:
		return out, err
	default:
	}
	busy, err := a.spent()
	out.cpu = busy.since(idle, burstOrders)
	return out, err
}
