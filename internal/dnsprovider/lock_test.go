package dnsprovider

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
)

func TestKeyedLockAdmitsOneAtATime(t *testing.T) {
	t.Parallel()
	l := keyedLock{held: map[string]chan struct{}{}}
	var inside, most int // guarded by the lock under test; the race detector watches
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			unlock, err := l.lock(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			inside++
			most = max(most, inside)
			runtime.Gosched() // lets others in, if the lock does
			most = max(most, inside)
			inside--
		})
	}
	wg.Wait()
	if most != 1 || len(l.held) != 0 {
		t.Errorf("%d were inside at once, %d keys were left", most, len(l.held))
	}
}

func TestKeyedLockWaitsForItsOwnKeyOnly(t *testing.T) {
	t.Parallel()
	l := keyedLock{held: map[string]chan struct{}{}}
	unlock, err := l.lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	other, err := l.lock(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a taken lock, with an ended context: %v", err)
	}
}
