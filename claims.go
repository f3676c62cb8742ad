package pkiexternalca

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// claims knows which order has which place at a CA. It is rebuilt from the
// active orders: only two orders that are both alive can be in each other's way.
type claims struct {
	mu      sync.Mutex
	holders map[string]order.ID // by place
	places  map[order.ID]string // the other way round
	// queues holds who was turned away, by who is in the way, the first first; it
	// may name some who have gone on since. waits is the other way round, and has
	// the say. A restart forgets both: then the waiting ask by themselves.
	queues map[order.ID][]order.ID
	waits  map[order.ID]order.ID
}

func newClaims() claims {
	return claims{
		holders: map[string]order.ID{}, places: map[order.ID]string{},
		queues: map[order.ID][]order.ID{}, waits: map[order.ID]order.ID{},
	}
}

// forget gives up all places. What ended while nobody was at work gave up none.
func (c *claims) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.holders)
	clear(c.places)
	clear(c.queues)
	clear(c.waits)
}

// claim takes a place for an order, which gives up the one it had. It returns
// who has the place.
func (c *claims) claim(url string, id order.ID) order.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if holder, taken := c.holders[url]; taken {
		if holder != id && c.waits[id] != holder {
			c.waits[id] = holder
			c.queues[holder] = append(c.queues[holder], id)
		}
		return holder
	}
	delete(c.holders, c.places[id])
	delete(c.waits, id)
	c.holders[url], c.places[id] = id, url
	return id
}

// release gives up an order's place, one that was never stored too. It returns
// who is to ask the CA again now, "" for nobody: of those who were waiting the
// first. The others wait for that one, because a CA which gives one order to
// two would give them the next one, too.
func (c *claims) release(id order.ID) (next order.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.holders, c.places[id])
	delete(c.places, id)
	delete(c.waits, id)
	queue := slices.DeleteFunc(c.queues[id], func(other order.ID) bool { return c.waits[other] != id })
	delete(c.queues, id)
	if len(queue) == 0 {
		return ""
	}
	next = queue[0]
	delete(c.waits, next)
	for _, other := range queue[1:] {
		c.waits[other] = next
		c.queues[next] = append(c.queues[next], other)
	}
	return next
}

// claimRespite is how long after the end of an order its CA is asked again for who
// was turned away. One with several databases may still show the order as pending.
const claimRespite = time.Second

// leave gives up the place at the CA of an order that has ended, and the answers
// of the relay, and has the CA asked again for who was waiting for the place.
func (b *backend) leave(ctx context.Context, s logical.Storage, id order.ID) {
	b.relay.Follow(string(id), nil)
	next := b.claims.release(id)
	if next == "" {
		return
	}
	err := b.changeOrder(ctx, s, next, func(o *order.Order) error {
		if o.State != order.StateNew {
			return errUnchanged
		}
		o.Due = b.now().Add(claimRespite)
		return nil
	})
	if err != nil {
		b.Logger().Warn("an order waits longer than it must", "order", next, "for", id, "error", err)
	}
}
