// Package flight bounds how many requests are under way at once, for each of
// many names.
//
// Who has to wait is served in the order of arrival, so that nobody waits longer
// than the requests of those before. The bound is one for all names and may
// change at any time. A name of which nothing is under way costs nothing.
package flight

import (
	"container/list"
	"context"
	"sync"
)

// Bounds is safe for concurrent use. Make one with [New].
type Bounds struct {
	mu   sync.Mutex
	most int
	of   map[string]*traffic
}

// traffic is that of one name.
type traffic struct {
	flying  int
	waiting *list.List // of chan struct{}, closed when its owner may go
}

// New allows so many requests of each name; at least one.
func New(most int) *Bounds {
	return &Bounds{most: max(most, 1), of: map[string]*traffic{}}
}

// Most is how many requests of a name may be under way.
func (b *Bounds) Most() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

// SetMost changes the bound for everybody who is waiting and who is to come; at
// least one. What is under way already goes on.
func (b *Bounds) SetMost(most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.most = max(most, 1)
	for _, t := range b.of {
		t.admit(b.most)
	}
}

// Enter waits for a place among the requests of a name. Whoever gets one calls
// leave when the request has ended. The error is that of ctx.
func (b *Bounds) Enter(ctx context.Context, name string) (leave func(), err error) {
	turn := b.queue(name)
	select {
	case <-turn:
	case <-ctx.Done():
		b.giveUp(name, turn)
		return nil, ctx.Err()
	}
	return sync.OnceFunc(func() { b.leave(name) }), nil
}

// queue asks for a place. The channel is closed when there is one.
func (b *Bounds) queue(name string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.of[name]
	if t == nil {
		t = &traffic{waiting: list.New()}
		b.of[name] = t
	}
	turn := make(chan struct{})
	t.waiting.PushBack(turn)
	t.admit(b.most)
	return turn
}

func (b *Bounds) leave(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[name].flying--
	b.settle(name)
}

// giveUp withdraws who was waiting; a place that was just given goes to the next.
func (b *Bounds) giveUp(name string, turn chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.of[name]
	for e := t.waiting.Front(); e != nil; e = e.Next() {
		if e.Value == turn {
			t.waiting.Remove(e)
			b.settle(name)
			return
		}
	}
	t.flying--
	b.settle(name)
}

// settle needs the lock.
func (b *Bounds) settle(name string) {
	t := b.of[name]
	t.admit(b.most)
	if t.flying == 0 && t.waiting.Len() == 0 {
		delete(b.of, name)
	}
}

func (t *traffic) admit(most int) {
	for t.flying < most && t.waiting.Len() > 0 {
		t.flying++
		close(t.waiting.Remove(t.waiting.Front()).(chan struct{}))
	}
}

// Limit is the bound of one name.
type Limit struct {
	bounds *Bounds
	name   string
}

// Of gives the bound of a name.
func (b *Bounds) Of(name string) Limit { return Limit{b, name} }

// Enter is [Bounds.Enter] for the name.
func (l Limit) Enter(ctx context.Context) (leave func(), err error) {
	return l.bounds.Enter(ctx, l.name)
}
