package pkiexternalca

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-pki-external-ca/internal/engine"
	"vault-plugin-secrets-pki-external-ca/internal/order"
)

// lifecycle is the running work of a mount.
type lifecycle struct {
	mu      sync.Mutex
	engines engines // nil while none run
	cancel  context.CancelFunc
	stopped chan struct{} // closed when the engines have
	closed  bool          // by Clean: nothing starts any more
}

// engines are those of one run. Each has workers of its own: a DNS service that
// does not answer must not keep orders waiting.
type engines struct {
	orders *engine.Engine
	// debts removes TXT records.
	debts *engine.Engine
	// renewals has certificates renewed.
	renewals *engine.Engine
	// rotations changes the keys of accounts.
	rotations *engine.Engine
	// tidying deletes old orders.
	tidying *engine.Engine
}

// initialize starts the work. Vault waits for it while it unseals, so it does
// nothing itself.
func (b *backend) initialize(_ context.Context, req *logical.InitializationRequest) error {
	b.start(b.records.Over(req.Storage))
	return nil
}

// periodic is a watchdog: it starts the engine where it should run and does
// not, and stops it where it must not. Vault holds a lock of its own meanwhile,
// so there is no request to a CA here.
func (b *backend) periodic(_ context.Context, req *logical.Request) error {
	if b.System().Tainted() || !b.mayWrite() {
		b.stop(false)
		return nil
	}
	b.start(req.Storage)
	return nil
}

// clean stops the work when the mount, the plugin or the node's leadership ends.
func (b *backend) clean(context.Context) {
	b.stop(true)
	b.authorities.close()
}

// start runs the engine unless it runs already or must not run here. Its
// context is its own: that of a request ends with the request.
func (b *backend) start(s logical.Storage) {
	l := &b.lifecycle
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.engines.orders != nil || l.closed || !b.mayWrite() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	before := l.stopped
	l.cancel, l.stopped = cancel, make(chan struct{})
	l.engines = engines{
		orders: b.newEngine(s), debts: b.newCollector(s), renewals: b.newKeeper(s), rotations: b.newRotation(s), tidying: b.newTidying(s),
	}
	// Only the node that works is sure to hear of every change.
	if !b.System().CachingDisabled() {
		b.records.Open()
	}
	go b.supervise(ctx, s, l.engines, before, l.stopped)
}

// supervise loads the active orders, then runs the engine until ctx ends. It
// begins when the engine before it has stopped: no order is worked on by two.
// No order is submitted before all are loaded, because a new one may be given a
// place at the CA that one of the others has.
func (b *backend) supervise(ctx context.Context, s logical.Storage, e engines, before <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	if before != nil {
		<-before
	}
	b.relay.Forget()
	b.claims.forget()
	b.loadUntilDone(ctx, s, e)
	b.relayReady(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	others.Go(func() { e.debts.Run(ctx) })
	others.Go(func() { e.tidying.Run(ctx) })
	others.Go(func() {
		b.loadRenewals(ctx, s, e.renewals)
		e.renewals.Run(ctx)
	})
	others.Go(func() {
		b.loadRotations(ctx, s, e.rotations)
		e.rotations.Run(ctx)
	})
	e.orders.Run(ctx)
}

// stop ends the engine. With for good it also waits for it, but no longer than
// a second: Vault waits for us, and what was not stored is done again later.
func (b *backend) stop(forGood bool) {
	stopped := b.halt(forGood)
	if stopped == nil || !forGood {
		return
	}
	select {
	case <-stopped:
	case <-time.After(time.Second):
	}
}

// halt tells the engine to end, and gives what is closed when it has; nil when
// none ran. Whoever waits for that holds no lock, which the last steps may need.
func (b *backend) halt(forGood bool) (stopped <-chan struct{}) {
	l := &b.lifecycle
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = l.closed || forGood
	if l.engines.orders == nil {
		return nil
	}
	l.cancel()
	l.engines = engines{}
	b.records.Close()
	b.watches.NotifyAll() // nothing more will come here
	b.passing.forget()
	b.relay.Forget() // another node may be at work from now on
	return l.stopped
}

// running gives the engines, nil while none runs.
func (b *backend) running() engines {
	b.lifecycle.mu.Lock()
	defer b.lifecycle.mu.Unlock()
	return b.lifecycle.engines
}

// begin has a new order worked on.
func (b *backend) begin(o *order.Order) {
	if e := b.running().orders; e != nil {
		e.Schedule(string(o.ID), laneOf(o), time.Time{})
	}
}

// wake has an order worked on now.
func (b *backend) wake(id order.ID) {
	if e := b.running().orders; e != nil {
		e.Wake(string(id))
	}
}

// wakeDebt has it looked at now whether a TXT record can go.
func (b *backend) wakeDebt(path string) {
	if e := b.running().debts; e != nil {
		e.Schedule(path, debtLane(path), time.Time{})
	}
}

// mayWrite tells whether this node works. A replication state of zero means
// that Vault could not be asked, not that nothing speaks against it.
func (b *backend) mayWrite() bool {
	state := b.System().ReplicationState()
	switch {
	case state == consts.ReplicationUnknown:
		return false
	case state.HasState(consts.ReplicationDRSecondary | consts.ReplicationPerformanceStandby):
		return false
	}
	return b.System().LocalMount() || !state.HasState(consts.ReplicationPerformanceSecondary)
}

// survive keeps a panic in background work from ending the process, which
// other mounts share.
func (b *backend) survive(doing string, id order.ID) {
	if cause := recover(); cause != nil {
		b.Logger().Error("background work failed by a fault of the plugin", "doing", doing, "order", id, "fault", cause, "stack", string(debug.Stack()))
	}
}
