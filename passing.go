package pkiexternalca

import (
	"sync"
	"time"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// passing holds the orders that a worker has put down for a moment without storing
// them (see [order.Order.Passing]). What is lost with it is done again.
type passing struct {
	mu     sync.Mutex
	orders map[order.ID]*order.Order
}

func newPassing() passing { return passing{orders: map[order.ID]*order.Order{}} }

// keep holds an order until it is taken, if it is passing.
func (p *passing) keep(o *order.Order, now time.Time) {
	if !o.Passing(now) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders[o.ID] = o
}

// take gives an order to the worker that goes on with it; nil when it is to be read.
func (p *passing) take(id order.ID) *order.Order {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.orders[id]
	delete(p.orders, id)
	return o
}

// forget has every order read anew.
func (p *passing) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.orders)
}
