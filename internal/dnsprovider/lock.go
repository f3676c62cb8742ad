package dnsprovider

import (
	"context"
	"sync"
)

// recordSets serves the writers of services that can only replace a whole
// record set: within this process one set is changed by one at a time. It is
// the one state here that is shared by all mounts, because they may share a
// zone without knowing of each other.
var recordSets = keyedLock{held: map[string]chan struct{}{}}

// keyedLock is a lock for each key.
type keyedLock struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when given back
}

// lock waits until nobody else holds the key, or until ctx ends. The caller
// gives it back by calling unlock, once.
func (l *keyedLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		taken, ok := l.held[key]
		if !ok {
			free := make(chan struct{})
			l.held[key] = free
			l.mu.Unlock()
			return func() { l.release(key, free) }, nil
		}
		l.mu.Unlock()
		select {
		case <-taken:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *keyedLock) release(key string, free chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, key)
	close(free)
}
