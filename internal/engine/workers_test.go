package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWorkersAreBounded holds that there are never more workers than allowed,
// nor fewer while there is work for them.
func TestWorkersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, keys = 7, 100
		var now, most atomic.Int32
		e := newEngine(workers, func(context.Context, string) time.Time {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-time.After(time.Second)
			now.Add(-1)
			return time.Time{}
		})
		defer run(e)()
		start := time.Now()
		for n := range keys {
			e.Wake(fmt.Sprint(n))
		}
		for e.Len() > 0 {
			pass(time.Second)
		}
		if most.Load() != workers {
			t.Errorf("%d workers at once, want %d", most.Load(), workers)
		}
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("a hundred seconds of work took seven workers %s, want 15s", took)
		}
	})
}

// TestNoKeyIsLostOrWorkedOnTwice has many goroutines wake few keys. At no time
// has a key two workers, and after the last wake-up each is worked on once more.
func TestNoKeyIsLostOrWorkedOnTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const keys, wakers, wakes = 5, 8, 400
		var wanted, seen [keys]atomic.Int64
		var busy [keys]atomic.Bool
		e := newEngine(3, func(_ context.Context, key string) time.Time {
			k := key[0] - '0'
			if busy[k].Swap(true) {
				t.Errorf("two workers on key %s", key)
			}
			seen[k].Store(wanted[k].Load())
			runtime.Gosched()
			busy[k].Store(false)
			return time.Time{}
		})
		defer run(e)()
		var all sync.WaitGroup
		for w := range wakers {
			all.Go(func() {
				for n := range wakes {
					k := (w + n) % keys
					wanted[k].Add(1)
					e.Wake(string(rune('0' + k)))
				}
			})
		}
		all.Wait()
		synctest.Wait()
		for k := range keys {
			if seen[k].Load() != wanted[k].Load() {
				t.Errorf("key %d was last worked on at %d, and has been woken since", k, seen[k].Load())
			}
		}
		if e.Len() != 0 {
			t.Errorf("%d keys are left", e.Len())
		}
	})
}

// TestRunReturnsAfterItsWorkers holds that nothing goes on behind the back of
// whoever ended the engine.
func TestRunReturnsAfterItsWorkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int32
		e := newEngine(3, func(ctx context.Context, _ string) time.Time {
			<-ctx.Done()
			<-time.After(time.Second) // it finishes what it has begun
			ended.Add(1)
			return in(-time.Second)
		})
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			e.Wake(key)
		}
		stop := run(e)
		pass(time.Minute)
		e.Wake("a")
		stop()
		if ended.Load() != 3 {
			t.Errorf("Run returned after %d of 3 workers", ended.Load())
		}
		pass(time.Hour)
		if ended.Load() != 3 {
			t.Errorf("%d workers began after the end", ended.Load()-3)
		}
		if e.Len() != 5 {
			t.Errorf("%d keys are left, want all 5", e.Len())
		}
	})
}

// TestRunAgain holds that an engine that was stopped can be started again and
// does what was left.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLog()
		e := newEngine(1, func(_ context.Context, key string) time.Time {
			l.add(key)
			return time.Time{}
		})
		e.Schedule("a", Lane{}, in(time.Minute))
		run(e)()
		pass(time.Hour)
		l.check(t)
		defer run(e)()
		l.check(t, "a 1h0m0s")
	})
}

// TestRunEndsWithWorkLeft holds that an ended context is noticed though
// there is work to do, and though all workers are busy.
func TestRunEndsWithWorkLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		worked := 0
		e := newEngine(1, func(context.Context, string) time.Time {
			worked++
			<-release
			return time.Time{}
		})
		e.Wake("busy")
		e.Wake("waiting")
		stop := run(e)
		synctest.Wait()
		go func() {
			pass(time.Second)
			close(release)
		}()
		stop()
		if worked != 1 || e.Len() != 1 {
			t.Errorf("worked on %d keys, %d are left", worked, e.Len())
		}
	})
}

// TestWaitingCostsNothing holds that keys which are not due take neither work
// nor goroutines, however many they are.
func TestWaitingCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keys = 10_000
		var worked atomic.Int64
		e := newEngine(16, func(context.Context, string) time.Time {
			worked.Add(1)
			return time.Time{}
		})
		defer run(e)()
		before := runtime.NumGoroutine()
		for n := range keys {
			e.Schedule(fmt.Sprint(n), Lane{}, in(24*time.Hour+time.Duration(n)*time.Millisecond))
		}
		pass(23 * time.Hour)
		if worked.Load() != 0 || e.Len() != keys {
			t.Errorf("%d keys were worked on, %d are waiting", worked.Load(), e.Len())
		}
		if more := runtime.NumGoroutine() - before; more > 16 {
			t.Errorf("%d more goroutines", more)
		}
		pass(2 * time.Hour)
		if worked.Load() != keys || e.Len() != 0 {
			t.Errorf("%d keys were worked on, %d are waiting", worked.Load(), e.Len())
		}
	})
}
