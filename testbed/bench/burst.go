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
	burstPoll = 200 * time.Millisecond
	// directPoll is how often each of two hundred loops asks the CA.
	directPoll = 50 * time.Millisecond
)

// round is one burst by each.
type round struct {
	plugin, direct                 float64 // certificates per second
	pluginRequests, directRequests float64 // per certificate
}

// measureBurst compares many orders at once with as many loops.
func measureBurst(ctx context.Context, b *bench) ([]table, error) {
	d, err := b.validating.newDirect()
	if err != nil {
		return nil, err
	}
	rounds := make([]round, 0, burstRounds)
	for range burstRounds {
		r, err := b.validating.burst(ctx, d)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
	}
	plugin := median(pick(rounds, func(r round) float64 { return r.plugin }))
	loop := median(pick(rounds, func(r round) float64 { return r.direct }))
	ours := median(pick(rounds, func(r round) float64 { return r.pluginRequests }))
	theirs := median(pick(rounds, func(r round) float64 { return r.directRequests }))
	return []table{{
		title: fmt.Sprintf("%d orders at once", burstOrders),
		about: fmt.Sprintf(`As many clients at once, each with an order for one name, until the last has its certificate: through Vault, where
each asks for its status every %s, and as goroutines that loop over lego's acme/api without pacing and ask the CA
every %s. %d rounds each.`, burstPoll, directPoll, burstRounds),
		columns: []string{"", "plugin", "loop over acme/api", "ratio", "target"},
		rows: [][]string{
			{"certificates per second", fmt.Sprintf("%.1f", plugin), fmt.Sprintf("%.1f", loop), times(plugin / loop), verdict("≥ 0.9×", plugin >= 0.9*loop)},
			{"ACME requests per certificate", fmt.Sprintf("%.2f", ours), fmt.Sprintf("%.2f", theirs), times(ours / theirs), verdict("≤ 7.1", ours <= 7.1)},
		},
	}}, nil
}

func (a *authority) burst(ctx context.Context, d *direct) (r round, err error) {
	r.plugin, r.pluginRequests, err = a.together(ctx, a.plugin, a.issueSlowly)
	if err != nil {
		return r, err
	}
	r.direct, r.directRequests, err = a.together(ctx, a.lego.gateway, func(ctx context.Context, names []string) error {
		return d.obtain(ctx, names, directPoll)
	})
	return r, err
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

// together runs one issuance for each order at once. It gives the certificates
// per second, and the requests that passed the gateway per certificate.
func (a *authority) together(ctx context.Context, g *gateway, issue func(context.Context, []string) error) (rate, requests float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	all := make([][]string, burstOrders)
	for i := range all {
		all[i] = a.names(1)
	}
	failed := make(chan error, burstOrders)
	before, began := g.requests.Load(), time.Now()
	var running sync.WaitGroup
	for _, names := range all {
		running.Go(func() {
			if err := issue(ctx, names); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	running.Wait()
	took := time.Since(began).Seconds()
	select {
	case err = <-failed:
	default:
	}
	return burstOrders / took, float64(g.requests.Load()-before) / burstOrders, err
}
