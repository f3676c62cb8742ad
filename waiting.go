package pkiexternalca

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/order"
)

const (
	// defaultWaiting is how many requests of a mount may wait for orders where
	// nobody says otherwise. Each holds up a step-down of Vault.
	defaultWaiting = 64
	// mostWaiting is what may be set.
	mostWaiting = 1000
	// defaultWait is how long a request waits where it does not say.
	defaultWait = 5 * time.Second
	// longestWait is what it may say. While Vault steps down, all requests to it
	// stand still for as long as one is waiting.
	longestWait = 30 * time.Second
)

// parseWaiting takes a value of max_waiting_requests.
func parseWaiting(n int) (int, error) {
	if n < 1 || n > mostWaiting {
		return 0, fmt.Errorf("%d is not between 1 and %d", n, mostWaiting)
	}
	return n, nil
}

// await follows an order until there is something to tell of it, for as long as
// wait; why says what cut that short. What it gives was read last.
func (b *backend) await(ctx context.Context, s logical.Storage, id order.ID, wait time.Duration) (o *order.Order, why string, err error) {
	config, err := readConfig(ctx, s)
	if err != nil {
		return nil, "", err
	}
	changed, stop, ok := b.watches.Watch(string(id), config.maxWaiting())
	if ok {
		defer stop()
	}
	patience := time.NewTimer(wait)
	defer patience.Stop()
	for {
		o, err := orders.Get(ctx, s, orderPath(id))
		switch {
		case err != nil || wait == 0 || o.Final() || needsHands(o):
			return o, "", err
		case !ok:
			return o, fmt.Sprintf("%d requests are waiting already", config.maxWaiting()), nil
		case !b.works():
			return o, "this node has no work to do now", nil
		}
		select {
		case <-ctx.Done():
			return nil, "", ctx.Err()
		case <-patience.C:
			return o, "", nil
		case <-changed:
		}
	}
}

// worksElsewhere tells that orders of this mount are made and worked on by
// another node, to which Vault sends a request whose answer is
// [logical.ErrReadOnly].
func (b *backend) worksElsewhere() bool {
	state := b.System().ReplicationState()
	return state.HasState(consts.ReplicationPerformanceStandby) ||
		state.HasState(consts.ReplicationPerformanceSecondary) && !b.System().LocalMount()
}

// needsHands tells that an order waits for somebody to put challenges in place.
func needsHands(o *order.Order) bool {
	return o.State == order.StateAwaiting && len(o.Unreported()) > 0
}

// works tells whether this node works on orders now.
func (b *backend) works() bool { return b.running().orders != nil }
