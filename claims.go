package pkiexternalca

import (
	"sync"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// claims knows which order has which place at a CA. It is rebuilt from the
// active orders: only two orders that are both alive can be in each other's way.
type claims struct {
	mu      sync.Mutex
	holders map[string]order.ID // by place
	places  map[order.ID]string // the other way round
}

func newClaims() claims {
	return claims{holders: map[string]order.ID{}, places: map[order.ID]string{}}
}

// claim takes a place for an order, which gives up the one it had. It returns
// who has the place.
func (c *claims) claim(url string, id order.ID) order.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	if holder, taken := c.holders[url]; taken {
		return holder
	}
	delete(c.holders, c.places[id])
	c.holders[url], c.places[id] = id, url
	return id
}

// release gives up an order's place, one that was never stored too.
func (c *claims) release(id order.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.holders, c.places[id])
	delete(c.places, id)
}
