package pkiexternalca

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

const (
	// workers is how many orders are worked on at once, at all CAs and DNS
	// services together. Each mostly waits for an answer. It is twice what one
	// account can be allowed, so that none can take all.
	workers = 2 * mostRequests
	// collectors is how many TXT records are removed at once.
	collectors = 128
	// perProvider is how many orders wait at once for the name servers, or the
	// service, of one DNS provider, and how many of its records are removed at once.
	perProvider = 16
)

// The lines of orders: who is waited for.
const (
	accountLine = "account/"
	dnsLine     = "dns/"
)

// laneOf tells who an order's next step waits for: the DNS providers that are at
// work with it, or else its CA. One that does not answer holds up its own line.
// Roles take turns in it.
func laneOf(o *order.Order) engine.Lane {
	lane := engine.Lane{Line: accountLine + o.Account, Share: o.Role}
	if providers := o.Providers(); len(providers) > 0 {
		lane.Line = dnsLine + strings.Join(providers, "+")
	}
	return lane
}

// debtLane is the lane of a debt, by its path: that of its provider.
func debtLane(path string) engine.Lane {
	return engine.Lane{Line: path[:max(strings.LastIndex(path, "/"), 0)]}
}

// newEngine makes what works on orders.
func (b *backend) newEngine(s logical.Storage) *engine.Engine {
	return engine.New(engine.Config{
		Workers: workers, Most: b.most, Now: b.now,
		Work: func(ctx context.Context, key string, lane engine.Lane) (time.Time, engine.Lane) {
			next := b.work(ctx, s, order.ID(key), &lane)
			return next, lane
		},
	})
}

// most bounds an account's line by the requests that may be in flight: whoever
// would have to wait for a place there does so without a worker.
func (b *backend) most(line string) int {
	if strings.HasPrefix(line, accountLine) {
		return b.authorities.flights.Most()
	}
	return perProvider
}

// newCollector makes what removes TXT records.
func (b *backend) newCollector(s logical.Storage) *engine.Engine {
	return engine.New(engine.Config{
		Workers: collectors, Most: func(string) int { return perProvider }, Now: b.now,
		Work: func(ctx context.Context, path string, in engine.Lane) (time.Time, engine.Lane) {
			return b.payDebt(ctx, s, path), in
		},
	})
}
